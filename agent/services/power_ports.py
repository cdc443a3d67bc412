"""What a run's energy is measured with, from outside; `adapters/power` implement it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tinyfleet.agent.core.power.samples import Block, Meter


class PowerMeter(Protocol):
    """Open, and nobody else's. Every method raises MeterError; `read` and what follows run in one thread."""

    @property
    def meter(self) -> Meter:
        """Who it is and how it was calibrated."""

    def supply(self, on: bool) -> None:
        """Feeds the board, where the meter can: of others it is nothing."""

    def start(self) -> None: ...

    def read(self, timeout_s: float) -> Block | None:
        """What came, waiting at most that long for it; None when nothing did."""

    def stop(self) -> None: ...

    def close(self) -> None:
        """The board stays fed."""


@runtime_checkable
class MadeUp(Protocol):
    """A simulated meter: it has to be told what it should pretend to measure."""

    def inferred(self, count: int) -> None:
        """So many inferences more, each with a pulse of current and its window on the pin."""
