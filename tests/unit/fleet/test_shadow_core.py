"""A challenger's states, its counters, and whether it fits beside the model that runs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.fleet.fleet_rig import birth

from tinyfleet.fleet.core import shadow as core
from tinyfleet.fleet.core.counters import CounterError
from tinyfleet.fleet.core.fit import Answers, InputKind, Misfit, ModelNeeds
from tinyfleet.fleet.core.shadow import OPEN, TABLE, Counts, Effect, Shadow, ShadowState, Signal
from tinyfleet.fleet.core.shadow_fit import misfit_beside
from tinyfleet.wire.enums import CoreVariant, Result, UpdateState
from tinyfleet.wire.messages import ClassPair, Comparison, Status

IMAGE, ACTIVE = b"\x02" * 32, b"\x01" * 32
S, U = ShadowState, UpdateState


def shadow(**changes: Any) -> Shadow:
    return replace(
        Shadow(device="d", release=1, image=IMAGE, manifest=bytes(32), generation=7, deadline_s=600.0),
        **changes,
    )


def status(state: UpdateState, result: Result = Result.INITIAL, **changes: Any) -> core.Reported:
    base = Status(boot=1, seq=1, generation=7, state=state, result=result, offset_bytes=0, size_bytes=0)
    return core.Reported(replace(base, **changes))


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(state, signal) for state in ShadowState for signal in Signal}
    for (state, signal), row in TABLE.items():
        if state not in OPEN:
            assert row == core.Row(state), "what has ended stays so"
        ends = state in OPEN and row.next not in OPEN
        if ends and signal not in (Signal.EVICT, Signal.GONE, Signal.UNFIT):
            assert row.effects == (Effect.CLEAR,), "the want names it no longer"


@pytest.mark.parametrize(
    ("event", "state", "effects"),
    [
        (status(U.OFFERED), S.PREPARING, ()),
        (status(U.DOWNLOADING, Result.INTEGRITY), S.PREPARING, (Effect.RESEND,)),
        (status(U.SHADOW), S.PREPARING, ()),
        (status(U.SHADOW, Result.SUCCESS), S.RUNNING, ()),
        (status(U.REVERTED, Result.ARENA_TOO_SMALL), S.REJECTED, (Effect.CLEAR,)),
        (status(U.REVERTED, Result.GOLDEN_FAILED), S.FAILED, (Effect.CLEAR,)),
        (status(U.FAILED, Result.SIGNATURE), S.REJECTED, (Effect.CLEAR,)),
        (status(U.CONFIRMED, Result.SUCCESS), S.REJECTED, (Effect.CLEAR,)),
        (status(U.OFFERED, generation=6), S.QUEUED, ()),
        (core.Born(birth(generation=7, state=U.SHADOW, result=Result.SUCCESS)), S.RUNNING, ()),
        (core.Born(birth(generation=6, state=U.CONFIRMED)), S.QUEUED, ()),
        (core.Born(birth(generation=8, state=U.CONFIRMED)), S.QUEUED, (Effect.OFFER,)),
        (core.Stop(), S.STOPPED, (Effect.CLEAR,)),
        (core.Evict("rollout 3 took its place"), S.EVICTED, ()),
        (core.DeviceGone(), S.REMOVED, ()),
        (core.Unfit(Misfit(Result.INPUT_MISMATCH, "why")), S.REJECTED, ()),
    ],
)
def test_what_is_heard_moves_it(event: core.Event, state: ShadowState, effects: tuple[Effect, ...]) -> None:
    after, done = core.step(shadow(), event, 10.0)
    assert (after.state, done) == (state, effects)
    if after.state is not S.QUEUED:
        assert after.transition.startswith("QUEUED:") and after.transition.endswith(f":{state.value}")


def test_a_restart_of_the_node_prepares_it_again_without_a_deadline() -> None:
    running, _ = core.step(shadow(), status(U.SHADOW, Result.SUCCESS), 10.0)
    assert running.deadline_s is None
    again, effects = core.step(running, core.Born(birth(generation=7, state=U.SHADOW)), 20.0)
    assert (again.state, again.deadline_s, effects) == (S.PREPARING, None, ())
    assert core.step(again, core.Tick(), 1e9)[0] is again
    late, effects = core.step(shadow(), core.Tick(), 600.0)
    assert (late.state, effects) == (S.TIMED_OUT, (Effect.CLEAR,))


def test_a_repeated_status_says_nothing() -> None:
    once, _ = core.step(shadow(), status(U.SHADOW, Result.SUCCESS, seq=5), 10.0)
    assert core.step(once, status(U.OFFERED, seq=5), 11.0) == (once, ())


def comparison(run: int = 1, agreements: int = 0, rest: int = 0, **pairs: int) -> Comparison:
    told = tuple(ClassPair(active=int(k[1]), challenger=int(k[2]), windows=n) for k, n in pairs.items())
    return Comparison(
        model=IMAGE,
        run=run,
        windows=agreements + rest + sum(pair.windows for pair in told),
        agreements=agreements,
        skipped=2 * run,
        missed=run,
        pairs=told,
        rest=rest,
    )


def test_counters_are_taken_in_once_and_over_runs() -> None:
    one = core.count(shadow(), 1, comparison(agreements=10, p01=2))
    assert one is not None
    two = core.count(one[0], 1, comparison(agreements=15, p01=2, p10=1))
    assert two is not None
    assert two[1] == Counts(6, 5, 0, 0, 0, {(0, 1): 0, (1, 0): 1})
    assert core.count(two[0], 1, comparison(agreements=15, p01=2, p10=1))[1].windows == 0  # type: ignore[index]
    three = core.count(two[0], 2, comparison(agreements=1, p01=3))
    assert three is not None
    assert three[0].total == Counts(22, 16, 4, 2, 0, {(0, 1): 5, (1, 0): 1})
    assert core.count(three[0], 1, comparison(agreements=99)) is None, "a run before the last one"
    other = replace(comparison(agreements=1), model=bytes(32))
    assert core.count(three[0], 2, other) is None, "of another challenger"


@given(st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_counters_wrap(before: int, more: int) -> None:
    first = replace(comparison(), agreements=before, windows=before)
    begun = core.count(shadow(), 1, replace(first, agreements=0, windows=0))
    assert begun is not None
    at = replace(begun[0], last=Counts(windows=before, agreements=before, skipped=2, missed=1))
    after = (before + more) % 2**32
    done = core.count(at, 1, replace(first, agreements=after, windows=after))
    assert done is not None and (done[1].windows, done[1].agreements) == (more, more)


def test_counters_that_do_not_add_up_are_refused() -> None:
    good = comparison(agreements=10, p01=2)
    for bad, words in (
        (replace(good, windows=11), "expected 12"),
        (replace(good, pairs=(good.pairs[0], good.pairs[0]), windows=14), "each once"),
        (replace(good, pairs=(ClassPair(active=1, challenger=1, windows=2),)), "different classes"),
    ):
        with pytest.raises(CounterError, match=words):
            core.count(shadow(), 1, bad)
    one = core.count(shadow(), 1, good)
    assert one is not None
    with pytest.raises(CounterError, match="agreements went backwards"):
        core.count(one[0], 1, comparison(agreements=9, p01=4))
    with pytest.raises(CounterError, match="went away"):
        core.count(one[0], 1, comparison(agreements=12))


INPUT = InputKind("accelerometer", "mg", 25_000, 128, 3)


def needs(arena_bytes: int = 1000, **changes: Any) -> ModelNeeds:
    answers = Answers(
        changes.pop("input", INPUT), changes.pop("classes", True), changes.pop("labels", ("a", "b"))
    )
    base = ModelNeeds(
        image_bytes=100, core=CoreVariant.PORTABLE, abi=1, arena_bytes=arena_bytes, ops=(), answers=answers
    )
    return replace(base, **changes)


HOST = birth(image=ACTIVE, arena_bytes=4096, shadow_bytes=3096)


@pytest.mark.parametrize(
    ("challenger", "active", "host", "result", "words"),
    [
        (needs(), needs(), None, Result.UNSUPPORTED_TYPE, "never heard of"),
        (needs(), needs(), replace(HOST, shadow_bytes=None), Result.UNSUPPORTED_TYPE, "runs no challengers"),
        (needs(), None, replace(HOST, model=None), Result.UPDATE_FAILED, "no model runs there"),
        (needs(abi=2), needs(), HOST, Result.UNSUPPORTED_TYPE, "runtime ABI 2"),
        (needs(3097), needs(), HOST, Result.ARENA_TOO_SMALL, "1000 bytes .* 3097 .* 4097, the node has 4096"),
        (needs(3097), None, HOST, Result.ARENA_TOO_SMALL, "leaves 3096 of 4096"),
        (
            needs(input=InputKind("accelerometer", "mg", 50_000, 128, 3)),
            needs(),
            HOST,
            Result.INPUT_MISMATCH,
            "128 x 3 of accelerometer in mg at 50 Hz, .* at 25 Hz",
        ),
        (needs(labels=("a", "c")), needs(), HOST, Result.UNSUPPORTED_TYPE, "names classes a, c, .* a, b"),
        (needs(classes=False), needs(), HOST, Result.UNSUPPORTED_TYPE, "agreement is of classes"),
    ],
)
def test_what_does_not_fit_is_named(
    challenger: ModelNeeds, active: ModelNeeds | None, host: Any, result: Result, words: str
) -> None:
    found = misfit_beside(challenger, IMAGE, active, host)
    assert found is not None and found.result is result
    assert re.search(words, found.detail), found.detail


def test_what_fits_exactly_fits() -> None:
    assert misfit_beside(needs(3096), IMAGE, needs(), HOST) is None
    assert misfit_beside(needs(3096), IMAGE, None, HOST) is None
    same = misfit_beside(needs(), ACTIVE, needs(), HOST)
    assert same is not None and "the model that runs" in same.detail
