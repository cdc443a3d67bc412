"""One device's part of a rollout, with the states of AWS IoT job executions. The table is complete.

QUEUED -> IN_PROGRESS -> SUCCEEDED, or FAILED (something went wrong), REJECTED (the device said no to the
artifact), TIMED_OUT, CANCELED, REMOVED (the device left the fleet). Only SUCCEEDED is ever opened again: by
a birth that shows another image than the one confirmed (in hawkBit #3185 a rollout completed with no device
running the new image).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from tinyfleet.fleet.core.order import Order, newer
from tinyfleet.fleet.core.said import BUSY, Born, DeviceGone, Reported, Tick, Unfit
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import Birth, Status

REOPENINGS_MAX: Final = 3
"""A node that confirms and falls back at every boot must not be fed for ever."""


class DeploymentState(Enum):
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    REJECTED = "REJECTED"
    REMOVED = "REMOVED"
    CANCELED = "CANCELED"


S = DeploymentState
OPEN: Final = frozenset({S.QUEUED, S.IN_PROGRESS})
BAD: Final = frozenset({S.FAILED, S.TIMED_OUT, S.REJECTED})


class Signal(Enum):
    """What an event means for a deployment."""

    PROGRESS = "PROGRESS"
    BAD_CHUNK = "BAD_CHUNK"
    DONE = "DONE"
    REFUSED = "REFUSED"
    BROKE = "BROKE"
    CONTRADICTED = "CONTRADICTED"
    UNSTABLE = "UNSTABLE"
    """Contradicted once too often."""
    OUTRUN = "OUTRUN"
    """The device acted on a generation above ours: the database is older than the device."""
    EXPIRED = "EXPIRED"
    CANCEL = "CANCEL"
    GONE = "GONE"
    UNFIT = "UNFIT"
    """The device's birth says that the artifact cannot run there: nothing was sent."""


class Effect(Enum):
    OFFER = "OFFER"
    """Publish a `want` of a new generation."""
    WITHDRAW = "WITHDRAW"
    """Publish an empty `want`: stay as you are."""
    RESEND = "RESEND"
    """Publish the artifact's chunks again."""


@dataclass(frozen=True, slots=True)
class Row:
    next: DeploymentState
    effects: tuple[Effect, ...] = ()


def _stays(state: DeploymentState) -> dict[tuple[DeploymentState, Signal], Row]:
    return {(state, signal): Row(state) for signal in Signal}


def _open(state: DeploymentState) -> dict[tuple[DeploymentState, Signal], Row]:
    return {
        (state, Signal.PROGRESS): Row(S.IN_PROGRESS),
        (state, Signal.BAD_CHUNK): Row(S.IN_PROGRESS, (Effect.RESEND,)),
        (state, Signal.DONE): Row(S.SUCCEEDED),
        (state, Signal.REFUSED): Row(S.REJECTED, (Effect.WITHDRAW,)),
        (state, Signal.BROKE): Row(S.FAILED, (Effect.WITHDRAW,)),
        (state, Signal.CONTRADICTED): Row(state),
        (state, Signal.UNSTABLE): Row(S.FAILED, (Effect.WITHDRAW,)),
        (state, Signal.OUTRUN): Row(S.QUEUED, (Effect.OFFER,)),
        (state, Signal.EXPIRED): Row(S.TIMED_OUT, (Effect.WITHDRAW,)),
        (state, Signal.CANCEL): Row(S.CANCELED, (Effect.WITHDRAW,)),
        (state, Signal.GONE): Row(S.REMOVED, (Effect.WITHDRAW,)),
        (state, Signal.UNFIT): Row(S.REJECTED),
    }


TABLE: Final[Mapping[tuple[DeploymentState, Signal], Row]] = {
    **_open(S.QUEUED),
    **_open(S.IN_PROGRESS),
    **_stays(S.SUCCEEDED),
    (S.SUCCEEDED, Signal.CONTRADICTED): Row(S.QUEUED, (Effect.OFFER,)),
    (S.SUCCEEDED, Signal.UNSTABLE): Row(S.FAILED, (Effect.WITHDRAW,)),
    (S.SUCCEEDED, Signal.GONE): Row(S.REMOVED, (Effect.WITHDRAW,)),
    **_stays(S.FAILED),
    **_stays(S.TIMED_OUT),
    **_stays(S.REJECTED),
    **_stays(S.REMOVED),
    **_stays(S.CANCELED),
}

REFUSALS: Final = frozenset(
    {
        *(Result.NO_FLASH, Result.NO_RAM, Result.UNSUPPORTED_TYPE, Result.INVALID_URI),
        *(Result.UNSUPPORTED_PROTOCOL, Result.ARENA_TOO_SMALL, Result.OP_MISSING, Result.INPUT_MISMATCH),
        *(Result.BATTERY, Result.BUDGET, Result.DOWNGRADE, Result.BASE_MISMATCH, Result.EXPIRED),
        *(Result.SIGNATURE,),
    }
)
"""Results by which a node says no to an artifact; every other failure means that carrying it out went
wrong.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`image` and `firmware` are the digests that must run in the end (None: what is there stays), `manifest`
    and `firmware_manifest` address what is transported for them.

    `order` is the (boot, seq) of the last status taken in.
    """

    rollout: int
    device: str
    wave: int
    image: bytes | None
    manifest: bytes | None
    generation: int
    firmware: bytes | None = None
    firmware_manifest: bytes | None = None
    state: DeploymentState = DeploymentState.QUEUED
    version: int = 1
    update: UpdateState | None = None
    result: Result | None = None
    offset_bytes: int = 0
    size_bytes: int = 0
    detail: str = ""
    reopened: int = 0
    order: Order | None = None
    deadline_s: float | None = None
    changed_s: float = 0.0

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def manifests(self) -> tuple[bytes, ...]:
        return tuple(each for each in (self.firmware_manifest, self.manifest) if each is not None)

    def runs_on(self, birth: Birth) -> bool:
        """Whether that birth shows all of what was wanted."""
        model = None if birth.model is None else birth.model.image
        return (self.image is None or model == self.image) and (
            self.firmware is None or birth.firmware.image == self.firmware
        )


@dataclass(frozen=True, slots=True)
class Cancel:
    pass


Event = Reported | Born | Tick | Cancel | DeviceGone | Unfit


def _failure(result: Result) -> Signal:
    return Signal.REFUSED if result in REFUSALS else Signal.BROKE


def _of_status(deployment: Deployment, status: Status) -> Signal | None:
    if status.generation != deployment.generation:
        return None
    if not newer((status.boot, status.seq), deployment.order):
        return None
    if status.state is UpdateState.CONFIRMED:
        return Signal.DONE
    if status.state in (UpdateState.FAILED, UpdateState.REVERTED):
        return _failure(status.result)
    if status.state is UpdateState.DOWNLOADING and status.result is Result.INTEGRITY:
        return Signal.BAD_CHUNK
    return Signal.PROGRESS if status.state in BUSY else None


def _of_birth(deployment: Deployment, birth: Birth) -> Signal | None:
    runs = deployment.runs_on(birth)
    if deployment.state is DeploymentState.SUCCEEDED:
        if runs or birth.state in BUSY:
            return None
        return Signal.UNSTABLE if deployment.reopened >= REOPENINGS_MAX else Signal.CONTRADICTED
    if not deployment.open:
        return None
    if newer((birth.generation, 0), (deployment.generation, 0)):
        return Signal.OUTRUN
    if birth.generation != deployment.generation:
        return None  # it has not acted on our want yet
    if birth.state in (UpdateState.FAILED, UpdateState.REVERTED):
        return _failure(birth.result)
    if birth.state in BUSY:
        return Signal.PROGRESS
    if runs:
        return Signal.DONE
    settled = birth.result in (Result.INITIAL, Result.SUCCESS)
    return None if settled else _failure(birth.result)


def signal_of(deployment: Deployment, event: Event, now_s: float) -> Signal | None:
    """What the event means here; None when it says nothing about this deployment."""
    match event:
        case Reported(status):
            return _of_status(deployment, status)
        case Born(birth):
            return _of_birth(deployment, birth)
        case Tick():
            late = deployment.deadline_s is not None and now_s >= deployment.deadline_s
            return Signal.EXPIRED if late and deployment.open else None
        case Cancel():
            return Signal.CANCEL
        case DeviceGone():
            return Signal.GONE
        case Unfit():
            return Signal.UNFIT


def transition_name(before: DeploymentState, signal: Signal, after: DeploymentState) -> str:
    """How a stored event names what happened."""
    return f"{before.value}:{signal.value}:{after.value}"


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of an event: `signal` None means that nothing changed."""

    deployment: Deployment
    effects: tuple[Effect, ...] = ()
    signal: Signal | None = None


def step(deployment: Deployment, event: Event, now_s: float) -> tuple[Deployment, tuple[Effect, ...]]:
    """The next deployment and what is to be done. An event that says nothing returns the same value."""
    done = advance(deployment, event, now_s)
    return done.deployment, done.effects


def advance(deployment: Deployment, event: Event, now_s: float) -> Step:
    """`step`, saying by which signal: the store names its transitions with it."""
    signal = signal_of(deployment, event, now_s)
    if signal is None:
        return Step(deployment)
    row = TABLE[deployment.state, signal]
    if not deployment.open and row.next is deployment.state:
        return Step(deployment)
    after = replace(
        _with_report(deployment, event),
        state=row.next,
        version=deployment.version + 1,
        changed_s=now_s,
    )
    if signal is Signal.CONTRADICTED and row.next is not deployment.state:
        after = replace(after, reopened=deployment.reopened + 1, offset_bytes=0, result=None)
    if signal is Signal.UNSTABLE:
        after = replace(
            after,
            result=Result.UPDATE_FAILED,
            detail=f"fell back to another image {deployment.reopened + 1} times after confirming",
        )
    if signal is Signal.EXPIRED:
        after = replace(after, detail="no answer before the deadline" if deployment.update is None else "")
    return Step(after, row.effects, signal)


def _with_report(deployment: Deployment, event: Event) -> Deployment:
    match event:
        case Reported(status):
            return replace(
                deployment,
                update=status.state,
                result=status.result,
                offset_bytes=status.offset_bytes,
                size_bytes=status.size_bytes,
                detail=status.detail or "",
                order=(status.boot, status.seq),
            )
        case Born(birth):
            return replace(deployment, update=birth.state, result=birth.result)
        case Unfit(found):
            return replace(deployment, result=found.result, detail=found.detail)
    return deployment
