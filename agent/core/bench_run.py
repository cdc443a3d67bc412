"""What a golden set gave on a board: one record, whatever protocol brought the answers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinyfleet.agent.core.energy import Energy, wire_fields
from tinyfleet.agent.core.golden import GoldenSet, top_class
from tinyfleet.wire.enums import Timing
from tinyfleet.wire.messages import BenchRun

_DIFFERENCES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One inference: output bytes, and the time the board measured for it."""

    output: bytes
    duration_us: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A window whose output is not the expected one, byte for byte."""

    window: int
    expected: bytes
    got: bytes


@dataclass(frozen=True, slots=True)
class RunResult:
    """`emulated` boards say nothing about energy or cycles: `energy` is a meter's, or made up by a simulated
    one, which it says; `no_energy`: why one that was asked for is absent.

    `correct` of `labelled` windows got their class; `different` of `compared` gave other bytes than expected.
    """

    board: str
    device_type: str
    emulated: bool
    timing: Timing
    model: bytes
    version: str
    golden: bytes
    windows: int
    stored: int
    labelled: int
    correct: int
    compared: int
    different: int
    differences: tuple[Difference, ...]
    latency_median_us: int
    latency_min_us: int
    latency_max_us: int
    elapsed_s: float
    finished: int
    energy: Energy | None = None
    no_energy: str | None = None

    @property
    def exact(self) -> bool:
        """Every window was compared and gave the expected bytes."""
        return self.compared == self.windows and self.different == 0

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.labelled if self.labelled else None

    def to_message(self) -> BenchRun:
        return BenchRun(
            model=self.model,
            version=self.version,
            windows=self.windows,
            labelled=self.labelled,
            correct=self.correct,
            compared=self.compared,
            different=self.different,
            latency_median_us=self.latency_median_us,
            latency_max_us=self.latency_max_us,
            timing=self.timing,
            finished=self.finished,
            golden=self.golden,
            **({} if self.energy is None else wire_fields(self.energy.to_json())),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "board": self.board,
            "device_type": self.device_type,
            "emulated": self.emulated,
            "timing": self.timing.name,
            "model": self.model.hex(),
            "version": self.version,
            "golden": self.golden.hex(),
            "windows": self.windows,
            "stored": self.stored,
            "labelled": self.labelled,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "compared": self.compared,
            "different": self.different,
            "differences": [
                {"window": d.window, "expected": d.expected.hex(), "got": d.got.hex()}
                for d in self.differences
            ],
            "exact": self.exact,
            "latency_us": {
                "min": self.latency_min_us,
                "median": self.latency_median_us,
                "max": self.latency_max_us,
            },
            "elapsed_s": round(self.elapsed_s, 3),
            "finished": self.finished,
            **({} if self.energy is None else {"energy": self.energy.to_json()}),
            **({} if self.no_energy is None else {"no_energy": self.no_energy}),
        }


def judge(
    golden: GoldenSet,
    answers: Sequence[Answer],
    *,
    board: str,
    device_type: str,
    emulated: bool,
    model: bytes,
    version: str,
    golden_digest: bytes,
    stored: int,
    elapsed_s: float,
    finished: int,
    energy: Energy | None = None,
    no_energy: str | None = None,
) -> RunResult:
    """Compares the answers, one a window, with what the set knows."""
    expected, labels = golden.expected or (), golden.labels or ()
    different = [
        Difference(i, want, answer.output)
        for i, (want, answer) in enumerate(zip(expected, answers, strict=False))
        if answer.output != want
    ]
    correct = sum(
        top_class(golden.values(answer.output)) == label
        for label, answer in zip(labels, answers, strict=False)
    )
    durations = [answer.duration_us for answer in answers]
    return RunResult(
        board=board,
        device_type=device_type,
        emulated=emulated,
        timing=Timing.INSTRUCTIONS if emulated else Timing.WALL,
        model=model,
        version=version,
        golden=golden_digest,
        windows=len(answers),
        stored=stored,
        labelled=min(len(labels), len(answers)),
        correct=correct,
        compared=min(len(expected), len(answers)),
        different=len(different),
        differences=tuple(different[:_DIFFERENCES_SHOWN]),
        latency_median_us=round(statistics.median(durations)),
        latency_min_us=min(durations),
        latency_max_us=max(durations),
        elapsed_s=elapsed_s,
        finished=finished,
        energy=energy,
        no_energy=no_energy,
    )
