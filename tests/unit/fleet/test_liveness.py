"""Evidence and silence into a state: every pair, and the cases the broker makes up."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tinyfleet.fleet.core.liveness import (
    TABLE,
    DeviceState,
    Evidence,
    Silence,
    Word,
    fold_conn,
    fold_heard,
    missed_all_at_s,
    missed_wakes,
    next_wake_at_s,
    state_of,
)
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Conn

BLANK = Evidence(period_s=10, keepalive_s=20)
# max(1.5 keep-alives, 2.5 periods) = 30 s.


def conn(state: ConnState, number: int = 1, boot: int = 1, wake_s: int | None = None) -> Conn:
    return Conn(boot=boot, conn=number, state=state, next_wake_s=wake_s)


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == set(product(Word, Silence))


@pytest.mark.parametrize(("word", "silence"), sorted(TABLE, key=str))
def test_nobody_is_online_who_is_silent_or_lost(word: Word, silence: Silence) -> None:
    state = TABLE[word, silence]
    if silence in (Silence.OVERDUE, Silence.GONE) or word is Word.LOST:
        assert state not in (DeviceState.ONLINE, DeviceState.ASLEEP)
    if silence is Silence.GONE:
        assert state is DeviceState.LOST
    if silence is Silence.NEVER:
        assert state in (DeviceState.UNKNOWN, DeviceState.LOST)


def test_a_device_never_heard_of_is_unknown() -> None:
    assert state_of(BLANK, 0) is DeviceState.UNKNOWN


@pytest.mark.parametrize(
    ("quiet_s", "state"),
    [
        (0, DeviceState.ONLINE),
        (30, DeviceState.ONLINE),
        (30.1, DeviceState.LATE),
        (120, DeviceState.LATE),
        (120.1, DeviceState.LOST),
    ],
)
def test_an_online_device_may_be_silent_for_so_long(quiet_s: float, state: DeviceState) -> None:
    online = fold_conn(BLANK, conn(ConnState.ONLINE), 1000)
    assert state_of(online, 1000 + quiet_s) is state


def test_a_long_period_allows_a_long_silence() -> None:
    slow = replace(BLANK, period_s=600)
    assert state_of(fold_conn(slow, conn(ConnState.ONLINE), 0), 1500) is DeviceState.ONLINE
    assert state_of(fold_conn(slow, conn(ConnState.ONLINE), 0), 1501) is DeviceState.LATE


def test_a_sleeper_is_asleep_until_it_should_have_woken() -> None:
    asleep = fold_conn(BLANK, conn(ConnState.ASLEEP, wake_s=3600), 0)
    assert state_of(asleep, 3630) is DeviceState.ASLEEP
    assert state_of(asleep, 3631) is DeviceState.LATE


def test_lost_after_asleep_of_the_same_connection_is_asleep() -> None:
    asleep = fold_conn(BLANK, conn(ConnState.ASLEEP, wake_s=3600), 0)
    assert fold_conn(asleep, conn(ConnState.LOST), 1) is asleep
    other = fold_conn(asleep, conn(ConnState.LOST, number=2), 1)
    assert state_of(other, 1) is DeviceState.LOST


def test_the_will_of_an_older_connection_says_nothing() -> None:
    online = fold_conn(BLANK, conn(ConnState.ONLINE, number=5), 0)
    assert fold_conn(online, conn(ConnState.LOST, number=4), 1) is online
    rebooted = fold_conn(online, conn(ConnState.ONLINE, number=1, boot=2), 1)
    assert state_of(fold_conn(rebooted, conn(ConnState.LOST, number=5), 2), 2) is DeviceState.ONLINE


def test_lost_right_after_a_broker_restart_is_held_back() -> None:
    online = fold_conn(BLANK, conn(ConnState.ONLINE), 1000)
    held = fold_conn(online, conn(ConnState.LOST), 1005, restarted_s=1004)
    assert state_of(held, 1005) is DeviceState.ONLINE
    assert state_of(held, 1043) is DeviceState.LATE
    assert state_of(held, 1044.1) is DeviceState.LOST, "two keep-alives after the restart it counts"
    later = fold_conn(online, conn(ConnState.LOST), 1045, restarted_s=1004)
    assert state_of(later, 1045) is DeviceState.LOST


def test_a_device_heard_after_its_lost_is_there() -> None:
    lost = fold_conn(fold_conn(BLANK, conn(ConnState.ONLINE), 0), conn(ConnState.LOST), 5)
    heard = fold_heard(lost, 6)
    assert state_of(heard, 7) is DeviceState.ONLINE
    assert fold_conn(heard, conn(ConnState.LOST), 8) is heard, "the broker repeats what it keeps"


def test_a_repeated_conn_is_no_sign_of_life() -> None:
    online = fold_conn(BLANK, conn(ConnState.ONLINE), 0)
    assert fold_conn(online, conn(ConnState.ONLINE), 500) is online
    assert state_of(online, 500) is DeviceState.LOST


SLEEPER = replace(BLANK, wake_s=600)
# It may take 30 s after its wake to be heard, by its keep-alive.


@pytest.mark.parametrize(
    ("quiet_s", "missed", "state"),
    [
        (0, 0, DeviceState.ASLEEP),
        (630, 0, DeviceState.ASLEEP),
        (631, 1, DeviceState.LATE),
        (1229, 1, DeviceState.LATE),
        (1231, 2, DeviceState.LATE),
        (1831, 3, DeviceState.LOST),
    ],
)
def test_a_sleeper_is_judged_by_the_wakes_it_missed(quiet_s: float, missed: int, state: DeviceState) -> None:
    asleep = fold_conn(SLEEPER, conn(ConnState.ASLEEP, wake_s=600), 1000)
    assert missed_wakes(asleep, 1000 + quiet_s) == missed
    assert state_of(asleep, 1000 + quiet_s) is state


def test_a_sleeper_whose_wake_was_cut_short_is_asleep_until_the_next() -> None:
    online = fold_conn(SLEEPER, conn(ConnState.ONLINE), 1000)
    assert state_of(online, 1010) is DeviceState.ONLINE
    cut = fold_conn(online, conn(ConnState.LOST), 1015)
    assert state_of(cut, 1016) is DeviceState.ASLEEP
    assert next_wake_at_s(cut) == 1600
    assert state_of(cut, 1631) is DeviceState.LATE
    # A broker that was killed leaves ONLINE for ever.
    assert [state_of(online, s) for s in (1031, 1631, 3000)] == [
        DeviceState.ASLEEP,
        DeviceState.LATE,
        DeviceState.LOST,
    ]


def test_a_sleeper_that_comes_back_is_online_and_one_told_to_stay_sleeps_no_more() -> None:
    lost = fold_conn(SLEEPER, conn(ConnState.ASLEEP, wake_s=600), 0)
    assert state_of(lost, 9000) is DeviceState.LOST
    back = fold_conn(lost, conn(ConnState.ONLINE, number=2), 9000)
    assert (state_of(back, 9000), missed_wakes(back, 9000)) == (DeviceState.ONLINE, 0)
    stays = replace(back, wake_s=None)
    assert next_wake_at_s(stays) is None
    assert state_of(stays, 9031) is DeviceState.LATE


def test_when_a_sleeper_will_have_missed_so_many_wakes() -> None:
    asleep = fold_conn(SLEEPER, conn(ConnState.ASLEEP, wake_s=600), 0)
    for wakes in (1, 2, 5):
        at_s = missed_all_at_s(asleep, wakes)
        assert at_s is not None
        assert missed_wakes(asleep, at_s) == wakes - 1
        assert missed_wakes(asleep, at_s + 1) == wakes
    assert missed_all_at_s(fold_conn(BLANK, conn(ConnState.ONLINE), 0), 5) is None
