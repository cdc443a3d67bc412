"""What a board says, line by line: frames and the lines of binary protocols taken out, times put on.

A line in a log: `2026-11-21T20:57:01.123456Z 12345.678901 text`: the host's time of day, its monotonic clock
in seconds (which no correction of the former moves), the text with control characters escaped.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Final

from tinyfleet.wire.frame import Broken, FrameDecoder, Line

NOTE: Final = "-- "
"""How a line begins that is not the board's but the agent's own, about the console."""
_SMP: Final = ("\x06\t", "\x04\x14")
_MLPERF: Final = ("m-", "e-[")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_LOGGED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z (\d{1,12}\.\d{6}) (.*)")


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """`monotonic_s` and `wall_s` (since 1970): the host's clocks when its end came."""

    monotonic_s: float
    wall_s: float
    text: str


def printable(text: str) -> str:
    """Without control characters: what a board says must not move a terminal's cursor, or end a line."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def format_line(line: ConsoleLine) -> str:
    """As it stands in a log, without the line's end."""
    when = datetime.datetime.fromtimestamp(line.wall_s, datetime.UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}Z {line.monotonic_s:.6f} {printable(line.text)}"


def parse_line(text: str) -> ConsoleLine | None:
    """A line of a log; None where it is none (a log may have been cut off by a full disk)."""
    found = _LOGGED.fullmatch(text)
    if found is None:
        return None
    try:
        when = datetime.datetime.fromisoformat(found[1] + "+00:00")
    except ValueError:
        return None
    return ConsoleLine(float(found[2]), when.timestamp(), found[3])


class LineStream:
    """Cuts a console's bytes into lines. `mlperf`: whether MLPerf's replies are a program's, not a person's;
    frames and SMP's lines always are. `broken` counts frames that came damaged."""

    def __init__(self) -> None:
        self.mlperf = False
        self.broken = 0
        self._decoder = FrameDecoder()
        self._told = ""

    def feed(self, data: bytes, monotonic_s: float, wall_s: float) -> list[ConsoleLine]:
        lines = []
        for item in self._decoder.feed(data):
            if isinstance(item, Broken):
                self.broken += 1
            elif isinstance(item, Line):
                self._told = ""
                if not self._is_a_program_s(item.text):
                    lines.append(ConsoleLine(monotonic_s, wall_s, item.text))
        return lines

    def unfinished(self) -> str | None:
        """The text of a line whose end has not come (a prompt, say), once it is longer than when this was
        asked last; else None."""
        held = self._decoder.text_held
        if held == self._told or self._is_a_program_s(held):
            return None
        self._told = held
        return held

    def end(self, monotonic_s: float, wall_s: float) -> list[ConsoleLine]:
        """What is left when the port has gone."""
        left = self._decoder.text_held
        self._decoder = FrameDecoder()
        self._told = ""
        return [ConsoleLine(monotonic_s, wall_s, left)] if left.strip() else []

    def _is_a_program_s(self, text: str) -> bool:
        return text.startswith(_SMP) or (self.mlperf and text.startswith(_MLPERF))
