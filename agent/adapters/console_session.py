"""One program at a console's hub: a thread for what it sends, another for what it gets."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tinyfleet.agent.core.console_line import ConsoleLine
from tinyfleet.agent.core.console_wire import PAYLOAD_MAX_BYTES, Kind, Message, Messages, told, told_line
from tinyfleet.agent.core.errors import AgentError, StepFailed
from tinyfleet.agent.services.console_hub import HOLD_WAIT_S, ConsoleHub
from tinyfleet.agent.services.console_queues import Hold, LostLines, PortState, Watch, WatchEvent

_OPEN_TIMEOUT_S: Final = 5.0
_WAIT_S: Final = 0.5
_END_S: Final = 5.0
_RECEIVE_BYTES: Final = 65536


class ConsoleSession:
    """A slow program waits for itself only: the queues behind it are bounded."""

    def __init__(self, link: socket.socket, hub: ConsoleHub, left: Callable[[ConsoleSession], None]) -> None:
        self._link = link
        self._hub = hub
        self._left = left
        self._sending = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"{hub.board}-client", daemon=True)
        link.setblocking(False)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Begins to close, and does not wait for it."""
        self._ending.set()

    def close(self) -> None:
        self.end()
        self._thread.join(_END_S)

    def refuse(self, error: AgentError) -> None:
        """Says why, and closes."""
        self._refuse(error)
        self._link.close()

    def _refuse(self, error: AgentError) -> None:
        self._send(told(Kind.REFUSED, error=type(error).__name__, what=error.what, hint=error.hint))

    def _serve(self) -> None:
        try:
            received = self._received()
            wish = self._wish(received)
            if wish.get("lend"):
                self._keep(received, self._hub.lend(str(wish.get("who"))))
            elif wish.get("hold"):
                self._hold(received, str(wish.get("who")), wish.get("baud"), bool(wish.get("mlperf")))
            else:
                self._watch(received, int(wish.get("tail", 0)))
        except AgentError as error:
            self._refuse(error)
        except (OSError, ValueError, TypeError, EOFError):
            pass  # it ended, or talks something else; there is nobody to tell
        finally:
            self._ending.set()
            self._link.close()
            self._left(self)

    def _hold(self, received: Iterator[Message], who: str, baud: Any, mlperf: bool) -> None:
        rate = None if baud is None else int(baud)
        self._keep(received, self._hub.hold(who, rate, mlperf=mlperf, timeout_s=HOLD_WAIT_S))

    def _keep(self, received: Iterator[Message], hold: Hold) -> None:
        """Until the program ends, or lets go."""
        try:
            self._send(Message(Kind.OPENED))
            with self._beside(lambda: self._pump_bytes(hold)):
                for message in received:
                    if message.kind is Kind.DATA:
                        hold.write(message.payload)
                # Also wakes the other thread.
                hold.close()
        except AgentError as error:
            self._gone(error)
        finally:
            hold.close()

    def _watch(self, received: Iterator[Message], tail: int) -> None:
        watch = self._hub.watch(tail)
        try:
            self._send(Message(Kind.OPENED))
            with self._beside(lambda: self._pump_lines(watch)):
                for message in received:
                    if message.kind is Kind.DATA:
                        # Keys pressed while the board is held or away go nowhere; STATE has said so.
                        with contextlib.suppress(AgentError):
                            self._hub.write(message.payload)
                watch.close()
        finally:
            watch.close()

    @contextlib.contextmanager
    def _beside(self, pump: Callable[[], None]) -> Iterator[None]:
        def work() -> None:
            with contextlib.suppress(OSError, EOFError):
                pump()
            self._ending.set()

        thread = threading.Thread(target=work, name=f"{self._hub.board}-sender", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            thread.join(_END_S)

    def _pump_bytes(self, hold: Hold) -> None:
        while not self._ending.is_set():
            try:
                data = hold.read(_WAIT_S)
            except AgentError as error:
                self._gone(error)
                return
            for at in range(0, len(data), PAYLOAD_MAX_BYTES):
                self._send(Message(Kind.DATA, data[at : at + PAYLOAD_MAX_BYTES]))

    def _pump_lines(self, watch: Watch) -> None:
        while not self._ending.is_set():
            event = watch.next(_WAIT_S)
            if event is not None:
                self._send(_message(event))

    def _gone(self, error: AgentError) -> None:
        trouble = error.cause if isinstance(error, StepFailed) else error.what
        with contextlib.suppress(OSError):
            self._send(told(Kind.STATE, up=False, trouble=trouble, holder=None))

    def _wish(self, received: Iterator[Message]) -> dict[str, Any]:
        first = next(received, None)
        if first is None or first.kind is not Kind.OPEN:
            raise ValueError("no OPEN")
        return first.json()

    def _received(self) -> Iterator[Message]:
        """Until the peer is gone, says nothing at first, or we end. ValueError when it talks something
        else."""
        messages, begun_s, greeted = Messages(), time.monotonic(), False
        while not self._ending.is_set():
            if not select.select([self._link], [], [], _WAIT_S)[0]:
                if not greeted and time.monotonic() - begun_s > _OPEN_TIMEOUT_S:
                    return
                continue
            data = self._link.recv(_RECEIVE_BYTES)
            if not data:
                return
            for message in messages.feed(data):
                greeted = True
                yield message

    def _send(self, message: Message) -> None:
        """Waits for the peer for as long as it lives. OSError when it is gone."""
        with self._sending:
            left = memoryview(message.encode())
            while left and not self._ending.is_set():
                if select.select([], [self._link], [], _WAIT_S)[1]:
                    left = left[self._link.send(left) :]


def _message(event: WatchEvent) -> Message:
    if isinstance(event, ConsoleLine):
        return told_line(event)
    if isinstance(event, PortState):
        return told(Kind.STATE, up=event.up, trouble=event.trouble, holder=event.holder)
    if isinstance(event, LostLines):
        return told(Kind.LOST, count=event.count)
    return Message(Kind.UNFINISHED, event.text.encode())
