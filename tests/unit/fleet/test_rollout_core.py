"""A rollout's summary: counters a wave, every (state, signal), and the reasons in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.fleet.core.deployment import Deployment, DeploymentState
from tinyfleet.fleet.core.rollout import (
    TABLE,
    Cancel,
    Effect,
    Moved,
    RolloutState,
    Signal,
    Summary,
    step,
    why,
)
from tinyfleet.wire.enums import Result

S, R = DeploymentState, RolloutState


def deployment(state: DeploymentState, result: Result | None = None, device: str = "d") -> Deployment:
    return Deployment(
        rollout=1,
        device=device,
        wave=0,
        image=b"",
        manifest=b"",
        generation=1,
        state=state,
        result=result,
    )


def begun(devices: int) -> Summary:
    summary = Summary(id=1, release=1)
    for _ in range(devices):
        summary, _ = step(summary, Moved(None, deployment(S.QUEUED)), 0.0)
    return summary


def end(summary: Summary, state: DeploymentState, result: Result | None = None) -> Summary:
    return step(summary, Moved(deployment(S.QUEUED), deployment(state, result)), 1.0)[0]


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == set(product(RolloutState, Signal))


@pytest.mark.parametrize(("state", "signal"), sorted(TABLE, key=str))
def test_every_pair_keeps_the_rules(state: RolloutState, signal: Signal) -> None:
    row = TABLE[state, signal]
    if state in (R.FAILED, R.CANCELED):
        assert row.next is state
    if row.effects:
        assert (state, signal) == (R.RUNNING, Signal.CANCEL)
    if signal is Signal.BAD and state is R.SUCCEEDED:
        assert row.next is R.FAILED


def test_it_succeeds_when_the_last_device_does() -> None:
    summary = begun(2)
    assert summary.state is R.RUNNING
    summary = end(summary, S.SUCCEEDED)
    assert (summary.state, summary.ended_s) == (R.RUNNING, None)
    summary = end(summary, S.SUCCEEDED)
    assert (summary.state, summary.ended_s, summary.why) == (R.SUCCEEDED, 1.0, "")


def test_it_fails_only_when_all_have_ended_and_says_why() -> None:
    summary = end(begun(2), S.REJECTED, Result.SIGNATURE)
    assert summary.state is R.RUNNING
    summary = end(summary, S.REJECTED, Result.SIGNATURE)
    assert summary.state is R.FAILED
    assert summary.why == "2 of 2 devices: result 73 SIGNATURE"


def test_several_reasons_are_ranked_and_bounded() -> None:
    summary = begun(8)
    for result in (Result.INTEGRITY, Result.INTEGRITY, Result.SIGNATURE, Result.BATTERY, Result.BUDGET):
        summary = end(summary, S.FAILED, result)
    summary = end(summary, S.TIMED_OUT)
    assert why(summary.waves).startswith("2 of 8 devices: result 5 INTEGRITY; 1 of 8 devices: ")
    assert why(summary.waves).endswith("2 more reasons")


def test_a_reopened_device_makes_it_run_again() -> None:
    summary = end(begun(1), S.SUCCEEDED)
    again, _ = step(summary, Moved(deployment(S.SUCCEEDED), deployment(S.QUEUED)), 2.0)
    assert (again.state, again.ended_s) == (R.RUNNING, None)


def test_removed_devices_count_neither_way() -> None:
    summary = end(end(begun(2), S.REMOVED), S.SUCCEEDED)
    assert summary.state is R.SUCCEEDED
    assert end(begun(1), S.REMOVED).state is R.CANCELED


def test_cancelling_ends_it_and_its_deployments() -> None:
    summary, effects = step(begun(1), Cancel(), 3.0)
    assert (summary.state, effects, summary.ended_s) == (R.CANCELED, (Effect.CANCEL_DEPLOYMENTS,), 3.0)
    after = end(summary, S.CANCELED)
    assert (after.state, after.waves[0].counts) == (R.CANCELED, {S.CANCELED: 1})
    assert step(end(begun(1), S.SUCCEEDED), Cancel(), 4.0)[1] == ()


def test_counters_that_do_not_match_are_a_bug_of_ours() -> None:
    with pytest.raises(ValueError, match="counters do not match"):
        step(begun(1), Moved(deployment(S.SUCCEEDED), deployment(S.QUEUED)), 1.0)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(S)), st.sampled_from(list(Result)))))
def test_the_counters_always_add_up(moves: list[tuple[int, DeploymentState, Result]]) -> None:
    devices = [deployment(S.QUEUED, device=str(i)) for i in range(5)]
    summary = begun(5)
    for which, state, result in moves:
        after = replace(devices[which], state=state, result=result)
        summary, _ = step(summary, Moved(devices[which], after), 1.0)
        devices[which] = after
    wave = summary.waves[0]
    assert wave.total == 5
    for state in S:
        assert wave.counts.get(state, 0) == sum(device.state is state for device in devices)
