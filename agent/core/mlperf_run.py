"""What MLPerf Tiny asks of a run, and what a run gave: `MLPerfTiny_Rules.adoc`, `benchmark/runner`.

The rules ask for 5 windows of at least 10 s each and take the median. They are held here to the time that the
board, or the meter at its pin, measured: a host sees the line and its own business, too.
"""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tinyfleet.agent.core.bench_run import RunResult

WINDOWS: Final = 5
WINDOW_S: Final = 10.0
MARGIN: Final = 1.03
"""So much longer than 10 s a window is meant to be: no inference takes exactly as long as another."""
EMULATED: Final = "emulated, instruction-timed"


class Mode(enum.Enum):
    ACCURACY = "accuracy"
    PERFORMANCE = "performance"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`input_bytes` of one inference; `quality` that a submission must reach, of top-1 or AUC; `warmups` as
    the public scripts have them."""

    name: str
    input_bytes: int
    quality: float
    warmups: int
    by_auc: bool = False


BENCHMARKS: Final = {
    each.name: each
    for each in (
        Benchmark("kws01", 490, 0.90, 10),
        Benchmark("vww01", 27648, 0.80, 5),
        Benchmark("ic01", 3072, 0.85, 5),
        Benchmark("ad01", 2560, 0.85, 10, by_auc=True),
    )
}
WARMUPS: Final = 10
"""Of any other model."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of an evaluation set: what is sent of it, one input after the other (an anomaly's windows
    slide over it), and its class."""

    name: str
    label: int
    inputs: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Window:
    """`inferences` in a row, in `duration_us` by the board, or between the meter's edges; `energy_uj` that
    the meter saw between those, `lost` of its samples missing (their neighbours stand for them)."""

    inferences: int
    duration_us: float
    energy_uj: float | None = None
    lost: int = 0

    @property
    def throughput(self) -> float:
        """Inferences a second."""
        return self.inferences / self.duration_us * 1e6

    @property
    def energy_per_inference_uj(self) -> float | None:
        return None if self.energy_uj is None else self.energy_uj / self.inferences


@dataclass(frozen=True, slots=True)
class MlperfResult:
    """`run` is the same record that the framed protocol gives. `auc` where the benchmark is judged by it.
    `objections`: why this is no score by the rules; empty where it might be. `meter` measured the energy;
    `calibration`: as it told."""

    mode: Mode
    name: str
    profile: str
    benchmark: str
    run: RunResult
    windows: tuple[Window, ...] = ()
    auc: float | None = None
    meter: str | None = None
    calibration: str | None = None
    objections: tuple[str, ...] = ()

    @property
    def throughput(self) -> float | None:
        """Median of the windows, inferences a second."""
        if not self.windows:
            return None
        return statistics.median(window.throughput for window in self.windows)

    @property
    def energy_uj(self) -> float | None:
        """Median of the windows, an inference, what idling takes included: so the rules have it."""
        each = [window.energy_per_inference_uj for window in self.windows]
        measured = [value for value in each if value is not None]
        return statistics.median(measured) if measured and len(measured) == len(each) else None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.run.to_json(),
            "protocol": "mlperf",
            "mode": self.mode.value,
            "name": self.name,
            "profile": self.profile,
            "benchmark": self.benchmark,
            "auc": self.auc,
            "throughput": self.throughput,
            "energy_per_inference_uj": self.energy_uj,
            "meter": self.meter,
            "calibration": self.calibration,
            "objections": list(self.objections),
            "mlperf_windows": [
                {
                    "inferences": window.inferences,
                    "duration_us": window.duration_us,
                    "energy_uj": window.energy_uj,
                    "lost_samples": window.lost,
                }
                for window in self.windows
            ],
        }


def inferences_for(duration_us: float, window_s: float = WINDOW_S) -> int:
    """How many inferences of that length a window takes."""
    return max(1, math.ceil(window_s * 1e6 * MARGIN / max(duration_us, 0.001)))


def objections(
    mode: Mode, benchmark: str, windows: Sequence[Window], quality: float | None, *, emulated: bool
) -> tuple[str, ...]:
    """What keeps a result from being a score by the rules, of what can be seen from here."""
    found = [EMULATED] if emulated else []
    known = BENCHMARKS.get(benchmark)
    if known is None:
        found.append(f"{benchmark or 'the model'} is none of MLPerf Tiny's benchmarks")
    if mode is Mode.ACCURACY:
        if known is not None and quality is not None and quality < known.quality:
            kind = "AUC" if known.by_auc else "top-1"
            found.append(f"{kind} {quality:.3f} is below {known.quality:g}")
    else:
        if len(windows) != WINDOWS:
            found.append(f"{len(windows)} windows, the rules ask for {WINDOWS}")
        lost = sum(window.lost for window in windows)
        if lost:
            found.append(f"{lost} samples of the meter were lost")
        short = [window.duration_us / 1e6 for window in windows if window.duration_us < WINDOW_S * 1e6]
        if short:
            found.append(f"a window took {min(short):.3f} s, the rules ask for {WINDOW_S:g} s")
    return tuple(found)


def top_of(results: Sequence[float]) -> int:
    """The class with the highest result; the first of equals. Normalising to a sum of 1, as the public
    runner does, leaves it where it is."""
    return max(range(len(results)), key=lambda i: (results[i], -i))


def area_under_curve(scores: Sequence[float], labels: Sequence[int]) -> float | None:
    """Of the receiver operating characteristic: how often a sample of class 1 scores above one of class 0,
    equal scores counting half (Hanley and McNeil 1982). None where one of the classes is absent."""
    positive = sum(label != 0 for label in labels)
    negative = len(labels) - positive
    if not positive or not negative:
        return None
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    rank_sum, at = 0.0, 0
    while at < len(order):
        end = at
        while end < len(order) and scores[order[end]] == scores[order[at]]:
            end += 1
        shared = (at + 1 + end) / 2
        rank_sum += shared * sum(labels[i] != 0 for i in order[at:end])
        at = end
    return (rank_sum - positive * (positive + 1) / 2) / (positive * negative)
