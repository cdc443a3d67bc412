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
