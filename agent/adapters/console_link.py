"""A program's side of a console's hub, and consoles that are reached by it where there is one."""

from __future__ import annotations

import collections
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tinyfleet.agent.adapters.unix_socket import connect
from tinyfleet.agent.core import errors
from tinyfleet.agent.core.console_wire import PAYLOAD_MAX_BYTES, Kind, Message, Messages, told
from tinyfleet.agent.core.errors import AgentError, BoardBusyError, ConsoleError
from tinyfleet.agent.services.console_queues import LostLines, PortState, Unfinished, WatchEvent
from tinyfleet.agent.services.ports import Console, Consoles

_TIMEOUT_S: Final = 10.0
_CLOSE_S: Final = 2.0
_RECEIVE_BYTES: Final = 65536
_HINT: Final = "`tinyfleet agent run` serves it; is that still there?"


class NoHub(Exception):
    """Nobody serves that board's console here."""


class HubLink:
    """Messages with a hub. Raises NoHub where there is none, what it refuses with as it said it."""

    def __init__(self, folder: Path, board: str, wish: Message) -> None:
        self.board = board
        self._messages = Messages()
        self._waiting: collections.deque[Message] = collections.deque()
        self._link = _connected(folder / f"{board}.sock")
        try:
            self.send(wish)
            answer = self.next(_TIMEOUT_S)
            if answer is None or answer.kind not in (Kind.OPENED, Kind.REFUSED):
                raise self.broken("its hub does not answer")
            if answer.kind is Kind.REFUSED:
                raise _refusal(answer)
        except BaseException:
            self._link.close()
            raise

    def next(self, timeout_s: float) -> Message | None:
        """What came next, waiting at most that long. Raises ConsoleError once the hub is gone."""
        end_s = time.monotonic() + timeout_s
        while not self._waiting:
            try:
                if not select.select([self._link], [], [], max(0.0, end_s - time.monotonic()))[0]:
                    return None
                data = self._link.recv(_RECEIVE_BYTES)
                if not data:
                    raise self.broken("its hub ended")
                self._waiting.extend(self._messages.feed(data))
            except (OSError, ValueError) as error:
                raise self.broken(str(error)) from error
        return self._waiting.popleft()

    def send(self, message: Message) -> None:
        """Raises ConsoleError."""
        try:
            self._link.sendall(message.encode())
        except OSError as error:
            raise self.broken(str(error)) from error

    def broken(self, cause: str) -> ConsoleError:
        return ConsoleError(self.board, "console", cause, _HINT)

    def fileno(self) -> int:
        return self._link.fileno()

    def close(self) -> None:
        """Returns when the hub has let go, too: whoever opens it next is not refused."""
        try:
            self._link.shutdown(socket.SHUT_WR)
            end_s = time.monotonic() + _CLOSE_S
            while select.select([self._link], [], [], max(0.0, end_s - time.monotonic()))[0]:
                if not self._link.recv(_RECEIVE_BYTES):
                    break
        except OSError:
            pass  # it is gone
        finally:
            self._link.close()


class HeldConsole:
    """`services.ports.Console` by a hub: the console is this program's alone until it is closed."""

    def __init__(self, folder: Path, board: str, baud: int, mlperf: bool) -> None:
        wish = told(Kind.OPEN, hold=True, who=who_we_are(), baud=baud, mlperf=mlperf)
        self._link = HubLink(folder, board, wish)
        self._gone: ConsoleError | None = None

    def read(self, timeout_s: float) -> bytes:
        if self._gone is not None:
            raise self._gone
        data = bytearray()
        while message := self._link.next(0 if data else timeout_s):
            if message.kind is Kind.DATA:
                data += message.payload
            elif message.kind is Kind.STATE:
                self._gone = self._told(message)
                if data:
                    break
                raise self._gone
            if len(data) >= PAYLOAD_MAX_BYTES:
                break
        return bytes(data)

    def write(self, data: bytes) -> None:
        if self._gone is not None:
            raise self._gone
        for at in range(0, len(data), PAYLOAD_MAX_BYTES):
            self._link.send(Message(Kind.DATA, data[at : at + PAYLOAD_MAX_BYTES]))

    def _told(self, message: Message) -> ConsoleError:
        """Why the port went away: the first reason stays, also once the hub has closed the connection."""
        try:
            trouble = str(message.json()["trouble"])
        except (ValueError, KeyError):
            trouble = "it went away"
        return ConsoleError(
            self._link.board, "console", trouble, "check the cable; an emulated board may have died"
        )

    def set_baud(self, baud: int) -> None:
        raise ValueError("a shared console has its rate from when it was opened")

    def close(self) -> None:
        self._link.close()


class WatchedConsole:
    """A console's lines as they come, beginning with the last `tail` ones; keys to the board while nobody
    holds it."""

    def __init__(self, folder: Path, board: str, tail: int = 0) -> None:
        self._link = HubLink(folder, board, told(Kind.OPEN, hold=False, who=who_we_are(), tail=tail))

    def next(self, timeout_s: float) -> WatchEvent | None:
        """Raises ConsoleError once the hub is gone, or talks nonsense."""
        message = self._link.next(timeout_s)
        if message is None:
            return None
        try:
            if message.kind is Kind.LINE:
                return message.line()
            if message.kind is Kind.UNFINISHED:
                return Unfinished(message.payload.decode("utf-8", errors="replace"))
            value = message.json()
            if message.kind is Kind.LOST:
                return LostLines(int(value["count"]))
            return PortState(bool(value["up"]), str(value["trouble"]), value["holder"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._link.broken(f"its hub said {message.kind.name} wrongly: {error}") from error

    def write(self, data: bytes) -> None:
        self._link.send(Message(Kind.DATA, data))

    def fileno(self) -> int:
        return self._link.fileno()

    def close(self) -> None:
        self._link.close()


class SharedConsoles:
    """`services.ports.Consoles` by boards' names: through the hub that serves a board in `folder`, else its
    port itself, found by `find` and opened by `direct`."""

    def __init__(self, folder: Path, find: Callable[[str], str], direct: Consoles) -> None:
        self._folder = folder
        self._find = find
        self._direct = direct

    def open(self, address: str, baud: int, *, mlperf: bool = False) -> Console:
        """`address`: the board's name. `mlperf`: MLPerf's replies are not for the console's log. Raises
        NoSuchBoardError, BoardBusyError, ConsoleError."""
        try:
            return HeldConsole(self._folder, address, baud, mlperf)
        except NoHub:
            return self._direct.open(self._find(address), baud)


@contextmanager
def lent(folder: Path, board: str) -> Iterator[None]:
    """The hub that serves the board's console, if one does, has closed the port meanwhile. Raises
    BoardBusyError."""
    try:
        link = HubLink(folder, board, told(Kind.OPEN, hold=True, lend=True, who=who_we_are()))
    except NoHub:
        yield
        return
    try:
        yield
    finally:
        link.close()


def who_we_are() -> str:
    """For those who find the console held: this program's command and process."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:4]]
    return f"{' '.join(words)[:80]} (process {os.getpid()})"


def _connected(path: Path) -> socket.socket:
    try:
        return connect(path, _TIMEOUT_S)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoHub from error
    except OSError as error:
        raise BoardBusyError(f"cannot reach the console's hub at {path}: {error}", _HINT) from error


def _refusal(answer: Message) -> AgentError:
    try:
        value = answer.json()
        kind = getattr(errors, str(value.get("error")), AgentError)
        what, hint = str(value.get("what")), str(value.get("hint"))
    except ValueError:
        return AgentError("the console's hub refused", _HINT)
    if kind in (errors.NoSuchBoardError, errors.BoardBusyError):
        refused: AgentError = kind(what, hint)
        return refused
    return AgentError(what, hint)
