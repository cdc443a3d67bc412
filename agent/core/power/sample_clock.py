"""When samples were taken, by the host's clock; and what a meter lost without a trace in its counter.

A read comes some time after its last sample was taken: at once at best. So the earliest of many reads tells
when sample 0 was, and a lasting delay tells of samples that are missing: a PPK2's counter sees a loss modulo
64 only. What the host does meanwhile delays reads by milliseconds; less than 10 ms is not told from that.
"""

from __future__ import annotations

from typing import Final

STEP: Final = 64
WINDOW_S: Final = 1.0
NOTICED_S: Final = 0.010


class SampleClock:
    """`rate_hz`: of the meter, as its maker says; how far its clock is off shows as a slow drift, which is
    followed. `step`: of the counter; 0: nothing is missing that is not known."""

    def __init__(self, rate_hz: float, step: int = STEP) -> None:
        self._rate_hz = rate_hz
        self._step = step
        self._count = 0
        self._zero_s: float | None = None
        self._window_end_s = 0.0
        self._least_s = 0.0
        self._late_s: float | None = None

    def time_of(self, sample: int) -> float:
        """Raises ValueError before the first read."""
        if self._zero_s is None:
            raise ValueError("no samples came yet")
        return self._zero_s + sample / self._rate_hz

    @property
    def count(self) -> int:
        """Samples so far, with those that are known to be lost."""
        return self._count

    def add(self, count: int, arrived_s: float) -> int:
        """`count` more samples, with those lost among them, had come by then. How many must be missing
        beside them: a multiple of the counter's steps, mostly 0. They count from now on."""
        self._count += count
        zero_s = arrived_s - self._count / self._rate_hz
        if self._zero_s is None:
            self._zero_s = self._least_s = zero_s
            self._window_end_s = arrived_s + WINDOW_S
        if zero_s < self._zero_s:
            self._zero_s = zero_s
        self._least_s = min(self._least_s, zero_s)
        if arrived_s < self._window_end_s:
            return 0
        missing = self._close_window(self._zero_s)
        self._window_end_s = arrived_s + WINDOW_S
        self._least_s = arrived_s - self._count / self._rate_hz
        return missing

    def _close_window(self, zero_s: float) -> int:
        """A delay counts once two windows in a row have it: one may have been the host's."""
        late_s = self._least_s - zero_s
        if late_s < NOTICED_S or self._step == 0:
            self._zero_s, self._late_s = self._least_s, None
            return 0
        if self._late_s is None:
            self._late_s = late_s
            return 0
        seconds = min(late_s, self._late_s)
        self._late_s = None
        missing = round(seconds * self._rate_hz / self._step) * self._step
        self._count += missing
        self._least_s -= missing / self._rate_hz
        return missing
