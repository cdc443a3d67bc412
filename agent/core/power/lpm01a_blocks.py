"""An LPM01A's items as blocks of samples: what its time stamps say is missing is counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from tinyfleet.agent.core.power.lpm01a import Edge, Item, Reply, Sample, Stamp
from tinyfleet.agent.core.power.samples import Block

_MICRO: Final = 1e6
_HELD_MAX: Final = 1000


class LpmBlocks:
    """`lost` so far: lines that were cut, and samples that were taken by a time stamp and never came: where
    between two stamps those are missing nobody knows."""

    def __init__(self, rate_hz: int, supply_mv: int, edges: bool) -> None:
        self._rate_hz = rate_hz
        self._supply_mv = supply_mv
        self._edges = edges
        self._held: list[Item] = []
        self._since: tuple[float, int] | None = None
        self.place = 0
        """Samples so far, with those that are missing."""
        self.lost = 0

    def take(self, items: Iterable[Item], zero_s: float) -> Block | None:
        """None when there was no sample among them. `zero_s`: see Block."""
        told = [*self._held, *(item for item in items if not isinstance(item, Reply))]
        whole = [i for i, item in enumerate(told) if isinstance(item, Sample) and item.joules is not None]
        if not whole:
            self._held = told[-_HELD_MAX:]
            return None
        # What came behind the last sample stands before the next one.
        self._held = told[whole[-1] + 1 :][-_HELD_MAX:]
        joules: list[float] = []
        edges: list[int] = []
        gaps: dict[int, int] = {}
        start, unplaced = self.place, 0
        for item in told[: whole[-1] + 1]:
            if isinstance(item, Edge):
                edges.append(len(joules))
            elif isinstance(item, Sample) and item.joules is not None:
                if not joules:
                    start = self.place
                joules.append(item.joules)
                self.place += 1
            elif isinstance(item, Stamp):
                missing = self._missing(item)
                unplaced += missing
                self.place += missing
            else:
                gaps[len(joules)] = gaps.get(len(joules), 0) + 1
                self.place += 1
        self.lost += unplaced + sum(gaps.values())
        amperes = np.array(joules) * self._rate_hz / (self._supply_mv / 1000)
        return Block(
            zero_s=zero_s,
            start_s=start / self._rate_hz,
            period_s=1 / self._rate_hz,
            current_ua=(amperes * _MICRO).astype(np.float32),
            supply_mv=float(self._supply_mv),
            edges=np.array(edges, np.int64) if self._edges else None,
            gap_at=np.array(list(gaps), np.int64),
            gap_lost=np.array(list(gaps.values()), np.int64),
            unplaced=unplaced,
        )

    def _missing(self, stamp: Stamp) -> int:
        """By the samples since the first stamp: one more or less is where between two the stamp stands."""
        if self._since is None:
            self._since = (stamp.at_s, self.place)
            return 0
        began_s, began = self._since
        missing = round((stamp.at_s - began_s) * self._rate_hz) - (self.place - began)
        return missing if missing > 1 else 0
