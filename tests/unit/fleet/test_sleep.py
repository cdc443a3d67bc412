"""Devices that sleep, as the manager sees them: time-outs by missed wakes, policies that outlive rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.unit.fleet.fleet_rig import Rig, birth

from tinyfleet.fleet.cli import commands
from tinyfleet.fleet.core.errors import NotFound
from tinyfleet.fleet.core.rollout import RolloutState
from tinyfleet.wire.enums import ConnState, Result, UpdateState
from tinyfleet.wire.messages import Conn, Sleep
from tinyfleet.wire.topics import TopicKind

WAKE_S = 100
MISSED_ALL_S = WAKE_S + 22.5 + 4 * WAKE_S
"""The fifth wake after the next is missed: the rig allows five, and 1.5 keep-alives to be heard."""


def wakes(rig: Rig, number: int, **changes: Any) -> None:
    """One wake of d1: it connects, reports and goes to sleep."""
    rig.say("d1", TopicKind.CONN, Conn(boot=1, conn=number, state=ConnState.ONLINE))
    rig.say("d1", TopicKind.BIRTH, birth(seq=number, sleep=Sleep(wake_s=WAKE_S), **changes))
    asleep = Conn(boot=1, conn=number, state=ConnState.ASLEEP, next_wake_s=WAKE_S)
    rig.say("d1", TopicKind.CONN, asleep)


@pytest.fixture
def sleeper(rig: Rig) -> Rig:
    rig.device("d1")
    rig.release()
    wakes(rig, 1)
    return rig


def state_of(rig: Rig, rollout: int) -> RolloutState:
    rig.rollouts.tick()
    return rig.summary(rollout).state


def test_a_device_that_wakes_is_never_too_late(sleeper: Rig) -> None:
    rollout = sleeper.rollouts.start("demo").id
    for number in range(2, 60):  # nearly ten times the time-out of a device that is always there
        sleeper.now_s += WAKE_S
        assert state_of(sleeper, rollout) is RolloutState.RUNNING
        wakes(sleeper, number)
    assert state_of(sleeper, rollout) is RolloutState.RUNNING


def test_a_device_that_misses_its_wakes_times_out(sleeper: Rig) -> None:
    rollout = sleeper.rollouts.start("demo").id
    sleeper.now_s += MISSED_ALL_S - 1
    assert state_of(sleeper, rollout) is RolloutState.RUNNING
    wakes(sleeper, 2)
    sleeper.now_s += MISSED_ALL_S - 1
    assert state_of(sleeper, rollout) is RolloutState.RUNNING
    sleeper.now_s += 1
    assert state_of(sleeper, rollout) is RolloutState.FAILED
    assert sleeper.summary(rollout).why == "1 of 1 devices: TIMED_OUT"


def test_a_device_told_to_stay_awake_has_the_time_of_all_others(sleeper: Rig) -> None:
    rollout = sleeper.rollouts.start("demo").id
    sleeper.say("d1", TopicKind.CONN, Conn(boot=1, conn=2, state=ConnState.ONLINE))
    sleeper.say("d1", TopicKind.BIRTH, birth(seq=2))
    sleeper.now_s += 599
    assert state_of(sleeper, rollout) is RolloutState.RUNNING
    sleeper.now_s += 1
    assert state_of(sleeper, rollout) is RolloutState.FAILED


HOURLY = Sleep(wake_s=3600, budget_bytes=40_000, awake_ms=20_000)


def test_a_policy_needs_no_rollout_and_changes_nothing_else(rig: Rig) -> None:
    rig.device("d1")
    with pytest.raises(NotFound, match="no device d2; see"):
        rig.rollouts.set_sleep("d2", HOURLY)
    rig.rollouts.set_sleep("d1", HOURLY)
    want = rig.want("d1")
    assert want is not None
    assert (want.generation, want.model, want.sleep) == (1, None, HOURLY)
    # A generation that the device acted on before: nothing but its sleep changes.
    rig.say("d1", TopicKind.BIRTH, birth(seq=5, generation=41))
    rig.rollouts.set_sleep("d1", None)
    assert rig.want("d1") is not None
    assert rig.want("d1").sleep is None  # type: ignore[union-attr]


def test_a_policy_goes_into_the_want_of_a_rollout_and_outlives_it(rig: Rig) -> None:
    rig.device("d1")
    artifact = rig.release()
    rig.rollouts.set_sleep("d1", HOURLY)
    rollout = rig.rollouts.start("demo").id
    want = rig.want("d1")
    assert want is not None
    assert want.model is not None
    assert (want.model.image, want.sleep) == (artifact.image, HOURLY)
    changed = Sleep(wake_s=60)
    rig.rollouts.set_sleep("d1", changed)
    again = rig.want("d1")
    assert again is not None
    assert (again.generation, again.model, again.sleep) == (want.generation, want.model, changed)
    rig.publish()
    assert rig.cache.next_pass() is None
    rig.status("d1", UpdateState.FAILED, Result.BUDGET)
    assert rig.summary(rollout).why == "1 of 1 devices: result 69 BUDGET"
    after = rig.want("d1")
    assert after is not None
    assert (after.generation, after.model, after.sleep) == (want.generation + 1, None, changed)
    rig.publish()
    assert [topic for topic in rig.broker if "/blob/" in topic] == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "say either --wake or --as-configured"),
        (["--awake", "60"], "--wake-bytes and --awake are of a wake"),
        (["--wake", "60", "--awake", "1"], "awake_ms"),
        (["--wake", "60", "--wake-bytes", "100"], "budget_bytes"),
        (["--wake", "-1"], "wake_s"),
        (["--wake", "60", "--as-configured"], "say either"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, options: list[str], says: str
) -> None:
    done = CliRunner().invoke(commands, ["device", "sleep", "d1", *options, "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.startswith("tinyfleet: ")
    assert says in done.output
    assert done.output.count("\n") == 1
