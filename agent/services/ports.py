"""What the services need from outside; `adapters` implement it, `main` joins both.

Every method blocks and runs in the board's own worker thread. Failures come as AgentError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tinyfleet.agent.core.tally import Metric


@dataclass(frozen=True, slots=True)
class ProbeInfo:
    """A debug probe that is plugged in, not opened."""

    unique_id: str
    description: str
    emulated: bool


Progress = Callable[[float], None]
"""Called with the finished part, 0.0 to 1.0."""


class ProbeSession(Protocol):
    """A board held by its probe. Closing lets the board run on."""

    def read(self, address: int, size: int) -> bytes: ...

    def program(self, sectors: Mapping[int, bytes], progress: Progress) -> None:
        """Erases and writes whole sectors, by address; the core is halted meanwhile."""

    def reset(self) -> None:
        """Resets the board and lets it run."""

    def close(self) -> None: ...


class Probes(Protocol):
    def all(self) -> list[ProbeInfo]: ...

    def open(self, unique_id: str) -> ProbeSession:
        """Raises NoSuchBoardError, BoardBusyError."""


class Console(Protocol):
    def read(self, timeout_s: float) -> bytes:
        """What has arrived, waiting at most that long for the first byte; empty when none came."""

    def write(self, data: bytes) -> None: ...

    def set_baud(self, baud: int) -> None:
        """From now on; nothing where the line has no rate (a socket, a terminal of this host)."""

    def close(self) -> None: ...


class Consoles(Protocol):
    def open(self, address: str, baud: int) -> Console:
        """Raises NoSuchBoardError when there is nothing, BoardBusyError when another program has it."""


class Clock(Protocol):
    def monotonic_s(self) -> float: ...

    def unix_s(self) -> int: ...


class Counting(Protocol):
    """Counters and histograms of core/tally.py. Never fails; every thread and program may count."""

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None: ...

    def observe(self, metric: Metric, value: float, **labels: str) -> None: ...
