"""The broker goes away and comes back: what happened waited in the node's flash, and is all told."""

from __future__ import annotations

import signal
from itertools import pairwise
from typing import Any

import psutil
import pytest
from tests.servers import wait_for

from tinyfleet.fleet.core.counters import Verdict, advance, snapshot_of
from tinyfleet.wire.enums import UpdateState
from tinyfleet.wire.limits import RECORD_MAGIC
from tinyfleet.wire.memory_map import MPS2_AN386
from tinyfleet.wire.messages import Birth, Event, EventRule, Sleep, Tele

pytestmark = [pytest.mark.qemu, pytest.mark.broker]
MAGIC = RECORD_MAGIC.to_bytes(4, "little")
RULE = EventRule(min_score=0, windows=1, hits=1, hold_off_s=1)
"""An event at a change of class, once a second at most."""


def records(node: Any) -> int:
    """Records in the node's ring."""
    return int(node.read("ring", MPS2_AN386["ring"].size_bytes).count(MAGIC))


def run_model(node: Any, manager: Any, release: Any) -> None:
    manager.blob(release.blob)
    manager.want(release.want(1, event_rule=RULE))
    manager.wait(Birth, lambda b: b.state is UpdateState.CONFIRMED)
    manager.wait(Event)


def bring_back(node: Any, manager: Any, broker: Any) -> None:
    """The manager is there before the node: a broker without memory gives what comes to nobody else."""
    machine = psutil.Process(node.emulator.pid)
    machine.suspend()
    broker.start()
    manager.wait_until_connected()
    machine.resume()


def expect_no_gap(manager: Any, boots: set[int]) -> None:
    """Every event, each boot's totals, and nothing that the ring lost."""
    assert {t.boot for t in manager.heard(Tele)} >= boots
    for boot in boots:
        numbers = sorted({e.seq for e in manager.heard(Event) if e.boot == boot})
        assert numbers == list(range(len(numbers))), f"boot {boot}"
    assert all(t.lost is None for t in manager.heard(Tele))


def total(manager: Any, boot: int, epoch: int) -> int:
    """What a manager counts that takes the messages in as they came."""
    stored, count = None, 0
    for tele in manager.heard(Tele):
        if (tele.boot, tele.epoch) != (boot, epoch):
            continue
        verdict, delta = advance(stored, tele)
        if verdict is Verdict.NEW:
            assert delta is not None
            count += delta.inferences
            stored = snapshot_of(tele)
    return count


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_nothing_is_lost_while_the_broker_is_away(
    node: Any, manager: Any, broker: Any, first: Any, how: signal.Signals
) -> None:
    run_model(node, manager, first)
    broker.end(how)
    wait_for("twelve messages to wait", lambda: records(node) >= 12)
    bring_back(node, manager, broker)
    back = manager.wait(Birth, lambda b: b.ring.held >= 12)
    later = manager.wait(Tele, lambda t: t.uptime_ms > back.uptime_ms + 1500)
    epoch = later.epoch
    expect_no_gap(manager, {1})
    away = [t for t in manager.heard(Tele) if t.uptime_ms < back.uptime_ms]
    uptimes = sorted(t.uptime_ms for t in away)
    gaps = [b - a for a, b in pairwise(uptimes)]
    assert max(gaps) < 2500, "a report each second, all through the outage"
    assert total(manager, 1, epoch) == max(t.inferences for t in manager.heard(Tele) if t.epoch == epoch)
    assert later.inferences == sum(later.classes)
    # All is acknowledged, and on record: the next start sends nothing again.
    node.emulator.kill()
    manager.forget()
    node.start()
    manager.wait(Birth, lambda b: b.boot == 2)
    assert "messages wait" not in node.emulator.console()


def test_what_waits_survives_a_power_cut(node: Any, manager: Any, broker: Any, first: Any) -> None:
    run_model(node, manager, first)
    broker.end()
    wait_for("six messages to wait", lambda: records(node) >= 6)
    node.emulator.kill()
    node.start()
    node.console("messages wait")
    wait_for("more messages to wait", lambda: records(node) >= 10)
    bring_back(node, manager, broker)
    manager.wait(Birth, lambda b: b.boot == 2 and b.ring.held >= 8)
    birth = manager.heard(Birth)[-1]
    manager.wait(Tele, lambda t: t.boot == 2 and t.uptime_ms > birth.uptime_ms + 1500)
    expect_no_gap(manager, {1, 2})


def test_what_happens_in_its_sleep_is_told_at_the_next_wake(bare_node: Any, manager: Any, first: Any) -> None:
    policy = Sleep(wake_s=2)
    bare_node.provision(sleep=policy)
    bare_node.start()
    manager.blob(first.blob)
    manager.want(first.want(1, sleep=policy, event_rule=RULE))
    manager.wait(Birth, lambda b: b.state is UpdateState.CONFIRMED)
    late = manager.wait(Birth, lambda b: b.ring.held > 0)
    manager.wait(Birth, lambda b: b.uptime_ms > late.uptime_ms + 3000)
    told = [e for e in manager.heard(Event) if e.uptime_ms < late.uptime_ms]
    numbers = sorted({e.seq for e in told})
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 2
