"""The LPM01A's (ST X-NUCLEO-LPM01A, "PowerShield") lines, in ASCII, ended by `\\r\\n`.

A command is answered by `PowerShield > ack COMMAND` or `error COMMAND`. While it measures, each sample is a
line: `6409-07` is 6409 x 10^-7, here the joules since the last one. `TimeStamp: 001s 000ms, buff 00%` says
how far its clock is and how full its buffer; `event N ris` that its D7 saw the edge it was told to watch.
Sources: UM2269, and mlcommons/tiny's runner for how it is driven.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

BAUD: Final = 3_686_400
PROMPT: Final = "PowerShield >"
DONE: Final = "Acquisition completed"
RATES_HZ: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""In ASCII without an end; faster ones stop by themselves after a second or less."""
SUPPLY_MIN_MV: Final = 1800
SUPPLY_MAX_MV: Final = 3300
LINE_MAX: Final = 256
_SAMPLE = re.compile(rb"^(\d{4})([+-])(\d{2})$")
_STAMP = re.compile(rb"^TimeStamp: *(\d+)s *(\d+)ms(?:, *buff *(\d+)%)?")
_EVENT = re.compile(rb"^event +(\d+) +(?:ris|fal)")


@dataclass(frozen=True, slots=True)
class Sample:
    """Joules since the one before; None: a line that was cut, of which only that it was one is known."""

    joules: float | None


@dataclass(frozen=True, slots=True)
class Stamp:
    """The meter's clock; `buffer_pct`: what waits in it to be sent."""

    at_s: float
    buffer_pct: int


@dataclass(frozen=True, slots=True)
class Edge:
    """The watched input had its edge, after the last sample."""

    number: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Any other line, without the prompt."""

    text: str


Item = Sample | Stamp | Edge | Reply


class LineReader:
    """Bytes of any size in, items out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Item]:
        *lines, rest = (self._rest + data).split(b"\n")
        # No line is that long: what has no end is noise.
        self._rest = rest[-LINE_MAX:]
        return [item for line in lines if (item := _item(line.strip(b"\r\x00 "))) is not None]


def _item(line: bytes) -> Item | None:
    if not line:
        return None
    match = _SAMPLE.match(line)
    if match is not None:
        return Sample(float(match[1] + b"e" + match[2] + match[3]))
    match = _STAMP.match(line)
    if match is not None:
        return Stamp(int(match[1]) + int(match[2]) / 1000, int(match[3] or 0))
    match = _EVENT.match(line)
    if match is not None:
        return Edge(int(match[1]))
    text = line.decode("ascii", errors="replace").replace(PROMPT, "").strip()
    if re.fullmatch(r"[\d+\-]{1,13}", text):
        return Sample(None)
    return Reply(text) if text else None


def setup(supply_mv: int, rate_hz: int) -> tuple[str, ...]:
    """The commands before `start`, in order. ValueError for what the meter cannot do."""
    if not SUPPLY_MIN_MV <= supply_mv <= SUPPLY_MAX_MV:
        raise ValueError(f"{supply_mv} mV, expected {SUPPLY_MIN_MV} to {SUPPLY_MAX_MV}")
    if rate_hz not in RATES_HZ:
        raise ValueError(f"{rate_hz} Hz, expected one of {', '.join(map(str, RATES_HZ))}")
    rate = f"{rate_hz // 1000}k" if rate_hz >= 1000 else f"{rate_hz}"
    return (
        "acqtime inf",
        "trigdelay 0",
        "trigsrc sw",
        "eventsrc d7 fal",
        "output energy",
        "format ascii_dec",
        f"freq {rate}",
        f"volt {supply_mv}m",
    )
