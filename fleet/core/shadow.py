"""A shadow challenger on one device: a model that runs beside the active one and counts where both agree.

QUEUED -> PREPARING (fetched, verified, its golden vectors run) -> RUNNING; a restart of the node makes it
PREPARING again. It ends STOPPED (by the operator), EVICTED (by an update), REJECTED (the device cannot run
it), FAILED, TIMED_OUT or REMOVED (the device left the fleet). The table is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from tinyfleet.fleet.core.counters import CounterError, since
from tinyfleet.fleet.core.deployment import REFUSALS
from tinyfleet.fleet.core.order import U32, Order, newer
from tinyfleet.fleet.core.said import BUSY, Born, DeviceGone, Reported, Tick, Unfit
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import Birth, Comparison, Status


class ShadowState(Enum):
    QUEUED = "QUEUED"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    EVICTED = "EVICTED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    REMOVED = "REMOVED"


S = ShadowState
OPEN: Final = frozenset({S.QUEUED, S.PREPARING, S.RUNNING})


class Signal(Enum):
    """What an event means for a challenger."""

    PROGRESS = "PROGRESS"
    BAD_CHUNK = "BAD_CHUNK"
    PASSED = "PASSED"
    REFUSED = "REFUSED"
    BROKE = "BROKE"
    UNAWARE = "UNAWARE"
    """The device acted on the want, and runs no challenger: its firmware knows of none."""
    OUTRUN = "OUTRUN"
    """The device acted on a generation above ours: the database is older than the device."""
    EXPIRED = "EXPIRED"
    STOP = "STOP"
    EVICT = "EVICT"
    GONE = "GONE"
    UNFIT = "UNFIT"
    """By the device's birth it cannot run there: nothing was sent."""


class Effect(Enum):
    OFFER = "OFFER"
    """Publish a `want` of a new generation that names it."""
    CLEAR = "CLEAR"
    """Publish one that does not."""
    RESEND = "RESEND"
    """Publish its chunks again."""


@dataclass(frozen=True, slots=True)
class Row:
    next: ShadowState
    effects: tuple[Effect, ...] = ()


def _stays(state: ShadowState) -> dict[tuple[ShadowState, Signal], Row]:
    return {(state, signal): Row(state) for signal in Signal}


def _open(state: ShadowState) -> dict[tuple[ShadowState, Signal], Row]:
    return {
        (state, Signal.PROGRESS): Row(S.PREPARING),
        (state, Signal.BAD_CHUNK): Row(S.PREPARING, (Effect.RESEND,)),
        (state, Signal.PASSED): Row(S.RUNNING),
        (state, Signal.REFUSED): Row(S.REJECTED, (Effect.CLEAR,)),
        (state, Signal.BROKE): Row(S.FAILED, (Effect.CLEAR,)),
        (state, Signal.UNAWARE): Row(S.REJECTED, (Effect.CLEAR,)),
        (state, Signal.OUTRUN): Row(S.QUEUED, (Effect.OFFER,)),
        (state, Signal.EXPIRED): Row(S.TIMED_OUT, (Effect.CLEAR,)),
        (state, Signal.STOP): Row(S.STOPPED, (Effect.CLEAR,)),
        (state, Signal.EVICT): Row(S.EVICTED),
        (state, Signal.GONE): Row(S.REMOVED),
        (state, Signal.UNFIT): Row(S.REJECTED),
    }


TABLE: Final[Mapping[tuple[ShadowState, Signal], Row]] = {
    **_open(S.QUEUED),
    **_open(S.PREPARING),
    **_open(S.RUNNING),
    (S.RUNNING, Signal.EXPIRED): Row(S.RUNNING),
    **_stays(S.STOPPED),
    **_stays(S.EVICTED),
    **_stays(S.REJECTED),
    **_stays(S.FAILED),
    **_stays(S.TIMED_OUT),
    **_stays(S.REMOVED),
}

Pairs = Mapping[tuple[int, int], int]
"""Windows by (class of the active model, class of the challenger), where they differ."""


@dataclass(frozen=True, slots=True)
class Counts:
    """windows = agreements + all of `pairs` + rest. `skipped` are windows that the challenger left out,
    `missed` those that the active model missed because of it."""

    windows: int = 0
    agreements: int = 0
    skipped: int = 0
    missed: int = 0
    rest: int = 0
    pairs: Pairs = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        pairs = dict(self.pairs)
        for pair, windows in other.pairs.items():
            pairs[pair] = pairs.get(pair, 0) + windows
        return Counts(
            self.windows + other.windows,
            self.agreements + other.agreements,
            self.skipped + other.skipped,
            self.missed + other.missed,
            self.rest + other.rest,
            pairs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """`image` is the challenger's digest, `active` that of the model which ran when it was started.

    `order` is the (boot, seq) of the last status taken in; `run` the (boot, run) that `last` are the node's
    counters of; `total` all that it counted. `transition` names the last change of state.
    """

    device: str
    release: int
    image: bytes
    manifest: bytes
    active: bytes | None = None
    generation: int = 0
    state: ShadowState = ShadowState.QUEUED
    result: Result | None = None
    detail: str = ""
    order: Order | None = None
    deadline_s: float | None = None
    started_s: float = 0.0
    changed_s: float = 0.0
    transition: str = "NEW:START:QUEUED"
    run: Order | None = None
    last: Counts = field(default_factory=Counts)
    total: Counts = field(default_factory=Counts)

    @property
    def open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Evict:
    """An update takes its place; `why` names it."""

    why: str


Event = Reported | Born | Tick | Stop | Evict | DeviceGone | Unfit


def _of_state(state: UpdateState, result: Result) -> Signal | None:
    if state is UpdateState.SHADOW:
        return Signal.PASSED if result is Result.SUCCESS else Signal.PROGRESS
    if state in (UpdateState.FAILED, UpdateState.REVERTED):
        return Signal.REFUSED if result in REFUSALS else Signal.BROKE
    if state in BUSY:
        return Signal.PROGRESS
    return Signal.UNAWARE if state is UpdateState.CONFIRMED else None


def _of_status(shadow: Shadow, status: Status) -> Signal | None:
    if status.generation != shadow.generation or not newer((status.boot, status.seq), shadow.order):
        return None
    if status.state is UpdateState.DOWNLOADING and status.result is Result.INTEGRITY:
        return Signal.BAD_CHUNK
    return _of_state(status.state, status.result)


def _of_birth(shadow: Shadow, birth: Birth) -> Signal | None:
    if newer((birth.generation, 0), (shadow.generation, 0)):
        return Signal.OUTRUN
    if birth.generation != shadow.generation:
        return None  # it has not acted on our want yet
    return _of_state(birth.state, birth.result)


def signal_of(shadow: Shadow, event: Event, now_s: float) -> Signal | None:
    """What the event means here; None when it says nothing about this challenger."""
    match event:
        case Reported(status):
            return _of_status(shadow, status)
        case Born(birth):
            return _of_birth(shadow, birth)
        case Tick():
            return Signal.EXPIRED if shadow.deadline_s is not None and now_s >= shadow.deadline_s else None
        case Stop():
            return Signal.STOP
        case Evict():
            return Signal.EVICT
        case DeviceGone():
            return Signal.GONE
        case Unfit():
            return Signal.UNFIT


def step(shadow: Shadow, event: Event, now_s: float) -> tuple[Shadow, tuple[Effect, ...]]:
    """The next value and what is to be done. An event that says nothing returns the same value."""
    signal = signal_of(shadow, event, now_s) if shadow.open else None
    if signal is None:
        return shadow, ()
    row = TABLE[shadow.state, signal]
    after = _with_report(shadow, event)
    if signal is Signal.UNAWARE:
        after = replace(after, result=Result.UNSUPPORTED_TYPE, detail="its firmware runs no challenger")
    if signal is Signal.EXPIRED:
        after = replace(after, detail="no answer before the deadline")
    if row.next is not shadow.state:
        name = f"{shadow.state.value}:{signal.value}:{row.next.value}"
        waits = row.next in (S.QUEUED, S.PREPARING) and shadow.state is not S.RUNNING
        deadline_s = shadow.deadline_s if waits else None
        after = replace(after, state=row.next, transition=name, changed_s=now_s, deadline_s=deadline_s)
    return after, row.effects


def _with_report(shadow: Shadow, event: Event) -> Shadow:
    match event:
        case Reported(status):
            order = (status.boot, status.seq)
            return replace(shadow, result=status.result, detail=status.detail or "", order=order)
        case Born(birth):
            return replace(shadow, result=birth.result)
        case Unfit(found):
            return replace(shadow, result=found.result, detail=found.detail)
        case Evict(why):
            return replace(shadow, detail=why)
    return shadow


def counts_of(comparison: Comparison) -> Counts:
    """What a node counted since the run began. Raises CounterError when it does not add up."""
    pairs = {(pair.active, pair.challenger): pair.windows for pair in comparison.pairs}
    if len(pairs) != len(comparison.pairs) or any(active == other for active, other in pairs):
        raise CounterError("shadow pairs: expected pairs of different classes, each once")
    total = (comparison.agreements + sum(pairs.values()) + comparison.rest) % U32
    if total != comparison.windows:
        raise CounterError(
            f"shadow windows: expected {total}, the sum of their parts, got {comparison.windows}"
        )
    return Counts(
        comparison.windows,
        comparison.agreements,
        comparison.skipped,
        comparison.missed,
        comparison.rest,
        pairs,
    )


def count(shadow: Shadow, boot: int, comparison: Comparison) -> tuple[Shadow, Counts] | None:
    """The challenger with a node's counters taken in, and what is new; None: they are of another challenger,
    or of a run before the last one.

    Raises CounterError when they cannot come from one run.
    """
    run = (boot, comparison.run)
    if comparison.model != shadow.image or (run != shadow.run and not newer(run, shadow.run)):
        return None
    now = counts_of(comparison)
    before = shadow.last if run == shadow.run else Counts()
    gone = before.pairs.keys() - now.pairs.keys()
    if gone:
        raise CounterError(f"shadow pairs: {sorted(gone)} went away within one run")
    new = Counts(
        since("shadow windows", now.windows, before.windows),
        since("shadow agreements", now.agreements, before.agreements),
        since("shadow skipped", now.skipped, before.skipped),
        since("shadow missed", now.missed, before.missed),
        since("shadow rest", now.rest, before.rest),
        {pair: since(f"shadow pair {pair}", n, before.pairs.get(pair, 0)) for pair, n in now.pairs.items()},
    )
    return replace(shadow, run=run, last=now, total=shadow.total + new), new
