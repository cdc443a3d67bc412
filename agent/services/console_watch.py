"""Waits for what a board says: patterns with time-outs, over any watch of its console."""

from __future__ import annotations

import collections
import re
from typing import Final, Protocol

from tinyfleet.agent.core.console_line import ConsoleLine, printable
from tinyfleet.agent.core.errors import StepTimeout
from tinyfleet.agent.services.console_queues import LostLines, WatchEvent

SHOWN_LINES: Final = 5
_WAIT_S: Final = 0.5


class Lines(Protocol):
    def next(self, timeout_s: float) -> WatchEvent | None: ...


class Monotonic(Protocol):
    def monotonic_s(self) -> float: ...


class ConsoleExpecter:
    """Each line is looked at once: what one `expect` passed over, no later one sees. Not for two threads."""

    def __init__(self, board: str, lines: Lines, clock: Monotonic) -> None:
        self._board = board
        self._lines = lines
        self._clock = clock
        self._last: collections.deque[str] = collections.deque(maxlen=SHOWN_LINES)
        self._lost = 0

    def expect(self, pattern: str | re.Pattern[str], timeout_s: float) -> ConsoleLine:
        """The next line that the pattern is found in. Raises StepTimeout with the last lines that came."""
        wanted = re.compile(pattern)
        end_s = self._clock.monotonic_s() + timeout_s
        while (left_s := end_s - self._clock.monotonic_s()) > 0:
            event = self._lines.next(min(left_s, _WAIT_S))
            if isinstance(event, LostLines):
                self._lost += event.count
            if isinstance(event, ConsoleLine):
                self._last.append(printable(event.text))
                if wanted.search(event.text):
                    return event
        lost = f" ({self._lost} lines were lost: they came too fast)" if self._lost else ""
        said = " | ".join(self._last) or "nothing"
        raise StepTimeout(
            *(self._board, "console", f"no line with {wanted.pattern!r} within {timeout_s:g} s{lost}"),
            f"it said last: {said}",
        )
