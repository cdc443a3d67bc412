"""The table of a bridged board's update: every state and event, and what must never be possible."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tinyfleet.agent.adapters.bridge_files import record_of, to_json
from tinyfleet.agent.core.bridge import (
    TABLE,
    TRIES,
    Action,
    Event,
    Failure,
    Record,
    consider,
    diagram,
    is_newer,
    resume,
    step,
    take_config,
    take_want,
)
from tinyfleet.agent.core.bridge_app import Firmware, Installed
from tinyfleet.wire.enums import ArtifactKind, Result, UpdateState
from tinyfleet.wire.messages import ConfigChange, SlotInfo, Trial, Want, WantedArtifact

S = UpdateState
WANTED = WantedArtifact(image=b"\1" * 32, manifest=b"\2" * 32, version="1", groups=1, size_bytes=99)
NEWER = {Event.OFFER, Event.CURRENT, Event.UNABLE, Event.STAY}
SETTLED = {S.IDLE, S.CONFIRMED, S.REVERTED, S.FAILED}
ALL = [(state, event) for state in TABLE for event in Event]


def test_every_state_of_a_bridged_board_meets_every_event() -> None:
    assert set(TABLE) == set(UpdateState) - {S.SHADOW}
    for row in TABLE.values():
        assert set(row) == set(Event)
    assert {cell.next for row in TABLE.values() for cell in row.values()} == set(TABLE), "all are reached"
    assert {cell.action for row in TABLE.values() for cell in row.values()} == set(Action)


@pytest.mark.parametrize(("state", "event"), ALL, ids=lambda each: each.name)
def test_each_cell(state: S, event: Event) -> None:
    before = Record(generation=3, state=state, wanted=WANTED, kept=True, previous=b"\3" * 32, counter=4)
    app = Installed(b"\4" * 32, "1.2.3", b"\5" * 32, 77)
    both = replace(
        before, kind=ArtifactKind.FIRMWARE, next=WANTED, ran=b"\6" * 32, app=app, firmware_counter=9
    )
    assert record_of(to_json(step(both, event)[0])) == step(both, event)[0]
    after, cell = step(before, event, Result.UPDATE_FAILED, "why")
    assert after.state is cell.next
    if state in SETTLED:
        assert (cell.next is not state or cell.action is not Action.NONE) == (event in NEWER)
    if state is S.TRIAL:
        ends = {Event.PASSED: S.CONFIRMED, Event.RESTORED: S.REVERTED, Event.STUCK: S.FAILED}
        ends[Event.HALFWAY] = S.OFFERED
        assert cell.next is ends.get(event, S.TRIAL), "the board may hold half an image: nothing else ends it"
    if cell.next is S.CONFIRMED and state is not S.CONFIRMED:
        assert event is (Event.PASSED if state is S.TRIAL else Event.CURRENT)
    if cell.next is S.TRIAL and state is not S.TRIAL:
        assert event is Event.BEGIN and cell.record, "what is to be gone back to is on disk before"
    if cell.next is not state and cell.action is not Action.PAUSE:
        assert cell.record and cell.tell
    if cell.action in (Action.TRY, Action.RESTORE, Action.CONFIRM, Action.ADVANCE, Action.OWE):
        assert cell.record, "before anything is done that another agent would have to know of"
    assert after.counter == (before.counter if cell.action is not Action.CONFIRM else 4)
    assert record_of(to_json(after)) == after, "it survives as it is"
    if cell == type(cell)(state):
        assert after == before, "what cannot happen changes nothing"


def test_the_documents_diagram_is_the_table() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "bridge.md").read_text()
    assert diagram() in text


def test_a_trial_counts_and_a_failure_counts_going_back_anew() -> None:
    record = Record(state=S.STAGED, wanted=WANTED, staged=True, brings=7, counter=4, kept=True)
    record, _ = step(record, Event.BEGIN)
    assert (record.tries, record.counter) == (1, 4)
    again, _ = step(record, Event.BEGIN)
    assert again.tries == 2
    passed, _ = step(record, Event.PASSED, Result.SUCCESS)
    assert (passed.counter, passed.kept, passed.staged) == (7, False, False)
    bad, cell = step(record, Event.REJECT, Result.GOLDEN_FAILED, "vector 1")
    assert (bad.failure, bad.tries, cell.tell) == (Failure(Result.GOLDEN_FAILED, "vector 1"), 0, False)
    stuck, _ = step(step(bad, Event.RETRY, Result.INITIAL, "no probe")[0], Event.STUCK, Result.GOLDEN_FAILED)
    assert (stuck.owed, stuck.kept, stuck.counter) == (True, True, 4), "it is gone back to later"
    newer, _ = step(stuck, Event.OFFER)
    assert (newer.owed, newer.kept) == (True, True)
    done, _ = step(replace(newer, state=S.TRIAL, brings=7), Event.PASSED, Result.SUCCESS)
    assert (done.owed, done.kept) == (False, False)


def test_what_a_trial_that_was_cut_off_becomes() -> None:
    record = Record(state=S.TRIAL, wanted=WANTED, tries=TRIES - 1)
    assert resume(record, late=False)[0] is Event.PROCEED
    assert resume(record, late=True)[:2] == (Event.REJECT, Result.UPDATE_FAILED)
    assert resume(replace(record, tries=TRIES), late=False)[0] is Event.REJECT
    back = replace(record, failure=Failure(Result.OP_MISSING, "CONV"), detail="no probe")
    assert resume(back, late=False)[0] is Event.PROCEED
    event, result, detail = resume(replace(back, tries=TRIES), late=False)
    assert (event, result) == (Event.STUCK, Result.OP_MISSING)
    assert "CONV" in detail and "no probe" in detail


def test_waiting_is_told_when_its_reason_changes() -> None:
    record = Record(state=S.STAGED, wanted=WANTED, staged=True)
    record, cell = step(record, Event.WAIT, Result.INITIAL, "reserved by ann")
    assert (record.state, cell.tell) == (S.DEFERRED, True)
    assert step(record, Event.WAIT, Result.INITIAL, "reserved by ann")[1].tell is False
    assert step(record, Event.WAIT, Result.INITIAL, "reserved by bob")[1].tell is True


@pytest.mark.parametrize(
    ("known", "generation", "newer"),
    [(0, 0, False), (0, 5, True), (5, 5, False), (5, 4, False), (2**32 - 1, 1, True), (1, 2**32 - 1, False)],
)
def test_which_want_is_newer(known: int, generation: int, newer: bool) -> None:
    assert is_newer(Record(generation=known), generation) is newer


def test_what_a_want_asks() -> None:
    def event_of(want: Want, runs: bytes | None = None, record: Record | None = None) -> Event:
        return take_want(record or Record(), want, runs)[1]

    assert event_of(Want(generation=1)) is Event.STAY
    assert event_of(Want(generation=1, model=WANTED)) is Event.OFFER
    assert event_of(Want(generation=1, model=WANTED), WANTED.image) is Event.CURRENT
    owing = Record(owed=True, kept=True)
    assert event_of(Want(generation=1, model=WANTED), WANTED.image, owing) is Event.OFFER
    closed, other = Firmware("1.0.0"), replace(WANTED, image=b"\7" * 32)
    place = SlotInfo(kind=ArtifactKind.FIRMWARE, index=0, size_bytes=4096)
    open_ = Firmware("1.0.0", image=WANTED.image, places=(place,))
    both = Want(generation=1, firmware=WANTED, model=other)
    after, event, *_ = take_want(Record(), both, None, replace(open_, image=None))
    assert (event, after.kind, after.wanted, after.next) == (
        *(Event.OFFER, ArtifactKind.FIRMWARE, WANTED),
        other,
    )
    after, event, *_ = take_want(Record(), both, None, open_)
    assert (event, after.kind, after.wanted, after.next) == (Event.OFFER, ArtifactKind.MODEL, other, None)
    assert take_want(Record(), both, other.image, open_)[1] is Event.CURRENT
    assert take_want(Record(), both, other.image)[0].next is None, "the model runs already"
    after, event, *_ = take_want(Record(), Want(generation=1, firmware=WANTED), None, open_)
    assert (event, after.kind) == (Event.CURRENT, ArtifactKind.FIRMWARE)
    refused = take_want(Record(), both, None, closed)
    assert refused[1:3] == (Event.UNABLE, Result.UNSUPPORTED_TYPE)
    for want in (
        Want(generation=1, model=WANTED, shadow=WANTED),
        Want(generation=1, model=WANTED, trial=Trial(inferences=1, energy_uj=5)),
    ):
        _, event, result, detail = take_want(Record(), want, None)
        assert (event, result) == (Event.UNABLE, Result.UNSUPPORTED_TYPE)
        assert detail
    taken, *_ = take_want(Record(), Want(generation=9, model=WANTED, deadline=5, not_before=4), None)
    assert (taken.generation, taken.deadline, taken.not_before) == (9, 5, 4)


def test_a_configuration_change_is_refused_once() -> None:
    want = Want(generation=0, config=ConfigChange(sequence=3, port=99))
    record = take_config(Record(), want)
    assert record.config is not None
    assert (record.config.refused, record.config.result) == (3, Result.UNSUPPORTED_TYPE)
    assert take_config(record, want) is record
    assert take_config(Record(), Want(generation=1)) == Record()


def test_what_stands_against_going_on() -> None:
    record = Record(wanted=WANTED, not_before=100, deadline=200)
    assert consider(record, 99)[0] is Event.WAIT
    assert consider(record, 100)[0] is Event.START
    assert consider(record, 200)[0] is Event.EXPIRE
    assert consider(replace(record, staged=True), 99)[0] is Event.PROCEED, "it is here: only the board counts"
    assert consider(replace(record, staged=True), 200)[0] is Event.EXPIRE


@pytest.mark.parametrize(
    "change",
    [
        {"tries": "1"},
        {"staged": 1},
        {"state": "SHADOWS"},
        {"want": "zz"},
        {"failure": ["NO", "x"]},
        {"previous": 5},
    ],
)
def test_a_file_that_is_no_record_is_refused(change: dict[str, object]) -> None:
    document = to_json(Record(wanted=WANTED)) | change
    with pytest.raises((ValueError, KeyError, TypeError)):
        record_of(document)
