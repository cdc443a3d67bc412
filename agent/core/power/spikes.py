"""The PPK2's spike filter: for three samples after a change of range a running mean stands for the sample.

A sample's running mean is alpha x sample + (1 - alpha) x the mean before it. It is worked out only where it
is needed, from the samples before the change: what lies 384 back weighs (1 - 0.06)^384, less than 1e-10.
In range 4 (the largest) the slower mean is used, and the first two samples do not count in either.
Source: Nordic's pc-nrfconnect-ppk, for the facts alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.core.power.samples import NO_CURRENT, NONE, Currents, Indices

ALPHA: Final = 0.18
ALPHA_LARGEST: Final = 0.06
FILTERED: Final = 3
_SKIPPED: Final = 2
_LARGEST: Final = 4
_BACK: Final = 384
_BATCH: Final = 2048
"""Changes worked out at once: some 6 MB."""


def _weights(alpha: float) -> NDArray[np.float64]:
    return alpha * (1 - alpha) ** np.arange(_BACK - 1, -1, -1, dtype=np.float64)


_WEIGHTS: Final = (_weights(ALPHA), _weights(ALPHA_LARGEST))
_ALPHAS: Final = np.array([ALPHA, ALPHA_LARGEST])
_SPAN: Final = np.arange(_BACK)


class SpikeFilter:
    """Samples in order, in pieces of any size: the pieces change nothing."""

    def __init__(self) -> None:
        self._history = NO_CURRENT
        self._range = 0
        self._since = FILTERED

    def apply(self, current_ua: Currents, ranges: NDArray[np.uint8] | None) -> None:
        """Replaces in place what the filter says. `ranges` [samples], 0 to 4; None: all that of the last
        sample before, so that nothing changes. Not None for the first samples."""
        if len(current_ua) == 0:
            return
        if len(self._history) == 0:
            if ranges is None:
                raise ValueError("the first samples come without their ranges")
            # A mean begins with the first sample: as if there had never been another.
            self._history = np.full(_BACK, current_ua[0], np.float32)
            self._range = int(ranges[0])
        if ranges is None and self._since >= FILTERED:
            tail = current_ua[-_BACK:]
            self._history = np.concatenate([self._history, tail])[-_BACK:]
            return
        if ranges is None:
            ranges = np.full(len(current_ua), self._range, np.uint8)
        self._filter(current_ua, ranges)

    def _filter(self, current_ua: Currents, ranges: NDArray[np.uint8]) -> None:
        count = len(ranges)
        changes = np.flatnonzero(ranges[1:] != ranges[:-1]).astype(np.int64) + 1
        if ranges[0] != self._range:
            changes = np.concatenate([np.zeros(1, np.int64), changes])
        elif self._since < FILTERED:
            # A change of the piece before, some of whose three samples are in this one.
            changes = np.concatenate([np.array([-self._since], np.int64), changes])
        largest = ranges[np.maximum(changes, 0)] == _LARGEST
        ends = np.minimum(changes + FILTERED, np.append(changes[1:], count))
        skipped, counted = NONE, current_ua
        if largest.any():
            skipped = np.concatenate([changes[largest] + off for off in range(_SKIPPED)])
            skipped = np.sort(skipped[(skipped >= 0) & (skipped < np.tile(ends[largest], _SKIPPED))])
            counted = np.delete(current_ua, skipped)
        raw = np.concatenate([self._history, counted])
        self._history = raw[-_BACK:].copy()
        for at in range(0, len(changes), _BATCH):
            part = slice(at, at + _BATCH)
            _replace(current_ua, raw, skipped, changes[part], ends[part], largest[part])
        if len(changes):
            self._since = min(int(count - changes[-1]), FILTERED)
        self._range = int(ranges[-1])


def _replace(
    current_ua: Currents,
    raw: Currents,
    skipped: Indices,
    changes: Indices,
    ends: Indices,
    largest: NDArray[np.bool_],
) -> None:
    """`raw`: the samples without those `skipped`, behind as many of history as a mean needs."""
    first = _counted(np.maximum(changes, 0), skipped)
    rows = raw[first[:, None] + _SPAN].astype(np.float64)
    # Not by BLAS: its threads cost more than they save here.
    means = np.stack([np.einsum("ij,j->i", rows, weights) for weights in _WEIGHTS], axis=1)
    for off in range(FILTERED):
        at = changes + off
        here = (at >= 0) & (at < ends)
        moves = here & ~(largest & (off < _SKIPPED))
        sample = raw[_BACK + _counted(at[moves], skipped)].astype(np.float64)
        means[moves] += _ALPHAS * (sample[:, None] - means[moves])
        current_ua[at[here]] = np.where(largest, means[:, 1], means[:, 0])[here]


def _counted(places: Indices, skipped: Indices) -> Indices:
    """Where these samples are without the skipped ones."""
    return places - np.searchsorted(skipped, places) if len(skipped) else places
