"""How a board that hangs is brought back: a ladder, rung by rung, each followed by a heartbeat. The table is
complete, and docs/recovery.md's diagram is drawn from it.

A *climb* is one way up the ladder. A climb that ends without a heartbeat is a failure; after a failure there
is a pause, each longer than the one before, and after several within a window the board is in quarantine
until a person lets it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from tinyfleet.agent.core.pulse import Beat, Fault

_REASON_CHARS: Final = 300


class Condition(Enum):
    """The rungs are states: a board is on one of them from before it is tried until its heartbeat was asked
    for."""

    UNKNOWN = "UNKNOWN"
    ALIVE = "ALIVE"
    WEDGED = "WEDGED"
    """No heartbeat; waits until nobody else has it."""
    SOFT_RESET = "SOFT_RESET"
    UNDER_CONNECT = "UNDER_CONNECT"
    POWER_CYCLE = "POWER_CYCLE"
    REFLASH = "REFLASH"
    PAUSED = "PAUSED"
    QUARANTINED = "QUARANTINED"


C = Condition
RUNGS: Final = (C.SOFT_RESET, C.UNDER_CONNECT, C.POWER_CYCLE, C.REFLASH)


class Event(Enum):
    BEAT = "BEAT"
    SILENT = "SILENT"
    """No heartbeat of the kind that this board had; on a rung: it did not help."""
    SKIPPED = "SKIPPED"
    """The board does not have this rung, or it cannot be climbed now."""
    GRANTED = "GRANTED"
    """Nobody else has the board."""
    HELD = "HELD"
    """It cannot be judged: somebody uses it, or this host is in trouble."""
    CALLED = "CALLED"
    """A run or flash failed on it, its QEMU died, or somebody asks to bring it back."""
    RESTED = "RESTED"
    SPENT = "SPENT"
    """A climb failed once too often."""
    PROGRAMMED = "PROGRAMMED"
    """What it runs is another firmware: what it answered before says nothing."""
    BANISHED = "BANISHED"
    PARDONED = "PARDONED"


def _row(state: Condition, **changes: Condition) -> dict[tuple[Condition, Event], Condition]:
    """Events that are not named leave the state as it is."""
    return {(state, event): changes.get(event.name, state) for event in Event}


def _rung(
    state: Condition, above: Condition, **changes: Condition
) -> dict[tuple[Condition, Event], Condition]:
    up = {"BEAT": C.ALIVE, "SILENT": above, "SKIPPED": above, "HELD": C.PAUSED, "BANISHED": C.QUARANTINED}
    return _row(state, **up | changes)


TABLE: Final[Mapping[tuple[Condition, Event], Condition]] = {
    **_row(
        C.UNKNOWN,
        BEAT=C.ALIVE,
        SILENT=C.WEDGED,
        CALLED=C.WEDGED,
        BANISHED=C.QUARANTINED,
    ),
    **_row(
        C.ALIVE,
        SILENT=C.WEDGED,
        CALLED=C.WEDGED,
        PROGRAMMED=C.UNKNOWN,
        BANISHED=C.QUARANTINED,
    ),
    **_row(
        C.WEDGED,
        BEAT=C.ALIVE,
        GRANTED=C.SOFT_RESET,
        PROGRAMMED=C.UNKNOWN,
        BANISHED=C.QUARANTINED,
    ),
    **_rung(C.SOFT_RESET, C.UNDER_CONNECT),
    **_rung(C.UNDER_CONNECT, C.POWER_CYCLE),
    **_rung(C.POWER_CYCLE, C.REFLASH),
    **_rung(C.REFLASH, C.PAUSED, SPENT=C.QUARANTINED),
    **_row(
        C.PAUSED,
        BEAT=C.ALIVE,
        RESTED=C.WEDGED,
        PROGRAMMED=C.UNKNOWN,
        BANISHED=C.QUARANTINED,
    ),
    **_row(C.QUARANTINED, PARDONED=C.UNKNOWN),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """`failures` climbs within `window_s` end in quarantine. Pauses double from the first to the longest."""

    failures: int = 4
    window_s: float = 24 * 3600.0
    pause_first_s: float = 30.0
    pause_max_s: float = 3600.0
    beat_every_s: float = 30.0
    """How often a board is asked whether it lives; by its probe, ten times as rarely."""

    def pause_s(self, failures: int) -> float:
        return float(min(self.pause_max_s, self.pause_first_s * 2.0 ** min(max(failures - 1, 0), 32)))


@dataclass(frozen=True, slots=True)
class Patient:
    """What is known of a board's health; times are unix s.

    `expects`: the best heartbeat since it was last programmed; None: never seen alive, so that silence says
    nothing. `failed`: when climbs failed, within the window. `recoveries`: how
    often it was brought back. `rung`: the last one tried. `until_s`: the end of a pause. `asked`: whether it
    was looked at since it was programmed. `needs_probe`: its probe failed, so that it must answer, too.
    """

    state: Condition = C.UNKNOWN
    since_s: float = 0.0
    expects: Beat | None = None
    asked: bool = True
    needs_probe: bool = False
    failed: tuple[float, ...] = ()
    recoveries: int = 0
    rung: Condition | None = None
    fault: Fault | None = None
    reason: str | None = None
    until_s: float = 0.0

    @property
    def climbing(self) -> bool:
        return self.state in RUNGS

    @property
    def should_live(self) -> bool:
        return self.expects is not None


@dataclass(frozen=True, slots=True)
class Finding:
    """What came with an event: the heartbeat it was, or whose fault and why."""

    beat: Beat | None = None
    fault: Fault | None = None
    cause: str | None = None
    by_probe: bool = False
    """What failed was its probe's work."""


def step(patient: Patient, event: Event, found: Finding, now_s: float, limits: Limits) -> Patient:
    """The board after the event. SPENT is found here: nobody else counts failures."""
    failed = tuple(at for at in patient.failed if now_s - limits.window_s < at <= now_s)
    if event is Event.SKIPPED and patient.reason is not None:
        # A rung that is not there says nothing of the board.
        found = Finding(cause=patient.reason)
    if patient.state is C.REFLASH and event in (Event.SILENT, Event.SKIPPED):
        failed = (*failed, now_s)
        if len(failed) >= limits.failures:
            event = Event.SPENT
    state = TABLE[patient.state, event]
    after = replace(patient, state=state, failed=failed)
    if state is not patient.state:
        after = replace(after, since_s=now_s)
    if state in RUNGS:
        after = replace(after, rung=state)
    if event is Event.BEAT and state is C.ALIVE:
        return _alive(after, patient, found)
    if event is Event.PARDONED and patient.state is C.QUARANTINED:
        return replace(after, failed=(), fault=None, reason=None, until_s=0.0)
    if event is Event.PROGRAMMED and state is C.UNKNOWN:
        return replace(after, expects=None, asked=False, fault=None, reason=None)
    if state is C.PAUSED and patient.state is not C.PAUSED:
        after = replace(after, until_s=now_s + limits.pause_s(len(failed)))
    return _with_reason(after, patient, event, found)


def _alive(after: Patient, before: Patient, found: Finding) -> Patient:
    better = found.beat is not None and (before.expects is None or found.beat.rank > before.expects.rank)
    return replace(
        after,
        expects=found.beat if better else before.expects,
        asked=True,
        needs_probe=False,
        recoveries=before.recoveries + before.climbing,
        fault=None,
        reason=None,
        until_s=0.0,
    )


def _with_reason(after: Patient, before: Patient, event: Event, found: Finding) -> Patient:
    if before.state is C.QUARANTINED or found.cause is None:
        return after
    cause = found.cause[:_REASON_CHARS]
    if event is Event.SPENT:
        fault = found.fault or before.fault
        kind = "" if fault is None else f"{fault.words}: "
        cause = f"{kind}{len(after.failed)} climbs did not bring it back; last: {cause}"[:_REASON_CHARS]
    return replace(
        after,
        reason=cause,
        fault=found.fault if found.fault is not None else before.fault,
        needs_probe=before.needs_probe or found.by_probe,
    )


def loaded(patient: Patient) -> Patient:
    """As read by a program that is not climbing: a rung was left when its program ended, and is begun
    anew."""
    return replace(patient, state=C.WEDGED) if patient.climbing else patient


def is_rested(patient: Patient, now_s: float) -> bool:
    """Whether its pause is over. A clock that stands before the pause's begin was set back: nobody knows how
    long it would last by that one."""
    return not patient.since_s <= now_s < patient.until_s


def diagram() -> str:
    """The table as Mermaid's state diagram; events with the same end share an arrow. Quarantine by a person,
    possible from everywhere, is one note."""
    arrows: dict[tuple[Condition, Condition], list[str]] = {}
    for (before, event), after in TABLE.items():
        if before is not after and event is not Event.BANISHED:
            arrows.setdefault((before, after), []).append(event.name)
    lines = ["stateDiagram-v2", f"    [*] --> {C.UNKNOWN.name}"]
    lines += [f"    {a.name} --> {b.name}: {', '.join(events)}" for (a, b), events in arrows.items()]
    lines.append(f"    note right of {C.QUARANTINED.name}: {Event.BANISHED.name} leads here from every state")
    return "\n".join(lines)
