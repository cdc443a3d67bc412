"""What a console's reader hands on: bounded queues, each with a count of what did not fit."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tinyfleet.agent.core.console_line import ConsoleLine
from tinyfleet.agent.core.errors import ConsoleError

EVENTS_MAX: Final = 2000
HOLD_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What there is so far of a line without an end; the line follows when it is whole."""

    text: str


@dataclass(frozen=True, slots=True)
class PortState:
    """`up`: the port is open; else `trouble` says why not. `holder`: who has it for a binary protocol."""

    up: bool
    trouble: str
    holder: str | None


@dataclass(frozen=True, slots=True)
class LostLines:
    """So many lines came while nobody took them from the queue."""

    count: int


WatchEvent = ConsoleLine | Unfinished | PortState | LostLines


class Watch:
    """A console's lines for one watcher. When it is slow, the oldest are given up, and counted."""

    def __init__(self, left: Callable[[Watch], None]) -> None:
        self.lost_lines = 0
        self._left = left
        self._events: collections.deque[WatchEvent] = collections.deque()
        self._untold = 0
        self._ended = False
        self._changed = threading.Condition()

    def put(self, event: WatchEvent) -> None:
        with self._changed:
            if isinstance(event, Unfinished) and self._events and isinstance(self._events[-1], Unfinished):
                self._events.pop()
            if len(self._events) >= EVENTS_MAX:
                dropped = self._events.popleft()
                self._untold += isinstance(dropped, ConsoleLine)
                self.lost_lines += isinstance(dropped, ConsoleLine)
            self._events.append(event)
            self._changed.notify()

    def next(self, timeout_s: float) -> WatchEvent | None:
        """What came next, waiting at most that long; None when nothing did. EOFError once the hub ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._ended, timeout_s)
            if self._untold:
                lost, self._untold = self._untold, 0
                return LostLines(lost)
            if self._events:
                return self._events.popleft()
            if self._ended:
                raise EOFError("the console's hub ended")
            return None

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        self._left(self)
        self.end()


class Hold:
    """`services.ports.Console` by a hub. `who` has it. What nobody read beyond HOLD_MAX_BYTES is lost, as on
    a line; `lost_bytes` counts it."""

    def __init__(
        self,
        board: str,
        who: str,
        baud: int,
        send: Callable[[Hold, bytes], None],
        release: Callable[[Hold], None],
    ) -> None:
        self.who = who
        self.baud = baud
        self.lost_bytes = 0
        self._board = board
        self._send = send
        self._release = release
        self._chunks: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._trouble: str | None = None
        self._changed = threading.Condition()

    def put(self, data: bytes) -> None:
        with self._changed:
            if self._size + len(data) > HOLD_MAX_BYTES:
                self.lost_bytes += len(data)
                return
            self._chunks.append(data)
            self._size += len(data)
            self._changed.notify()

    def breaks(self, trouble: str) -> None:
        with self._changed:
            self._trouble = self._trouble or trouble
            self._changed.notify()

    def read(self, timeout_s: float) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._trouble is not None, timeout_s)
            if not self._chunks and self._trouble is not None:
                raise self._broken("read")
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
            return data

    def write(self, data: bytes) -> None:
        if self._trouble is not None:
            raise self._broken("write")
        self._send(self, data)

    def set_baud(self, baud: int) -> None:
        """Not here: a hold has its rate from when it began."""
        raise ValueError(f"the console is held at {self.baud} baud: let it go, and hold it at {baud}")

    def close(self) -> None:
        self._release(self)
        self.breaks("it was let go")

    def _broken(self, step: str) -> ConsoleError:
        return ConsoleError(
            self._board,
            f"console {step}",
            str(self._trouble),
            "check the cable; an emulated board may have died",
        )
