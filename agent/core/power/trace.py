"""A measurement as a picture: least and most of equal spans of time."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.core.power.samples import Block

SPANS: Final = 400
"""Of a picture: more than a terminal has columns, twice over."""


class Trace:
    """`low_ua`, `high_ua`: least and most [spans]; `counts` of samples. What comes after `seconds` counts in
    the figures of the whole, but in no span."""

    def __init__(self, seconds: float, spans: int = SPANS) -> None:
        self.seconds = seconds
        self.low_ua = np.full(spans, math.inf)
        self.high_ua = np.full(spans, -math.inf)
        self.counts = np.zeros(spans, np.int64)
        self.samples = 0
        self.lost = 0
        self.edges = 0
        self.now_ua = 0.0
        self.charge_uc = 0.0
        self.energy_uj = 0.0
        self.end_s = 0.0
        self._total_ua = 0.0
        self._least_ua = math.inf
        self._most_ua = -math.inf

    @property
    def least_ua(self) -> float:
        return self._least_ua

    @property
    def most_ua(self) -> float:
        return self._most_ua

    @property
    def mean_ua(self) -> float:
        """Of the samples there are; 0 before the first."""
        return self._total_ua / self.samples if self.samples else 0.0

    def feed(self, block: Block) -> None:
        current = block.current_ua.astype(np.float64)
        count = len(current)
        if count == 0:
            return
        offsets = np.zeros(count, np.int64)
        np.add.at(offsets, block.gap_at[block.gap_at > 0], block.gap_lost[block.gap_at > 0])
        at_s = block.start_s + (np.arange(count) + np.cumsum(offsets)) * block.period_s
        place = (at_s / self.seconds * len(self.counts)).astype(np.int64)
        # Spans are in order: each begins where the one before ends.
        begins = np.flatnonzero(np.diff(place, prepend=place[0] - 1))
        shown = begins[(place[begins] >= 0) & (place[begins] < len(self.counts))]
        if len(shown):
            spans = place[shown]
            self.low_ua[spans] = np.minimum(self.low_ua[spans], _of(np.minimum, current, begins, shown))
            self.high_ua[spans] = np.maximum(self.high_ua[spans], _of(np.maximum, current, begins, shown))
            self.counts[spans] += _of(np.add, np.ones(count), begins, shown).astype(np.int64)
        self.samples += count
        self.lost += block.lost
        self.edges += 0 if block.edges is None else len(block.edges)
        self.now_ua = float(current[-1])
        self.end_s = float(at_s[-1]) + block.period_s
        self._total_ua += float(current.sum())
        self._least_ua = min(self._least_ua, float(current.min()))
        self._most_ua = max(self._most_ua, float(current.max()))
        self.charge_uc += float(current.sum()) * block.period_s
        self.energy_uj += float((current * block.supply_mv).sum()) * 1e-3 * block.period_s


def _of(
    what: np.ufunc, current: NDArray[np.float64], begins: NDArray[np.int64], shown: NDArray[np.int64]
) -> NDArray[np.float64]:
    whole: NDArray[np.float64] = what.reduceat(current, begins)
    return whole[np.isin(begins, shown)]
