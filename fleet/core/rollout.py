"""One release to many devices. A summary holds counters a wave, never its devices.

RUNNING ── every deployment ended, none bad ──> SUCCEEDED ── a device is reopened ──> RUNNING
   ├────── every deployment ended, some bad ──> FAILED (says why)
   └────── cancelled, or no device left ──────> CANCELED
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, TypeVar

from tinyfleet.fleet.core.deployment import BAD, OPEN, Deployment, DeploymentState
from tinyfleet.wire.enums import Result

REASONS_SHOWN: Final = 3
K = TypeVar("K")


class RolloutState(Enum):
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class Signal(Enum):
    """What the counters, or the operator, say."""

    OPEN = "OPEN"
    GOOD = "GOOD"
    BAD = "BAD"
    EMPTY = "EMPTY"
    CANCEL = "CANCEL"


class Effect(Enum):
    CANCEL_DEPLOYMENTS = "CANCEL_DEPLOYMENTS"


@dataclass(frozen=True, slots=True)
class Row:
    next: RolloutState
    effects: tuple[Effect, ...] = ()


R = RolloutState

TABLE: Final[Mapping[tuple[RolloutState, Signal], Row]] = {
    (R.RUNNING, Signal.OPEN): Row(R.RUNNING),
    (R.RUNNING, Signal.GOOD): Row(R.SUCCEEDED),
    (R.RUNNING, Signal.BAD): Row(R.FAILED),
    (R.RUNNING, Signal.EMPTY): Row(R.CANCELED),
    (R.RUNNING, Signal.CANCEL): Row(R.CANCELED, (Effect.CANCEL_DEPLOYMENTS,)),
    (R.SUCCEEDED, Signal.OPEN): Row(R.RUNNING),
    (R.SUCCEEDED, Signal.GOOD): Row(R.SUCCEEDED),
    (R.SUCCEEDED, Signal.BAD): Row(R.FAILED),
    (R.SUCCEEDED, Signal.EMPTY): Row(R.SUCCEEDED),
    (R.SUCCEEDED, Signal.CANCEL): Row(R.SUCCEEDED),
    (R.FAILED, Signal.OPEN): Row(R.FAILED),
    (R.FAILED, Signal.GOOD): Row(R.FAILED),
    (R.FAILED, Signal.BAD): Row(R.FAILED),
    (R.FAILED, Signal.EMPTY): Row(R.FAILED),
    (R.FAILED, Signal.CANCEL): Row(R.FAILED),
    (R.CANCELED, Signal.OPEN): Row(R.CANCELED),
    (R.CANCELED, Signal.GOOD): Row(R.CANCELED),
    (R.CANCELED, Signal.BAD): Row(R.CANCELED),
    (R.CANCELED, Signal.EMPTY): Row(R.CANCELED),
    (R.CANCELED, Signal.CANCEL): Row(R.CANCELED),
}

Reason = tuple[DeploymentState, Result | None]


@dataclass(frozen=True, slots=True)
class Wave:
    """How many deployments of a wave are in each state, and why the bad ones are bad."""

    counts: Mapping[DeploymentState, int] = field(default_factory=dict)
    reasons: Mapping[Reason, int] = field(default_factory=dict)

    def moved(self, before: Deployment | None, after: Deployment) -> Wave:
        """The wave after one deployment changed; `before` None: it is new."""
        counts, reasons = dict(self.counts), dict(self.reasons)
        if before is not None:
            _add(counts, before.state, -1)
            if before.state in BAD:
                _add(reasons, (before.state, before.result), -1)
        _add(counts, after.state, 1)
        if after.state in BAD:
            _add(reasons, (after.state, after.result), 1)
        return Wave(counts, reasons)

    def count(self, states: frozenset[DeploymentState]) -> int:
        return sum(n for state, n in self.counts.items() if state in states)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def _add(counts: dict[K, int], key: K, by: int) -> None:
    counts[key] = counts.get(key, 0) + by
    if counts[key] < 0:
        raise ValueError(f"more deployments left {key} than were in it: the counters do not match the rows")
    if counts[key] == 0:
        del counts[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    id: int
    release: int
    state: RolloutState = RolloutState.RUNNING
    version: int = 1
    waves: tuple[Wave, ...] = (Wave(),)
    why: str = ""
    started_s: float = 0.0
    ended_s: float | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    before: Deployment | None
    after: Deployment


@dataclass(frozen=True, slots=True)
class Cancel:
    pass


Event = Moved | Cancel


def _signal(waves: tuple[Wave, ...]) -> Signal:
    if any(wave.count(OPEN) for wave in waves):
        return Signal.OPEN
    if any(wave.count(BAD) for wave in waves):
        return Signal.BAD
    good = frozenset({DeploymentState.SUCCEEDED})
    return Signal.GOOD if any(wave.count(good) for wave in waves) else Signal.EMPTY


def why(waves: tuple[Wave, ...]) -> str:
    """The reasons of a failure in words: "2 of 2 devices: result 73 SIGNATURE"."""
    total = sum(wave.total for wave in waves)
    reasons: dict[Reason, int] = {}
    for wave in waves:
        for reason, count in wave.reasons.items():
            _add(reasons, reason, count)
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0][0].value, item[0][1] or 0))
    parts = [f"{count} of {total} devices: {_words(reason)}" for reason, count in ranked[:REASONS_SHOWN]]
    if len(ranked) > REASONS_SHOWN:
        parts.append(f"{len(ranked) - REASONS_SHOWN} more reasons")
    return "; ".join(parts)


def _words(reason: Reason) -> str:
    state, result = reason
    if state is DeploymentState.TIMED_OUT or result is None:
        return state.value
    return f"result {result.value} {result.name}"


def step(summary: Summary, event: Event, now_s: float) -> tuple[Summary, tuple[Effect, ...]]:
    """The next summary and what is to be done."""
    waves = summary.waves
    match event:
        case Moved(before, after):
            at = after.wave
            waves = (*waves[:at], waves[at].moved(before, after), *waves[at + 1 :])
            signal = _signal(waves)
        case Cancel():
            signal = Signal.CANCEL
    row = TABLE[summary.state, signal]
    if row.next is summary.state and waves == summary.waves:
        return summary, ()
    ended = row.next is not RolloutState.RUNNING
    after_step = replace(
        summary,
        state=row.next,
        version=summary.version + 1,
        waves=waves,
        why=why(waves) if row.next is RolloutState.FAILED else "",
        ended_s=(now_s if summary.ended_s is None or row.next is not summary.state else summary.ended_s)
        if ended
        else None,
    )
    return after_step, row.effects
