"""A node that sleeps: its radio is on once in a while, and what is wanted of it goes on from wake to wake."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tinyfleet.wire.enums import ConnState, Result, UpdateState
from tinyfleet.wire.limits import GROUP_BYTES
from tinyfleet.wire.messages import Birth, Conn, Sleep, Status, Tele

pytestmark = [pytest.mark.qemu, pytest.mark.broker]
WAKE_S = 1
"""Long enough for a few wakes in a test; 3600 in a field."""
GROUP_A_WAKE = GROUP_BYTES * 5 // 4 + 6144
"""The least byte budget that an update gets on with: of one group a wake, or of two where little was said."""


def provision_sleeper(bare_node: Any, manager: Any, **policy: Any) -> None:
    bare_node.provision(sleep=Sleep(wake_s=WAKE_S, **policy))
    bare_node.start()
    manager.wait(Conn, lambda c: c.state is ConnState.ASLEEP)


def asleep(manager: Any, number: int) -> Conn:
    conn: Conn = manager.wait(Conn, lambda c: c.state is ConnState.ASLEEP and c.conn >= number)
    return conn


def test_it_wakes_connects_reports_and_sleeps(bare_node: Any, manager: Any, broker: Any) -> None:
    provision_sleeper(bare_node, manager)
    assert asleep(manager, 3).next_wake_s in (WAKE_S, WAKE_S + 1)
    bare_node.emulator.wait_for_line("radio: off for", 20, count=3)
    said = [(c.conn, c.state) for c in manager.heard(Conn) if c.conn <= 3]
    assert said == [(n, s) for n in (1, 2, 3) for s in (ConnState.ONLINE, ConnState.ASLEEP)]
    births = manager.heard(Birth)
    assert all(b.sleep == Sleep(wake_s=WAKE_S) for b in births)
    assert [b.seq for b in births[:3]] == [0, 1, 2]
    uptimes = [b.uptime_ms for b in births]
    # Each waits two seconds for a want that nobody has published.
    gaps = [b - a for a, b in pairwise(uptimes)]
    assert all(3000 <= gap < 5000 for gap in gaps), gaps
    # DISCONNECT, so no will: a connection that was cut leaves LOST behind.
    assert broker.log().count("Client node-1 disconnected.") >= 3


def test_inference_goes_on_while_the_radio_is_off(bare_node: Any, manager: Any, first: Any) -> None:
    bare_node.provision(sleep=Sleep(wake_s=WAKE_S), period_s=60)
    bare_node.start()
    manager.blob(first.blob)
    manager.want(first.want(1, sleep=Sleep(wake_s=WAKE_S)))
    manager.wait(Birth, lambda b: b.state is UpdateState.CONFIRMED)
    later = manager.wait(Tele, lambda t: t.inferences >= 60)
    assert later.dropped == 0
    # One report a wake, however long the period.
    assert len(manager.heard(Tele)) <= len({c.conn for c in manager.heard(Conn)})


def test_a_download_takes_as_many_wakes_as_its_budget_asks_for(
    bare_node: Any, manager: Any, second: Any
) -> None:
    policy = {"budget_bytes": GROUP_A_WAKE}
    provision_sleeper(bare_node, manager, **policy)
    manager.blob(second.blob)
    manager.want(second.want(1, sleep=Sleep(wake_s=WAKE_S, **policy)))
    birth = manager.wait(Birth, lambda b: b.state >= UpdateState.CONFIRMED, timeout_s=60)
    assert (birth.state, birth.model.image) == (UpdateState.CONFIRMED, second.digest)
    deferred = [s for s in manager.heard(Status) if s.state is UpdateState.DEFERRED]
    assert all(s.result is Result.BUDGET for s in deferred)
    offsets = [s.offset_bytes for s in deferred]
    assert offsets == sorted(offsets)
    assert len(set(offsets)) >= second.blob.groups // 2, offsets
    assert bare_node.read("model_a", len(second.image)) == second.image
    cost = manager.wait(Status, lambda s: s.state is UpdateState.VERIFIED).transfer
    assert cost.mqtt_rx_bytes < len(second.image) * 1.2, "no group twice"


def test_a_budget_that_holds_no_group_is_refused(bare_node: Any, manager: Any, second: Any) -> None:
    policy = {"budget_bytes": GROUP_A_WAKE - 1}
    provision_sleeper(bare_node, manager, **policy)
    manager.blob(second.blob)
    manager.want(second.want(1, sleep=Sleep(wake_s=WAKE_S, **policy)))
    status = manager.wait(Status, lambda s: s.state >= UpdateState.CONFIRMED)
    assert (status.state, status.result) == (UpdateState.FAILED, Result.BUDGET)


def test_a_want_puts_it_to_sleep_and_wakes_it_for_good(node: Any, manager: Any, first: Any) -> None:
    manager.blob(first.blob)
    manager.want(first.want(1, sleep=Sleep(wake_s=WAKE_S)))
    manager.wait(Birth, lambda b: b.state is UpdateState.CONFIRMED and b.sleep is not None)
    asleep(manager, 2)
    manager.want(first.want(1, sleep=Sleep(wake_s=0)))  # no newer generation
    birth = manager.wait(Birth, lambda b: b.generation == 1 and b.sleep is None and b.seq > 3)
    assert birth.state is UpdateState.CONFIRMED
    online = manager.heard(Conn)[-1]
    assert online.state is ConnState.ONLINE
    inferences = max(t.inferences for t in manager.heard(Tele))
    manager.wait(Tele, lambda t: t.inferences > inferences + 50)  # two seconds
    assert manager.heard(Conn)[-1] == online


def test_the_broker_is_away_for_some_wakes(bare_node: Any, manager: Any, broker: Any) -> None:
    provision_sleeper(bare_node, manager, awake_ms=5000)
    broker.end()
    bare_node.emulator.wait_for_line("mqtt: connection lost", 20)
    broker.start()
    manager.wait_until_connected()
    manager.forget()
    asleep(manager, 3)
