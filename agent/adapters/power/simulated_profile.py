"""What a simulated meter pretends to measure: idling, and a pulse of current for each inference.

Made up throughout. A pulse has the same length and current every time, so that its energy is known exactly;
the window pin rests high and is low for a moment where a pulse begins and where it ends.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

INFERENCES_MAX: Final = 100_000
"""Told of and not measured yet; more are not remembered."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a made-up board."""

    idle_ua: float = 120.0
    busy_ua: float = 4200.0
    busy_s: float = 0.010
    pause_s: float = 0.002
    low_s: float = 30e-6

    def energy_uj(self, supply_mv: float) -> float:
        """Of a pulse, without idling."""
        return self.busy_s * (self.busy_ua - self.idle_ua) * supply_mv / 1000


class Profile:
    """Currents and window pin, sample after sample. `inferred` may be called from another thread."""

    def __init__(self, rate_hz: int, shape: Shape) -> None:
        busy, pause = round(rate_hz * shape.busy_s), round(rate_hz * shape.pause_s)
        low = max(round(rate_hz * shape.low_s), 1)
        self.shape = shape
        self._pulse_ua = np.concatenate([np.full(busy, shape.busy_ua), np.full(pause, shape.idle_ua)])
        self._pulse_high = np.ones(busy + pause, bool)
        self._pulse_high[:low] = self._pulse_high[busy : busy + low] = False
        self._lock = threading.Lock()
        self._waiting = 0
        self._at = 0

    def inferred(self, count: int) -> None:
        with self._lock:
            self._waiting = min(self._waiting + count, INFERENCES_MAX)

    def take(self, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """µA and whether the pin is high, of the next `count` samples."""
        length = len(self._pulse_ua)
        with self._lock:
            place = np.arange(self._at, self._at + count)
            inside = place < self._waiting * length
            done = min((self._at + count) // length, self._waiting)
            self._waiting -= done
            self._at = self._at + count - done * length if self._waiting else 0
        current = np.where(inside, self._pulse_ua[place % length], self.shape.idle_ua)
        high = np.where(inside, self._pulse_high[place % length], True)
        return current, high
