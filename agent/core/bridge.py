"""How a board without a network takes part in a rollout: the update's states as a table, and what survives.

The states and results are a networked node's (SPEC section 4; `firmware/ota/table.c`), so that the manager
sees no difference. What differs is where things lie: the artifact and the image before it are files of the
agent, the board has one place for a model, and TRIAL is programming it and asking the board itself. A
challenger beside the model (SHADOW) is not to be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from tinyfleet.agent.core.bridge_app import Firmware, Installed
from tinyfleet.wire.enums import ArtifactKind, Result, UpdateState
from tinyfleet.wire.messages import ConfigReport, Trial, Want, WantedArtifact

TRIES: Final = 3
"""Trials of one image that may be cut off, or fail on the way to the board; so many for going back, too."""
U32: Final = 1 << 32
S = UpdateState


class Event(Enum):
    """What can happen. Each may carry a result and a detail: why."""

    OFFER = "a newer want names firmware or a model that does not run"
    CURRENT = "a newer want names only what runs"
    UNABLE = "a newer want names what this board cannot take"
    STAY = "a newer want names nothing"
    WITHDRAW = "the want was emptied"
    REMIND = "the want acted on came again"
    RESTART = "the agent starts and finds this state in its record"
    LINK_UP = "the broker is reached"
    LINK_DOWN = "it is not any more"
    DUE = "the time that the state waits for has come"
    START = "nothing stands against the download"
    WAIT = "the time of day, or whoever holds the board, stands against it"
    EXPIRE = "the deadline has passed"
    DAMAGED = "fetched bytes do not match their hash"
    STALL = "nothing comes"
    REFUSE = "it cannot be had, or must not be installed"
    VERIFIED = "all there, signed, and for this board"
    PROCEED = "the step before is on record"
    BEGIN = "the board is ours, and the image before is on disk"
    RETRY = "the trial did not get to its end"
    PASSED = "the board runs it, and its golden vectors are right"
    HALFWAY = "the firmware runs and is right, and a model came with it"
    REJECT = "it does not, or they are not"
    RESTORED = "the board runs what it ran before"
    STUCK = "it cannot be made to"


class Action(Enum):
    """What is done on the way, after the record was written and the state told."""

    NONE = "nothing"
    OFFER = "forget the last download, then consider"
    CONSIDER = "may the download start?"
    FETCH = "ask for the next missing group"
    CONTINUE = "ask again: a pause is over, or a group is late"
    REFETCH = "the same group after a pause"
    PAUSE = "until the broker is back, the want comes again, or it is time"
    PRESENT = "the artifact is on disk"
    ATTEMPT = "get hold of the board, and begin or go on with the trial"
    TRY = "count a trial; then program the board and ask it"
    LATER = "try once more after a pause"
    RESUME = "a trial was cut off: another one, if any are left, or go on going back"
    CONFIRM = "it is the board's image now"
    ADVANCE = "it is, and the model is next"
    RESTORE = "program what was there before"
    END = "nothing of this update is needed any more"
    OWE = "what was there before is to be programmed once the board can be reached"


@dataclass(frozen=True, slots=True)
class Cell:
    """`record`: to disk before anything else is done; `tell`: a status message."""

    next: UpdateState
    action: Action = Action.NONE
    record: bool = False
    tell: bool = False


def _go(state: UpdateState, action: Action) -> Cell:
    return Cell(state, action, record=True, tell=True)


def _tell(state: UpdateState, action: Action) -> Cell:
    return Cell(state, action, tell=True)


Row = dict[Event, Cell]
_NEWER: Final[Row] = {
    Event.OFFER: _go(S.OFFERED, Action.OFFER),
    Event.CURRENT: _go(S.CONFIRMED, Action.END),
    Event.UNABLE: _go(S.FAILED, Action.END),
    Event.STAY: _go(S.IDLE, Action.END),
}
"""A newer want replaces whatever an older one began, but for a trial, which ends first: the board may hold
half an image."""


def _settled(state: UpdateState) -> Row:
    return {event: Cell(state) for event in Event} | _NEWER


def _row(state: UpdateState, cells: Row) -> Row:
    return {event: Cell(state) for event in Event} | cells


def _waiting(state: UpdateState) -> Row:
    """Before the download, or between two tries of it."""
    return _row(
        state,
        {
            **_NEWER,
            Event.WITHDRAW: _go(S.IDLE, Action.END),
            Event.REMIND: Cell(state, Action.CONSIDER),
            Event.RESTART: Cell(state, Action.CONSIDER),
            Event.LINK_UP: Cell(state, Action.CONSIDER),
            Event.DUE: Cell(state, Action.CONSIDER),
            Event.START: _go(S.DOWNLOADING, Action.FETCH),
            Event.WAIT: _go(S.DEFERRED, Action.LATER),
            Event.EXPIRE: _go(S.FAILED, Action.END),
            Event.REFUSE: _go(S.FAILED, Action.END),
        },
    )


TABLE: Final[Mapping[UpdateState, Row]] = {
    S.IDLE: _settled(S.IDLE),
    S.OFFERED: _waiting(S.OFFERED),
    # What it waited for may be the board: then the artifact is on disk already.
    S.DEFERRED: _waiting(S.DEFERRED)
    | {
        Event.PROCEED: Cell(S.DEFERRED, Action.ATTEMPT),
        Event.BEGIN: _go(S.TRIAL, Action.TRY),
    },
    S.DOWNLOADING: _row(
        S.DOWNLOADING,
        {
            **_NEWER,
            Event.WITHDRAW: _go(S.IDLE, Action.END),
            Event.RESTART: Cell(S.PAUSED, Action.PAUSE),
            Event.LINK_UP: Cell(S.DOWNLOADING, Action.FETCH),
            Event.LINK_DOWN: Cell(S.PAUSED, Action.PAUSE),
            Event.DUE: Cell(S.DOWNLOADING, Action.CONTINUE),
            Event.EXPIRE: _go(S.FAILED, Action.END),
            Event.DAMAGED: _tell(S.DOWNLOADING, Action.REFETCH),
            Event.STALL: _tell(S.PAUSED, Action.PAUSE),
            Event.REFUSE: _go(S.FAILED, Action.END),
            Event.VERIFIED: _go(S.VERIFIED, Action.PRESENT),
        },
    ),
    S.PAUSED: _waiting(S.PAUSED) | {Event.RESTART: Cell(S.PAUSED, Action.PAUSE)},
    S.VERIFIED: _row(
        S.VERIFIED,
        {
            **_NEWER,
            Event.WITHDRAW: _go(S.IDLE, Action.END),
            Event.RESTART: Cell(S.VERIFIED, Action.PRESENT),
            Event.REFUSE: _go(S.FAILED, Action.END),
            Event.PROCEED: _go(S.STAGED, Action.ATTEMPT),
        },
    ),
    S.STAGED: _row(
        S.STAGED,
        {
            **_NEWER,
            Event.WITHDRAW: _go(S.IDLE, Action.END),
            Event.RESTART: Cell(S.STAGED, Action.PRESENT),
            Event.REFUSE: _go(S.FAILED, Action.END),
            Event.PROCEED: Cell(S.STAGED, Action.ATTEMPT),
            Event.WAIT: _go(S.DEFERRED, Action.LATER),
            Event.BEGIN: _go(S.TRIAL, Action.TRY),
        },
    ),
    S.TRIAL: _row(
        S.TRIAL,
        {
            Event.RESTART: Cell(S.TRIAL, Action.RESUME, record=True),
            Event.DUE: Cell(S.TRIAL, Action.RESUME),
            Event.PROCEED: Cell(S.TRIAL, Action.ATTEMPT),
            Event.BEGIN: Cell(S.TRIAL, Action.TRY, record=True),
            Event.WAIT: _tell(S.TRIAL, Action.LATER),
            Event.RETRY: _go(S.TRIAL, Action.LATER),
            Event.PASSED: _go(S.CONFIRMED, Action.CONFIRM),
            Event.HALFWAY: _go(S.OFFERED, Action.ADVANCE),
            Event.REJECT: Cell(S.TRIAL, Action.RESTORE, record=True),
            Event.RESTORED: _go(S.REVERTED, Action.END),
            Event.STUCK: _go(S.FAILED, Action.OWE),
        },
    ),
    S.CONFIRMED: _settled(S.CONFIRMED),
    S.REVERTED: _settled(S.REVERTED),
    S.FAILED: _settled(S.FAILED),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial did not pass: what is told once the board runs what it ran before."""

    result: Result
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What must survive the agent. `wanted`, of that `kind`, and `staged`: the artifact, and that all of it
    is on disk; `next`: the model that came with a firmware. `tries`: trials begun, or attempts at going back
    once there is a `failure`. `kept`: what the board had before the trial is on disk (`previous`: its digest,
    None: the board had none); `owed`: it is to be programmed still, in the place of `owed_kind`. `counter`
    and `firmware_counter`: the highest security counters that were ever confirmed here."""

    boot: int = 0
    generation: int = 0
    state: UpdateState = UpdateState.IDLE
    result: Result = Result.INITIAL
    detail: str = ""
    wanted: WantedArtifact | None = None
    kind: ArtifactKind = ArtifactKind.MODEL
    next: WantedArtifact | None = None
    staged: bool = False
    tries: int = 0
    failure: Failure | None = None
    kept: bool = False
    previous: bytes | None = None
    owed: bool = False
    owed_kind: ArtifactKind = ArtifactKind.MODEL
    ran: bytes | None = None
    """The model that ran before a firmware's trial: it must run after it, too. None: there was none."""
    app: Installed | None = None
    """The bench app that was confirmed last."""
    counter: int = 0
    firmware_counter: int = 0
    brings: int = 0
    """Security counter of the artifact on disk: the board's once it is confirmed."""
    adopted: bool = False
    """A board that was given a model before anybody spoke for it: its counter has been taken in."""
    not_before: int | None = None
    deadline: int | None = None
    trial: Trial | None = None
    config: ConfigReport | None = None

    @property
    def on_trial(self) -> bool:
        return self.state is UpdateState.TRIAL


def step(
    record: Record, event: Event, result: Result = Result.INITIAL, detail: str = ""
) -> tuple[Record, Cell]:
    """The record after an event, and its cell: write it if the cell says so, then tell, then act."""
    cell = TABLE[record.state][event]
    moves = cell.next is not record.state
    if event is Event.WAIT and not moves and detail == record.detail:
        cell = replace(cell, record=False, tell=False)
    after = replace(record, state=cell.next)
    if moves or cell.tell:
        after = replace(after, result=result, detail=detail)
    if cell.action is Action.RESTORE:
        after = replace(after, failure=Failure(result, detail), tries=0)
    if event is Event.RESTORED:
        after = replace(after, owed=False)
    if event is Event.RETRY and record.failure is not None:
        after = replace(after, tries=record.tries + 1)
    if cell.action in (Action.END, Action.OFFER):
        after = _without_artifact(after)
    if cell.action is Action.PRESENT:
        after = replace(after, staged=True)
    if cell.action is Action.TRY:
        after = replace(after, tries=record.tries + 1)
    if cell.action in (Action.CONFIRM, Action.ADVANCE):
        after = _without_artifact(_raised(replace(after, owed=False)))
    if cell.action is Action.ADVANCE:
        after = replace(after, kind=ArtifactKind.MODEL, wanted=record.next, next=None)
    if cell.action is Action.OWE:
        after = _without_artifact(replace(after, owed=True, owed_kind=record.kind))
    return after, cell


def _raised(record: Record) -> Record:
    """Its counter is the board's now."""
    if record.kind is ArtifactKind.FIRMWARE:
        return replace(record, firmware_counter=max(record.firmware_counter, record.brings))
    return replace(record, counter=max(record.counter, record.brings))


def _without_artifact(record: Record) -> Record:
    """What the board owes stays: an update that failed half-way left something else than was there."""
    kept = record.kept and record.owed
    return replace(
        record,
        staged=False,
        tries=0,
        brings=0,
        failure=None,
        kept=kept,
        previous=record.previous if kept else None,
        ran=record.ran if kept else None,
    )


def is_newer(record: Record, generation: int) -> bool:
    """Whether a want of that generation is acted on as a new one: 0 is none, and they wrap (RFC 1982)."""
    acted_on = record.generation
    return generation != 0 and (acted_on == 0 or 0 < (generation - acted_on) % U32 < U32 // 2)


def take_want(
    record: Record, want: Want, runs: bytes | None, firmware: Firmware | None = None
) -> tuple[Record, Event, Result, str]:
    """What a newer want asks of a board that runs the model image `runs` and that `firmware`; None: it was
    not asked. To be followed by `step`. Firmware comes first: a model may need the one it came with."""
    after = replace(
        record,
        generation=want.generation,
        not_before=want.not_before,
        deadline=want.deadline,
        trial=want.trial,
    )
    unable = _unable(want, firmware)
    if unable:
        return after, Event.UNABLE, Result.UNSUPPORTED_TYPE, unable
    if want.firmware is None and want.model is None:
        return replace(after, wanted=None, next=None), Event.STAY, Result.INITIAL, ""
    model = None if _is(want.model, runs) and not record.owed else want.model
    known = None if firmware is None else firmware.image
    if want.firmware is not None and (record.owed or not _is(want.firmware, known)):
        after = replace(after, kind=ArtifactKind.FIRMWARE, wanted=want.firmware, next=model)
        return after, Event.OFFER, Result.INITIAL, ""
    kind = ArtifactKind.FIRMWARE if want.model is None else ArtifactKind.MODEL
    after = replace(after, kind=kind, wanted=want.model or want.firmware, next=None)
    if model is None:
        return after, Event.CURRENT, Result.SUCCESS, ""
    return after, Event.OFFER, Result.INITIAL, ""


def _is(wanted: WantedArtifact | None, image: bytes | None) -> bool:
    return wanted is not None and wanted.image == image


def consider(record: Record, now_s: int) -> tuple[Event, Result, str]:
    """What stands against going on, at that time of day (Unix)."""
    if record.deadline is not None and now_s >= record.deadline:
        return Event.EXPIRE, Result.EXPIRED, "the deadline has passed"
    if record.staged:
        return Event.PROCEED, Result.INITIAL, ""
    if record.not_before is not None and now_s < record.not_before:
        return Event.WAIT, Result.INITIAL, "before its time"
    return Event.START, Result.INITIAL, ""


def resume(record: Record, *, late: bool) -> tuple[Event, Result, str]:
    """What becomes of a trial that did not get to its end. `late`: the board was away for too long."""
    if not late and record.tries < TRIES:
        return Event.PROCEED, record.result, record.detail
    if record.failure is not None:
        why = f"{record.failure.detail}; and it could not go back: {record.detail}"
        return Event.STUCK, record.failure.result, why
    # A networked node's bootloader says the same of a firmware that does not come to its end.
    firmware = record.kind is ArtifactKind.FIRMWARE and not late
    result = Result.BOOT_FAILED if firmware else Result.UPDATE_FAILED
    return Event.REJECT, result, record.detail or f"{TRIES} trials were cut off"


def take_config(record: Record, want: Want) -> Record:
    """A configuration change is refused: how its agent reaches the broker is the agent's."""
    change = want.config
    if change is None or (record.config is not None and record.config.refused == change.sequence):
        return record
    return replace(record, config=refusal_of(change.sequence))


def refusal_of(sequence: int) -> ConfigReport:
    return ConfigReport(
        sequence=0,
        refused=sequence,
        result=Result.UNSUPPORTED_TYPE,
        detail="its agent speaks for it: register it again",
    )


def _unable(want: Want, firmware: Firmware | None) -> str:
    if want.firmware is not None and firmware is not None and not firmware.places:
        return "this board does not say that it takes firmware; flash it by `tinyfleet bench flash`"
    if want.shadow is not None:
        return "this board runs one model at a time"
    if want.trial is not None and want.trial.energy_uj is not None:
        return "no meter is asked in this board's trials"
    return ""


def diagram() -> str:
    """The table's moves as Mermaid draws them; `docs/bridge.md` shows it."""
    moves: dict[tuple[str, str], list[str]] = {}
    for state, row in TABLE.items():
        for event, cell in row.items():
            if cell.next is not state and event not in _NEWER:
                moves.setdefault((state.name, cell.next.name), []).append(event.name)
    lines = [f"    {one} --> {other}: {', '.join(why)}" for (one, other), why in moves.items()]
    lines += [f"    {state.name} --> OFFERED: OFFER" for state in TABLE if state is not S.TRIAL]
    return "\n".join(["stateDiagram-v2", "    [*] --> IDLE", *lines])
