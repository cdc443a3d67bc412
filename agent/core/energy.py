"""Energy of an inference: what a meter's samples add up to over windows, minus what idling takes.

Per inference, over W windows of n inferences each, of energy E_w and length T_w:

    e_w = (E_w - P T_w) / n          e = mean of the e_w          P = (P_before + P_after) / 2

with P_before and P_after measured while the board idles, before and after the run. The standard uncertainty
of e follows the GUM (JCGM 100:2008), its parts taken as independent (5.1.2):

    statistical   s(e_w) / sqrt(W), from the scatter of the windows (4.2.3)
    idle          T/n x s(P_i) / sqrt(k) of the k pieces in which idling was measured (4.2.3)
    drift         T/n x |P_after - P_before| / sqrt(12): idling may have had any power between (4.3.7)
    lost          lost samples may have had any power that was seen: half of that range x their time, as the
                  half-width of a rectangular distribution (4.3.7), all wrong in the same direction; the whole
                  range for those of which nobody knows whether they were in a window
    edges         e x t / T / sqrt(3): the pin's edges are known to a sample of length t, so that a window may
                  lack or have one too many (4.3.7). More windows make it no less: inferences that take whole
                  samples fall on the same place of one each time. Not there where the pin was not used: the
                  board idles where such a window begins and ends
    accuracy      e_gross x a / sqrt(3), for a meter that is right within a (4.3.7); not there when unknown

A single window has no scatter: idling's stands for it. Lost samples count with the mean of their neighbours.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.core.power.samples import NONE, Block, Meter
from tinyfleet.wire.enums import EnergyWindow

STEP_S: Final = 0.01
"""How finely a run's energy is remembered, but for the edges of its windows."""
STEPS_MAX: Final = 1_000_000
"""Nearly three hours."""
EDGES_MAX: Final = 1_000_000
"""Of the window pin, two an inference: some 200 MB. More are noise."""
COVERAGE: Final = 2.0
"""Of the expanded uncertainty: about 95 % (GUM 6.3.3)."""
_NJ: Final = 1000
_LABEL_BYTES: Final = 48
_CALIBRATION_BYTES: Final = 72


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, and what had been used and lost until then."""

    at_s: float
    energy_uj: float
    lost: float


class Integral:
    """Adds up blocks as they come; knows the energy until any moment of the meter's clock, to a sample at the
    pin's edges and by straight lines between steps of 10 ms elsewhere. `zero_s`: see Block."""

    def __init__(self) -> None:
        self._marks = np.zeros((1024, 3))
        self._count = 0
        self._energy_uj = 0.0
        self._lost = 0
        self._last_uw: float | None = None
        self._end_s = 0.0
        self.zero_s = 0.0
        self.supply_mv = 0.0
        """Of the newest block."""
        self.samples = 0
        self.low_uw = math.inf
        self.high_uw = -math.inf
        self._settling = NONE
        self.unplaced = 0
        """Of `lost`: nobody knows when."""
        self.edges: list[Mark] = []
        self.settled: list[Mark] = []
        """For each edge, once what was before it does not show any more."""

    @property
    def lost(self) -> int:
        return self._lost

    @property
    def end_s(self) -> float:
        """Until when samples have come, by the meter's clock; 0 before the first."""
        return self._end_s

    def feed(self, block: Block) -> None:
        """ValueError once more than STEPS_MAX steps, or EDGES_MAX edges, would have to be remembered."""
        count = len(block.current_ua)
        if count == 0:
            return
        if block.edges is not None and len(self.edges) + len(block.edges) > EDGES_MAX:
            raise ValueError(f"the window pin fell more than {EDGES_MAX} times: is its wire loose?")
        power_uw = block.current_ua.astype(np.float64) * block.supply_mv * 1e-3
        before_uw = power_uw[0] if self._last_uw is None else self._last_uw
        lost = np.zeros(count, np.int64)
        missed_uj = np.zeros(count)
        at, gaps = block.gap_at, block.gap_lost
        neighbours = (np.concatenate([[before_uw], power_uw[:-1]])[at] + power_uw[at]) / 2
        np.add.at(lost, at, gaps)
        np.add.at(missed_uj, at, neighbours * gaps * block.period_s)
        if block.unplaced:
            lost[0] += block.unplaced
            missed_uj[0] += float(power_uw.mean()) * block.unplaced * block.period_s
        # [i]: until the begin of sample i, with what is missing before it; [count]: until the block's end.
        lost_until = np.append(self._lost + np.cumsum(lost), 0)
        lost_until[-1] = lost_until[-2]
        own = np.concatenate([np.zeros(1), np.cumsum(power_uw * block.period_s)])
        energy_until = self._energy_uj + own + np.append(np.cumsum(missed_uj), missed_uj.sum())
        place = np.arange(count + 1) + (lost_until - lost_until[0])
        time_until = block.start_s + place * block.period_s
        edges = NONE if block.edges is None else block.edges
        settling = np.concatenate([self._settling, edges + block.settle])
        self._settling = settling[settling > count] - count
        for places, marks in ((edges, self.edges), (settling[settling <= count], self.settled)):
            until = (time_until[places], energy_until[places], lost_until[places])
            marks += [Mark(*values) for values in zip(*(each.tolist() for each in until), strict=True)]
        if self._count == 0:
            self._remember(np.array([[block.start_s, 0.0, 0.0]]))
        steps = max(1, math.ceil(float(time_until[-1] - time_until[0]) / STEP_S))
        chosen = np.unique(np.linspace(0, count, steps + 1).astype(int)[1:])
        self._remember(np.stack([time_until[chosen], energy_until[chosen], lost_until[chosen]], axis=1))
        self.zero_s = block.zero_s
        self.supply_mv = float(np.mean(block.supply_mv))
        self.unplaced += block.unplaced
        self.samples += count
        self.low_uw = min(self.low_uw, float(power_uw.min()))
        self.high_uw = max(self.high_uw, float(power_uw.max()))
        self._energy_uj, self._lost = float(energy_until[-1]), int(lost_until[-1])
        self._last_uw, self._end_s = float(power_uw[-1]), float(time_until[-1])

    def at(self, moment_s: float) -> Mark:
        """ValueError outside of what was measured."""
        marks = self._marks[: self._count]
        if not self._count or not marks[0, 0] <= moment_s <= marks[-1, 0]:
            raise ValueError("the meter had no samples of that moment")
        energy_uj, lost = (float(np.interp(moment_s, marks[:, 0], marks[:, i])) for i in (1, 2))
        return Mark(moment_s, energy_uj, lost)

    def pieces_uw(self, begin_s: float, end_s: float) -> NDArray[np.float64]:
        """Mean power of each remembered step that lies whole between both. [steps]"""
        marks = self._marks[: self._count]
        inside = marks[(marks[:, 0] >= begin_s) & (marks[:, 0] <= end_s)]
        spans = np.diff(inside, axis=0)
        spans = spans[spans[:, 0] > 0]
        return spans[:, 1] / spans[:, 0]

    def _remember(self, marks: NDArray[np.float64]) -> None:
        if self._count + len(marks) > STEPS_MAX:
            raise ValueError(f"more than {STEPS_MAX * STEP_S / 3600:.1f} hours of samples in one run")
        while self._count + len(marks) > len(self._marks):
            self._marks = np.concatenate([self._marks, np.zeros_like(self._marks)])
        self._marks[self._count : self._count + len(marks)] = marks
        self._count += len(marks)


@dataclass(frozen=True, slots=True)
class Idle:
    """What idling takes, by two measurements around a run. `scatter_uw`: standard deviation of `pieces`
    means of 10 ms or less each."""

    before_uw: float
    after_uw: float
    scatter_uw: float
    pieces: int

    @property
    def mean_uw(self) -> float:
        return (self.before_uw + self.after_uw) / 2


def idle(integral: Integral, before: tuple[float, float], after: tuple[float, float]) -> Idle:
    """`before` and `after`: begin and end in seconds. ValueError with fewer than two pieces in one."""
    parts = [integral.pieces_uw(*span) for span in (before, after)]
    if min(map(len, parts)) < 2:
        raise ValueError("idling was measured too shortly")
    means = [(integral.at(b).energy_uj - integral.at(a).energy_uj) / (b - a) for a, b in (before, after)]
    scatter = [part - part.mean() for part in parts]
    count = sum(map(len, parts))
    variance = float(sum((part**2).sum() for part in scatter)) / (count - 2)
    return Idle(means[0], means[1], math.sqrt(variance), count)


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of an inference, net of idling, and where it comes from.

    `by`: how the windows were found. `parts_uj`: of the standard uncertainty, by name; without "accuracy"
    the meter's own is not known and not in it. `window_s`: mean length a window. `note`: what else a reader
    must know.
    """

    meter: Meter
    by: EnergyWindow
    inferences: int
    windows: int
    energy_uj: float
    gross_uj: float
    parts_uj: dict[str, float]
    idle: Idle
    window_s: float
    supply_mv: float
    lost: int
    samples: int
    note: str | None = None

    @property
    def simulated(self) -> bool:
        return self.meter.simulated

    @property
    def uncertainty_uj(self) -> float:
        """Standard uncertainty."""
        return math.sqrt(sum(part**2 for part in self.parts_uj.values()))

    @property
    def lost_at_least(self) -> bool:
        """More may have been lost than were counted."""
        return self.lost > 0 and self.meter.counts_modulo > 0

    @property
    def accuracy_known(self) -> bool:
        return self.meter.accuracy is not None

    def to_json(self) -> dict[str, Any]:
        return {
            "simulated": self.simulated,
            "energy_uj": self.energy_uj,
            "uncertainty_uj": self.uncertainty_uj,
            "uncertainty_parts_uj": self.parts_uj,
            "accuracy_known": self.accuracy_known,
            "gross_uj": self.gross_uj,
            "idle_uw": {"before": self.idle.before_uw, "after": self.idle.after_uw},
            "windows_by": self.by.name,
            "windows": self.windows,
            "inferences": self.inferences,
            "window_s": self.window_s,
            "supply_mv": self.supply_mv,
            "samples": self.samples,
            "lost": self.lost,
            "lost_at_least": self.lost_at_least,
            "meter": {
                "label": self.meter.label,
                "name": self.meter.name,
                "serial": self.meter.serial,
                "calibration": self.meter.calibration,
                "accuracy": self.meter.accuracy,
                "rate_hz": self.meter.rate_hz,
                "simulated": self.meter.simulated,
            },
            "note": self.note,
        }


def wire_fields(told: Mapping[str, Any]) -> dict[str, Any]:
    """Keys 12 to 21 of a BenchRun, of what `Energy.to_json` told. Raises KeyError, TypeError for anything
    else."""
    return {
        "energy_nj": round(told["energy_uj"] * _NJ),
        "energy_uncertainty_nj": round(told["uncertainty_uj"] * _NJ),
        "energy_windows": told["windows"],
        "energy_lost": told["lost"],
        "energy_by": EnergyWindow[told["windows_by"]],
        "energy_simulated": told["simulated"],
        "energy_accuracy": told["accuracy_known"],
        "meter": _cut(told["meter"]["label"], _LABEL_BYTES),
        "calibration": _cut(told["meter"]["calibration"], _CALIBRATION_BYTES),
        "energy_samples": told["samples"],
    }


def _cut(text: str, size_bytes: int) -> str:
    return text.encode()[:size_bytes].decode(errors="ignore")


def energy(
    integral: Integral,
    meter: Meter,
    windows: Sequence[tuple[Mark, Mark]],
    inferences: int,
    at_rest: Idle,
    *,
    by: EnergyWindow,
    note: str | None = None,
) -> Energy:
    """`inferences` in all, as many in each window. ValueError where they do not divide among the windows, or
    those have no length."""
    if not windows or inferences <= 0 or inferences % len(windows):
        raise ValueError(f"{inferences} inferences in {len(windows)} windows")
    each = inferences // len(windows)
    lengths = [end.at_s - begin.at_s for begin, end in windows]
    gross = [(end.energy_uj - begin.energy_uj) / each for begin, end in windows]
    net = [e - at_rest.mean_uw * t / each for e, t in zip(gross, lengths, strict=True)]
    length_s = statistics.fmean(lengths)
    if length_s <= 0:
        raise ValueError("the windows are shorter than a sample of the meter")
    if len(windows) > 1:
        statistical = statistics.stdev(net) / math.sqrt(len(windows))
    else:
        pieces = max(length_s / STEP_S, 1.0)
        statistical = at_rest.scatter_uw / math.sqrt(pieces) * length_s / each
    lost = sum(end.lost - begin.lost for begin, end in windows)
    spread_uw = integral.high_uw - integral.low_uw
    parts = {
        "statistical": statistical,
        "idle": length_s / each * at_rest.scatter_uw / math.sqrt(at_rest.pieces),
        "drift": length_s / each * abs(at_rest.after_uw - at_rest.before_uw) / math.sqrt(12),
        "lost": (lost / 2 + integral.unplaced) / meter.rate_hz * spread_uw / math.sqrt(3) / inferences,
    }
    if by is EnergyWindow.EDGE:
        parts["edges"] = abs(statistics.fmean(net)) / (length_s * meter.rate_hz) / math.sqrt(3)
    if meter.accuracy is not None:
        parts["accuracy"] = abs(statistics.fmean(gross)) * meter.accuracy / math.sqrt(3)
    return Energy(
        meter=meter,
        by=by,
        inferences=inferences,
        windows=len(windows),
        energy_uj=statistics.fmean(net),
        gross_uj=statistics.fmean(gross),
        parts_uj=parts,
        idle=at_rest,
        window_s=length_s,
        supply_mv=integral.supply_mv,
        lost=integral.lost,
        samples=integral.samples,
        note=note,
    )


def windows_by_edges(
    integral: Integral, inferences: int, each: int = 1, first: int = 0
) -> list[tuple[Mark, Mark]]:
    """A window is from one falling edge to the next, then one begins anew: `each` inferences in each. Edges
    before `first` were before the run: a board marks its start, too. ValueError where the pin fell another
    number of times, or a window has no length: an inference is shorter than a sample."""
    begins, ends = integral.edges[first:], integral.settled[first:]
    expected = 2 * inferences // each
    if not len(begins) == len(ends) == expected:
        raise ValueError(f"the window pin fell {len(begins)} times, expected {expected}")
    windows = list(zip(begins[::2], ends[1::2], strict=True))
    if any(end.at_s <= begin.at_s for begin, end in windows):
        raise ValueError("the window pin's edges are less than a sample of the meter apart")
    return windows
