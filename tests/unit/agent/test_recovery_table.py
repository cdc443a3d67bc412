"""The ladder's table: complete, without a dead end but quarantine; the docs' diagram is drawn from it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.core.pulse import Beat, Fault
from tinyfleet.agent.core.recovery import (
    RUNGS,
    TABLE,
    Condition,
    Event,
    Finding,
    Limits,
    Patient,
    diagram,
    is_rested,
    loaded,
    step,
)

ROOT = Path(__file__).resolve().parents[3]
LIMITS = Limits(failures=3, window_s=1000.0, pause_first_s=10.0, pause_max_s=60.0)
NOTHING = Finding()


def test_every_state_has_an_answer_to_every_event() -> None:
    assert set(TABLE) == set(itertools.product(Condition, Event))


@pytest.mark.parametrize(("state", "event"), list(itertools.product(Condition, Event)))
def test_every_pair_in_words(state: Condition, event: Event) -> None:
    """What the table must say, said once more and otherwise."""
    after = TABLE[state, event]
    if state is Condition.QUARANTINED:
        assert after is (Condition.UNKNOWN if event is Event.PARDONED else state), "only a person lets it out"
    elif event is Event.BANISHED:
        assert after is Condition.QUARANTINED
    elif event is Event.BEAT:
        assert after is Condition.ALIVE, "a heartbeat ends whatever is under way"
    elif event is Event.SPENT:
        assert after is (Condition.QUARANTINED if state is RUNGS[-1] else state)
    elif state in RUNGS and event in (Event.SILENT, Event.SKIPPED):
        following = (*RUNGS[1:], Condition.PAUSED)
        assert after is following[RUNGS.index(state)], "one rung at a time, and none twice"
    elif state in RUNGS:
        assert after is (Condition.PAUSED if event is Event.HELD else state)
    elif event is Event.GRANTED:
        assert after is (RUNGS[0] if state is Condition.WEDGED else state), "no climb without a lease"
    elif event is Event.RESTED:
        assert after is (Condition.WEDGED if state is Condition.PAUSED else state)
    elif event is Event.PROGRAMMED:
        assert after is Condition.UNKNOWN
    elif event in (Event.CALLED, Event.SILENT) and state is not Condition.PAUSED:
        assert after is Condition.WEDGED
    else:
        assert after is state


def test_each_state_is_reached_and_left() -> None:
    edges = {(before, after) for (before, _), after in TABLE.items() if before is not after}
    reached, more = {Condition.UNKNOWN}, True
    while more:
        grown = reached | {after for before, after in edges if before in reached}
        more, reached = grown != reached, grown
    assert reached == set(Condition)
    assert {before for before, _ in edges} == set(Condition)


def climb(patient: Patient, now_s: float, event: Event = Event.SILENT) -> Patient:
    """All rungs, none of which helps."""
    patient = step(patient, Event.GRANTED, NOTHING, now_s, LIMITS)
    for _ in RUNGS:
        patient = step(patient, event, Finding(fault=Fault.BOARD, cause="silent"), now_s, LIMITS)
    return patient


def wedged(now_s: float = 0.0) -> Patient:
    alive = step(Patient(), Event.BEAT, Finding(beat=Beat.HELLO), now_s, LIMITS)
    return step(alive, Event.SILENT, Finding(fault=Fault.BOARD, cause="its console is silent"), now_s, LIMITS)


def test_pauses_grow_and_the_last_failure_is_quarantine_with_a_reason() -> None:
    patient, now_s, pauses = wedged(), 100.0, []
    while patient.state is not Condition.QUARANTINED:
        patient = climb(patient, now_s)
        if patient.state is Condition.PAUSED:
            pauses.append(patient.until_s - now_s)
            now_s = patient.until_s
            patient = step(patient, Event.RESTED, NOTHING, now_s, LIMITS)
    assert pauses == [10.0, 20.0]
    assert patient.reason == "board dead: 3 climbs did not bring it back; last: silent"
    assert patient.fault is Fault.BOARD
    free = step(patient, Event.PARDONED, NOTHING, now_s, LIMITS)
    assert (free.state, free.failed, free.reason) == (Condition.UNKNOWN, (), None)


def test_rungs_that_are_not_there_do_not_hide_why() -> None:
    patient = climb(wedged(), 1.0, Event.SKIPPED)
    assert (patient.state, patient.reason) == (Condition.PAUSED, "its console is silent")
    for now_s in (50.0, 100.0):
        patient = climb(step(patient, Event.RESTED, NOTHING, now_s, LIMITS), now_s, Event.SKIPPED)
    assert patient.state is Condition.QUARANTINED
    assert patient.reason is not None and patient.reason.endswith("last: its console is silent")


def test_a_probe_that_is_dead_is_not_called_a_broken_board() -> None:
    patient = wedged()
    for now_s in (1.0, 100.0, 200.0):
        patient = step(patient, Event.RESTED, NOTHING, now_s, LIMITS)
        patient = step(patient, Event.GRANTED, NOTHING, now_s, LIMITS)
        for _ in RUNGS:
            found = Finding(fault=Fault.PROBE, cause="its probe is gone")
            patient = step(patient, Event.SILENT, found, now_s, LIMITS)
    assert patient.state is Condition.QUARANTINED
    assert patient.reason is not None and patient.reason.startswith("probe dead: ")


def test_failures_that_are_long_ago_do_not_count() -> None:
    patient = wedged()
    for now_s in (0.0, 600.0, 1200.0, 1800.0):
        patient = climb(step(patient, Event.RESTED, NOTHING, now_s, LIMITS), now_s)
        assert patient.state is Condition.PAUSED
        assert len(patient.failed) <= 2


def test_trouble_of_the_host_counts_for_nothing() -> None:
    patient = step(wedged(), Event.GRANTED, NOTHING, 1.0, LIMITS)
    patient = step(patient, Event.HELD, Finding(fault=Fault.HOST, cause="disk full"), 1.0, LIMITS)
    assert (patient.state, patient.failed, patient.reason) == (Condition.PAUSED, (), "disk full")


def test_a_board_is_held_to_the_best_it_has_shown_until_it_is_programmed() -> None:
    patient = step(Patient(), Event.BEAT, Finding(beat=Beat.CORE), 0.0, LIMITS)
    patient = step(patient, Event.BEAT, Finding(beat=Beat.HELLO), 1.0, LIMITS)
    patient = step(patient, Event.BEAT, Finding(beat=Beat.LINE), 2.0, LIMITS)
    assert patient.expects is Beat.HELLO
    patient = step(patient, Event.PROGRAMMED, NOTHING, 3.0, LIMITS)
    assert (patient.expects, patient.asked) == (None, False)


def test_only_a_climb_is_counted_as_a_recovery() -> None:
    patient = step(wedged(), Event.BEAT, Finding(beat=Beat.HELLO), 1.0, LIMITS)
    assert patient.recoveries == 0, "it came back by itself"
    patient = step(wedged(), Event.GRANTED, NOTHING, 1.0, LIMITS)
    patient = step(patient, Event.SILENT, NOTHING, 1.0, LIMITS)
    patient = step(patient, Event.BEAT, Finding(beat=Beat.HELLO), 1.0, LIMITS)
    assert (patient.recoveries, patient.rung) == (1, Condition.UNDER_CONNECT)


events = st.sampled_from(Event)
findings = st.builds(
    Finding,
    beat=st.none() | st.sampled_from(Beat),
    fault=st.none() | st.sampled_from(Fault),
    cause=st.none() | st.text(max_size=400),
)


@given(st.lists(st.tuples(events, findings, st.floats(0, 500)), max_size=60))
def test_whatever_happens(history: list[tuple[Event, Finding, float]]) -> None:
    patient, now_s = Patient(), 0.0
    for event, found, passed_s in history:
        now_s += passed_s
        before = patient
        patient = step(patient, event, found, now_s, LIMITS)
        assert len(patient.failed) <= LIMITS.failures
        assert len(patient.reason or "") <= 300
        assert patient.recoveries >= before.recoveries
        if patient.state is Condition.PAUSED:
            assert is_rested(patient, now_s + LIMITS.pause_max_s)
            assert is_rested(patient, patient.since_s - 1.0), "the clock was set back"
        if before.state is not Condition.QUARANTINED and patient.state is Condition.QUARANTINED:
            assert event is Event.BANISHED or len(patient.failed) >= LIMITS.failures
        assert not loaded(patient).climbing


def test_the_diagram_in_the_docs_is_drawn_from_the_table() -> None:
    assert diagram() in (ROOT / "docs" / "recovery.md").read_text(encoding="utf-8")
