"""What a power meter tells: runs of samples, and who it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Currents = NDArray[np.float32]
Bits = NDArray[np.uint8]
Indices = NDArray[np.int64]

NONE: Indices = np.zeros(0, np.int64)
NO_CURRENT: Currents = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Meter:
    """Which meter a figure came from. `name` says "simulated" when it is; so does `serial`.

    `calibration`: as the meter tells it. `accuracy`: relative limits of error (0.02: within 2 %), by whoever
    calibrated it; None: not known, and then no part of any uncertainty. `logic_inputs`: how many.
    `counts_modulo`: a loss of so many samples in one place leaves no trace, so that what is counted was lost
    at least; 0: every loss shows.
    """

    name: str
    serial: str
    calibration: str
    rate_hz: float
    logic_inputs: int
    simulated: bool
    accuracy: float | None = None
    counts_modulo: int = 0

    @property
    def label(self) -> str:
        return f"{self.name} {self.serial}"


@dataclass(frozen=True, slots=True)
class Block:
    """Samples that follow each other, `period_s` apart but for gaps; at least one.

    `current_ua` [samples]; `supply_mv`: [samples], or one for all. Before sample `gap_at[i]` of this block
    `gap_lost[i]` are missing. `unplaced`: missing, too, by the clock, nobody knows where; they count as
    before the first. `edges`: before which samples the window pin fell, None where no pin is watched; what
    was before an edge shows in `settle` samples behind it, too.
    `start_s`: of the first sample, by the meter's own clock, which was 0 at `zero_s` of the host's monotonic
    one, as well as that is known by now.
    """

    zero_s: float
    start_s: float
    period_s: float
    current_ua: Currents
    supply_mv: float | Currents
    edges: Indices | None = None
    gap_at: Indices = field(default_factory=lambda: NONE)
    gap_lost: Indices = field(default_factory=lambda: NONE)
    unplaced: int = 0
    settle: int = 0

    @property
    def lost(self) -> int:
        return int(self.gap_lost.sum()) + self.unplaced


class FallingEdges:
    """Where one of several logic inputs falls, over pieces of any size."""

    def __init__(self, logic_input: int) -> None:
        self._bit = np.uint8(1 << logic_input)
        self._was_high = False

    def find(self, logic: Bits) -> Indices:
        """Indices of the first low samples. An input that was never high has not fallen."""
        if len(logic) == 0:
            return NONE
        high = (logic & self._bit) != 0
        before = np.concatenate([np.array([self._was_high]), high[:-1]])
        self._was_high = bool(high[-1])
        return np.flatnonzero(before & ~high).astype(np.int64)
