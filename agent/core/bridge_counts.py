"""What was counted on a bridged board: inferences of bench runs, as a node counts its own (SPEC, tele)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.golden import GoldenSet, top_class
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS, LATENCY_BOUNDS_US, LATENCY_BUCKETS
from tinyfleet.wire.messages import Tele

U32: Final = 1 << 32
U64: Final = 1 << 64
CLASSES_MAX: Final = 64
_SCORES: Final = 256


@dataclass(frozen=True, slots=True)
class Inference:
    """The class on top, its score in 1/256, and how long it took."""

    top: int
    score: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Cumulative since (boot, epoch); an epoch begins with each model. `boot`: of the agent's then."""

    boot: int
    epoch: int
    model: bytes
    classes: tuple[int, ...]
    latency: tuple[int, ...] = (0,) * LATENCY_BUCKETS
    latency_sum_us: int = 0
    confidence: tuple[int, ...] = (0,) * CONFIDENCE_BUCKETS

    def tele(self, seq: int, uptime_ms: int) -> Tele:
        return Tele(
            boot=self.boot,
            epoch=self.epoch,
            seq=seq,
            uptime_ms=uptime_ms,
            model=self.model,
            inferences=sum(self.latency) % U32,
            classes=self.classes,
            latency=self.latency,
            latency_sum_us=self.latency_sum_us,
            confidence=self.confidence,
            dropped=0,
        )


def count(
    before: Counted | None, boot: int, model: bytes, classes: int, inferences: Sequence[Inference]
) -> Counted:
    """With these inferences of a model of so many classes. Another model begins another epoch."""
    if before is None or before.model != model or len(before.classes) != classes:
        epoch = 1 if before is None else (before.epoch + 1) % U32
        before = Counted(boot, epoch, model, (0,) * classes)
    tops, latency, confidence = list(before.classes), list(before.latency), list(before.confidence)
    for each in inferences:
        if each.top < classes:
            tops[each.top] = (tops[each.top] + 1) % U32
        bucket = sum(each.duration_us > bound for bound in LATENCY_BOUNDS_US)
        latency[bucket] = (latency[bucket] + 1) % U32
        tenth = min(each.score, _SCORES - 1) * CONFIDENCE_BUCKETS // _SCORES
        confidence[tenth] = (confidence[tenth] + 1) % U32
    return replace(
        before,
        classes=tuple(tops),
        latency=tuple(latency),
        latency_sum_us=(before.latency_sum_us + sum(each.duration_us for each in inferences)) % U64,
        confidence=tuple(confidence),
    )


def inferences_of(golden: GoldenSet, answers: Iterable[Answer]) -> tuple[Inference, ...]:
    """None where nobody could say class and score as a node would."""
    if not 0 < golden.classes <= CLASSES_MAX or not golden.scores:
        return ()
    counted = []
    for answer in answers:
        values = golden.values(answer.output)
        top = top_class(values)
        counted.append(Inference(top, golden.scores[values[top] + 128], answer.duration_us))
    return tuple(counted)
