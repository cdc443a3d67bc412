"""One device's part of a rollout: every (state, signal), and what events mean."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from tests.unit.fleet.fleet_rig import BIRTH

from tinyfleet.fleet.core.deployment import (
    BAD,
    OPEN,
    REFUSALS,
    REOPENINGS_MAX,
    TABLE,
    Born,
    Cancel,
    Deployment,
    DeploymentState,
    DeviceGone,
    Effect,
    Reported,
    Signal,
    Tick,
    advance,
    signal_of,
    step,
)
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import Birth, ImageInfo, Status

S = DeploymentState
IMAGE, OTHER = b"\x01" * 32, b"\x02" * 32
BEGUN = Deployment(
    rollout=1, device="d", wave=0, image=IMAGE, manifest=b"\x03" * 32, generation=5, deadline_s=100.0
)


def status(state: UpdateState, result: Result = Result.INITIAL, seq: int = 1, generation: int = 5) -> Status:
    return Status(
        boot=1, seq=seq, generation=generation, state=state, result=result, offset_bytes=7, size_bytes=9
    )


def birth(
    state: UpdateState,
    image: bytes | None,
    generation: int = 5,
    result: Result = Result.SUCCESS,
) -> Birth:
    model = None if image is None else ImageInfo(image=image, version="1", security_counter=0)
    return replace(BIRTH, generation=generation, state=state, result=result, model=model)


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == set(product(DeploymentState, Signal))


@pytest.mark.parametrize(("state", "signal"), sorted(TABLE, key=str))
def test_every_pair_keeps_the_rules(state: DeploymentState, signal: Signal) -> None:
    row = TABLE[state, signal]
    if state not in OPEN and state is not S.SUCCEEDED:
        assert row.next is state, "what has ended stays ended"
        assert row.effects == ()
    if signal is Signal.UNFIT:
        assert row.effects == (), "found before anything was published for it"
    elif row.next not in OPEN and row.next is not state:
        assert (Effect.WITHDRAW in row.effects) == (row.next is not S.SUCCEEDED), (
            "a want stays only where it was fulfilled"
        )
    if state is S.SUCCEEDED and row.next in OPEN:
        assert row.effects == (Effect.OFFER,)
    if signal is Signal.BAD_CHUNK and state in OPEN:
        assert Effect.RESEND in row.effects


@pytest.mark.parametrize("state", [s for s in UpdateState if s not in (0, 8, 9, 10, 11)])
def test_work_at_the_node_is_progress(state: UpdateState) -> None:
    after, effects = step(BEGUN, Reported(status(state)), 1.0)
    assert (after.state, after.version, effects) == (S.IN_PROGRESS, 2, ())
    assert (after.offset_bytes, after.size_bytes, after.changed_s) == (7, 9, 1.0)


def test_only_confirmed_succeeds() -> None:
    for state in UpdateState:
        after, _ = step(BEGUN, Reported(status(state, Result.SUCCESS)), 1.0)
        assert (after.state is S.SUCCEEDED) == (state is UpdateState.CONFIRMED)


@pytest.mark.parametrize("result", list(Result))
def test_a_failure_is_a_refusal_or_a_breakage(result: Result) -> None:
    after, effects = step(BEGUN, Reported(status(UpdateState.FAILED, result)), 1.0)
    assert after.state is (S.REJECTED if result in REFUSALS else S.FAILED)
    assert after.state in BAD
    assert after.result is result
    assert effects == (Effect.WITHDRAW,)


def test_the_words_about_another_generation_and_repeated_ones_mean_nothing() -> None:
    for generation in (4, 6):
        event = Reported(status(UpdateState.CONFIRMED, generation=generation))
        assert step(BEGUN, event, 1.0) == (BEGUN, ())
    once, _ = step(BEGUN, Reported(status(UpdateState.DOWNLOADING, seq=3)), 1.0)
    assert step(once, Reported(status(UpdateState.CONFIRMED, seq=3)), 2.0) == (once, ())
    assert step(once, Reported(status(UpdateState.CONFIRMED, seq=2)), 2.0) == (once, ())


def test_a_bad_chunk_asks_for_the_artifact_again() -> None:
    event = Reported(status(UpdateState.DOWNLOADING, Result.INTEGRITY))
    after, effects = step(BEGUN, event, 1.0)
    assert (after.state, effects) == (S.IN_PROGRESS, (Effect.RESEND,))


def test_a_birth_tells_the_end_that_a_lost_status_did_not() -> None:
    done, _ = step(BEGUN, Born(birth(UpdateState.CONFIRMED, IMAGE)), 1.0)
    assert done.state is S.SUCCEEDED
    idle, _ = step(BEGUN, Born(birth(UpdateState.IDLE, IMAGE)), 1.0)
    assert idle.state is S.SUCCEEDED
    failed, _ = step(BEGUN, Born(birth(UpdateState.FAILED, OTHER, result=Result.SIGNATURE)), 1.0)
    assert failed.state is S.REJECTED
    reverted, _ = step(BEGUN, Born(birth(UpdateState.IDLE, OTHER, result=Result.BOOT_FAILED)), 1.0)
    assert reverted.state is S.FAILED


def test_a_birth_before_the_node_acted_says_nothing() -> None:
    assert signal_of(BEGUN, Born(birth(UpdateState.CONFIRMED, OTHER, generation=4)), 1.0) is None
    assert signal_of(BEGUN, Born(birth(UpdateState.CONFIRMED, IMAGE, generation=4)), 1.0) is None


def test_a_node_ahead_of_us_is_offered_a_higher_generation() -> None:
    after, effects = step(BEGUN, Born(birth(UpdateState.CONFIRMED, OTHER, generation=9)), 1.0)
    assert (after.state, effects) == (S.QUEUED, (Effect.OFFER,))


def test_a_contradicted_success_is_opened_again_but_not_for_ever() -> None:
    deployment = replace(BEGUN, state=S.SUCCEEDED)
    assert step(deployment, Born(birth(UpdateState.CONFIRMED, IMAGE)), 1.0) == (deployment, ())
    for count in range(REOPENINGS_MAX):
        deployment, effects = step(deployment, Born(birth(UpdateState.IDLE, OTHER)), 1.0)
        assert (deployment.state, effects, deployment.reopened) == (S.QUEUED, (Effect.OFFER,), count + 1)
        deployment = replace(deployment, state=S.SUCCEEDED)
    deployment, effects = step(deployment, Born(birth(UpdateState.IDLE, None)), 1.0)
    assert (deployment.state, effects) == (S.FAILED, (Effect.WITHDRAW,))
    assert "fell back" in deployment.detail


def test_time_runs_out_for_what_is_open_only() -> None:
    assert signal_of(BEGUN, Tick(), 99.9) is None
    after, effects = step(BEGUN, Tick(), 100.0)
    assert (after.state, effects) == (S.TIMED_OUT, (Effect.WITHDRAW,))
    assert after.detail == "no answer before the deadline"
    done = replace(BEGUN, state=S.SUCCEEDED)
    assert step(done, Tick(), 1000.0) == (done, ())
    endless = replace(BEGUN, deadline_s=None)
    assert step(endless, Tick(), 1e12) == (endless, ())


@pytest.mark.parametrize("state", list(DeploymentState))
def test_cancelling_and_leaving_end_what_is_open(state: DeploymentState) -> None:
    deployment = replace(BEGUN, state=state)
    cancelled, _ = step(deployment, Cancel(), 1.0)
    assert cancelled.state is (S.CANCELED if state in OPEN else state)
    gone, _ = step(deployment, DeviceGone(), 1.0)
    assert gone.state is (S.REMOVED if state in OPEN or state is S.SUCCEEDED else state)


def test_a_version_rises_by_one_with_every_change_and_stays_without() -> None:
    done = advance(BEGUN, Reported(status(UpdateState.DOWNLOADING)), 1.0)
    assert done.deployment.version == BEGUN.version + 1
    again = advance(done.deployment, Reported(status(UpdateState.DOWNLOADING)), 2.0)
    assert again.deployment is done.deployment
