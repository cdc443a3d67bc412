"""What the services need from outside; `adapters` implement it, `main` joins both.

Every method blocks and runs in the board's own worker thread. Failures come as AgentError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tinyfleet.agent.core.host_devices import ProbeInfo as ProbeInfo
from tinyfleet.agent.core.tally import Metric

Progress = Callable[[float], None]
"""Called with the finished part, 0.0 to 1.0."""


class ProbeSession(Protocol):
    """A board held by its probe. Closing lets the board run on."""

    def read(self, address: int, size: int) -> bytes: ...

    def sectors(self, address: int, size: int) -> list[tuple[int, int]]:
        """Address and bytes of each flash sector that lies there, as the probe's software knows the part.
        Raises PlanError when some of it is no flash."""

    def program(self, sectors: Mapping[int, bytes | bytearray], progress: Progress) -> None:
        """Erases and writes whole sectors, by address; the core is halted meanwhile."""

    def write_words(self, words: Sequence[tuple[int, int]]) -> None:
        """Writes 32-bit values to addresses, in order: registers, or what a register opened."""

    def reset(self) -> None:
        """Resets the board and lets it run."""

    def close(self) -> None: ...


class Probes(Protocol):
    def all(self) -> list[ProbeInfo]: ...

    def open(self, unique_id: str, part: str | None = None) -> ProbeSession:
        """`part` names the chip where the probe does not know it. Raises NoSuchBoardError, BoardBusyError."""

    def turn(self, unique_id: str, timeout_s: float) -> AbstractContextManager[None]:
        """To be held while a board is programmed: not all probes are worth being used at once. Raises
        BoardBusyError when it does not come."""


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


@dataclass(frozen=True, slots=True)
class SmpSlot:
    """What a node says of one of its slots; `image` 0 is the firmware, 1 the model."""

    image: int
    slot: int
    digest: bytes | None
    version: str
    active: bool
    pending: bool
    confirmed: bool


class SmpSession(Protocol):
    """A node reached by SMP. What it refuses comes as BoardSaidNo, silence as StepTimeout."""

    def slots(self) -> tuple[SmpSlot, ...]: ...

    def upload(self, image: bytes, number: int, progress: Progress) -> None:
        """Goes on where an upload of the same image was broken off."""

    def test(self, digest: bytes) -> None:
        """Begins the trial of an image that was sent: a firmware's with the next reset."""

    def confirm(self, digest: bytes) -> None:
        """For what runs on trial; a node that confirms by itself refuses."""

    def reset(self) -> None: ...

    def statistics(self, group: str) -> dict[str, int]:
        """By name."""

    def close(self) -> None: ...


class SmpDoors(Protocol):
    def open(self, board: str, address: str, baud: int) -> SmpSession:
        """`address` is `udp://HOST:PORT` or that of a console. Raises StepFailed, NoSuchBoardError,
        BoardBusyError."""


class Tools(Protocol):
    """Vendors' programs."""

    def run(self, board: str, command: tuple[str, ...], timeout_s: float) -> None:
        """Ends it, and what it started, when it takes too long. Raises StepFailed with the end of what it
        said."""

    def close(self) -> None:
        """Ends those that run."""


class Clock(Protocol):
    def monotonic_s(self) -> float: ...

    def unix_s(self) -> int: ...


class Counting(Protocol):
    """Counters and histograms of core/tally.py. Never fails; every thread and program may count."""

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None: ...

    def observe(self, metric: Metric, value: float, **labels: str) -> None: ...
