"""Cumulative counters of a device into what is new (SPEC section 3, tele).

Counters count since (boot, epoch) began, are u32 and wrap: a snapshot replaces the one before, so a lost,
repeated or reordered batch changes no total.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tinyfleet.fleet.core.order import U32, newer_number
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS, LATENCY_BUCKETS, MARGIN_BUCKETS
from tinyfleet.wire.messages import Tele

_HALF: Final = 1 << 31
U64: Final = 1 << 64
_SINGLE: Final = CONFIDENCE_BUCKETS + MARGIN_BUCKETS
LIVE_COUNTERS: Final = _SINGLE + 4


class Verdict(Enum):
    NEW = "NEW"
    DUPLICATE = "DUPLICATE"
    LATE = "LATE"


class CounterError(Exception):
    """Counters no honest node sends. The message names the counter, what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last counters of one (device, boot, epoch)."""

    seq: int
    model: bytes
    inferences: int
    classes: tuple[int, ...]
    latency: tuple[int, ...]
    latency_sum_us: int
    dropped: int
    live: tuple[int, ...] | None = None
    """As `live_of` has them; None: kept by an earlier version, which did not look at them."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What to add to the totals. `latency` has one count a bucket, not cumulative over buckets."""

    inferences: int
    classes: tuple[int, ...]
    latency: tuple[int, ...]
    latency_sum_us: int
    dropped: int
    live: tuple[int, ...] = (0,) * LIVE_COUNTERS

    @property
    def confidence(self) -> tuple[int, ...]:
        return self.live[:CONFIDENCE_BUCKETS]

    @property
    def margin(self) -> tuple[int, ...]:
        return self.live[CONFIDENCE_BUCKETS:_SINGLE]

    @property
    def switches(self) -> int:
        return self.live[_SINGLE]

    @property
    def paused(self) -> int:
        return self.live[_SINGLE + 1]

    @property
    def captured(self) -> int:
        return self.live[_SINGLE + 2]

    @property
    def skipped(self) -> int:
        return self.live[_SINGLE + 3]


def live_of(tele: Tele) -> tuple[int, ...]:
    """Confidence, margin, switches, paused, captured, skipped: what a node does not tell counts 0."""
    single = (tele.switches, tele.paused, tele.captured, tele.skipped)
    margin = tele.margin or (0,) * MARGIN_BUCKETS
    return (*tele.confidence, *margin, *(count or 0 for count in single))


def snapshot_of(tele: Tele) -> Snapshot:
    return Snapshot(
        seq=tele.seq,
        model=tele.model,
        inferences=tele.inferences,
        classes=tele.classes,
        latency=tele.latency,
        latency_sum_us=tele.latency_sum_us,
        dropped=tele.dropped,
        live=live_of(tele),
    )


def since(what: str, new: int, old: int) -> int:
    """What a counter that wraps at 2**32 grew by. Raises CounterError when it went backwards."""
    delta = (new - old) % U32
    if delta >= _HALF:
        raise CounterError(f"{what} went backwards within one run: expected at least {old}, got {new}")
    return delta


def advance(last: Snapshot | None, tele: Tele) -> tuple[Verdict, Delta | None]:
    """What `tele` adds to `last`, the snapshot of the same (boot, epoch).

    Raises CounterError when the counters cannot come from one epoch of one model.
    """
    if last is None:
        nothing = (0,) * LIVE_COUNTERS
        last = Snapshot(0, tele.model, 0, (0,) * len(tele.classes), (0,) * LATENCY_BUCKETS, 0, 0, nothing)
    elif tele.seq == last.seq:
        return Verdict.DUPLICATE, None
    elif not newer_number(tele.seq, last.seq):
        return Verdict.LATE, None
    if tele.model != last.model:
        raise CounterError(
            f"another model within one epoch: expected {last.model.hex()[:12]}, got {tele.model.hex()[:12]}"
        )
    if len(tele.classes) != len(last.classes):
        raise CounterError(
            f"the number of classes changed: expected {len(last.classes)}, got {len(tele.classes)}"
        )
    sum_us = (tele.latency_sum_us - last.latency_sum_us) % U64
    if sum_us >= U64 // 2:
        raise CounterError(
            f"latency_sum_us went backwards: expected {last.latency_sum_us}, got {tele.latency_sum_us}"
        )
    delta = Delta(
        inferences=since("inferences", tele.inferences, last.inferences),
        classes=tuple(
            since(f"class {i}", new, old)
            for i, (new, old) in enumerate(zip(tele.classes, last.classes, strict=True))
        ),
        latency=tuple(
            since(f"latency bucket {i}", new, old)
            for i, (new, old) in enumerate(zip(tele.latency, last.latency, strict=True))
        ),
        latency_sum_us=sum_us,
        dropped=since("dropped", tele.dropped, last.dropped),
        live=_live_since(live_of(tele), last.live),
    )
    if delta.paused > delta.dropped:
        raise CounterError(
            f"paused: expected at most {delta.dropped} more, as many as were dropped, got {delta.paused}"
        )
    return Verdict.NEW, delta


def _live_since(new: tuple[int, ...], old: tuple[int, ...] | None) -> tuple[int, ...]:
    """Without what came before, nothing can be told of what is new: it counts from here on."""
    if old is None:
        return (0,) * LIVE_COUNTERS
    return tuple(since(f"window counter {i}", a, b) for i, (a, b) in enumerate(zip(new, old, strict=True)))
