"""A board's console as a terminal of this host, for programs that open ports themselves."""

from __future__ import annotations

import os
import pty
import select
import threading
import tty
from collections.abc import Callable
from typing import Final

from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.ports import Console

_WAIT_S: Final = 0.1
_RETRY_S: Final = 1.0
_READ_BYTES: Final = 4096


class ConsoleTerminal:
    """`path` is there until it is closed, whatever becomes of the board; bytes go both ways as they are."""

    def __init__(self, open_console: Callable[[], Console], note: Callable[[str], None]) -> None:
        self._open = open_console
        self._note = note
        self._host, self._program = pty.openpty()
        tty.setraw(self._program)
        os.set_blocking(self._host, False)
        self.path = os.ttyname(self._program)

    def serve(self, stop: threading.Event) -> None:
        """Until `stop`. A console that goes away is opened again; what is written meanwhile is lost, as on
        a cable."""
        trouble = ""
        while not stop.is_set():
            try:
                console = self._open()
            except AgentError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self._note(trouble)
                stop.wait(_RETRY_S)
                continue
            trouble = ""
            self._note("the board's console is there")
            done = threading.Event()
            typing = threading.Thread(target=self._down, args=(console, stop, done), daemon=True)
            typing.start()
            try:
                while not stop.is_set() and not done.is_set():
                    self._up(console.read(_WAIT_S))
            except AgentError as error:
                self._note(str(error))
            finally:
                done.set()
                typing.join()
                console.close()

    def close(self) -> None:
        os.close(self._host)
        os.close(self._program)

    def _down(self, console: Console, stop: threading.Event, done: threading.Event) -> None:
        while not stop.is_set() and not done.is_set():
            if select.select([self._host], [], [], _WAIT_S)[0]:
                try:
                    console.write(os.read(self._host, _READ_BYTES))
                except AgentError as error:
                    self._note(str(error))
                    done.set()

    def _up(self, data: bytes) -> None:
        """What the terminal has no room for is lost: a program that does not read holds up nobody."""
        try:
            while data:
                data = data[os.write(self._host, data) :]
        except BlockingIOError:
            pass
