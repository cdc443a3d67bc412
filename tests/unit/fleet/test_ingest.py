"""What devices say into the store: batches, duplicates, nonsense, totals and their cap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.fleet.fleet_rig import Rig, birth, tele

from tinyfleet.fleet.core.errors import Unavailable
from tinyfleet.fleet.core.liveness import DeviceState, state_of
from tinyfleet.fleet.services.ingest import Incoming
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ConnState, EventKind
from tinyfleet.wire.messages import Conn, Event, Message
from tinyfleet.wire.topics import TopicKind


def totals(rig: Rig) -> dict[tuple[str, str, str], int]:
    with rig.store.read() as tx:
        classes, _ = tx.telemetry.totals()
    return {(each.key.model, each.key.version, each.label): each.count for each in classes}


def test_snapshots_become_totals_by_site_model_and_class(rig: Rig) -> None:
    rig.device("d1", site="north")
    rig.device("d2", site="south")
    artifact = rig.release(labels=("rest",))
    for name in ("d1", "d2"):
        rig.say(name, TopicKind.BIRTH, birth())
        rig.say(name, TopicKind.TELE, tele(artifact.image, 3, 4))
        rig.say(name, TopicKind.TELE, tele(artifact.image, 5, 4, seq=2))
    with rig.store.read() as tx:
        classes, latencies = tx.telemetry.totals()
    assert {(c.key.site, c.label): c.count for c in classes} == {
        ("north", "rest"): 5,
        ("north", "1"): 4,
        ("south", "rest"): 5,
        ("south", "1"): 4,
    }, "a class without a label goes by its number"
    assert {(c.key.timing, sum(c.buckets), c.sum_us) for c in latencies} == {("instructions", 9, 9 * 13_400)}


def test_what_a_node_keeps_of_its_windows_becomes_totals(rig: Rig) -> None:
    rig.device("d1")
    image = rig.release().image
    margin = (3, 0, 0, 0, 0, 0, 0, 0, 0, 5)
    first = tele(image, 5, 3, margin=margin, switches=2, paused=1, captured=1, skipped=0, dropped=4)
    rig.say("d1", TopicKind.TELE, first)
    rig.say("d1", TopicKind.TELE, first)
    grown = tuple(count + 1 for count in margin)
    second = tele(
        *(image, 9, 9),
        seq=2,
        margin=grown,
        switches=6,
        paused=1,
        captured=1,
        skipped=7,
        dropped=4,
        confidence=(0,) * 9 + (18,),
    )
    rig.say("d1", TopicKind.TELE, second)
    # One of an older firmware tells none of it.
    rig.device("d2")
    rig.say("d2", TopicKind.TELE, tele(image, 1, 0, dropped=2))
    with rig.store.read() as tx:
        (total,) = tx.telemetry.live_totals()
    assert total.margin == grown and total.confidence == (0,) * 9 + (18,)
    assert (total.switches, total.captured, total.skipped) == (6, 1, 7)
    assert (total.missed, total.paused) == (6, 1)
    # Counters that go back are no counters, nor is a part that is more than the whole.
    rig.say("d1", TopicKind.TELE, replace(second, seq=3, switches=5))
    assert rig.ingest.counts.rejected == 1
    rig.say("d1", TopicKind.TELE, replace(second, seq=3, dropped=6, paused=4))
    assert rig.ingest.counts.rejected == 2


def test_counters_kept_by_an_earlier_version_begin_where_they_are(rig: Rig) -> None:
    """Its row says nothing of windows: what came before must not be counted as new."""
    rig.device("d1")
    image = rig.release().image
    rig.say("d1", TopicKind.TELE, tele(image, 5, 0, switches=100))
    with rig.store.write() as tx:
        stored = tx.telemetry.stored("d1", 1, 1)
        assert stored is not None
        before = replace(stored, snapshot=replace(stored.snapshot, live=None))
        tx.telemetry.put("d1", tele(image, 5, 0, switches=100), before, rig.now_s)
        tx.telemetry.stored("d1", 1, 1)
    rig.say("d1", TopicKind.TELE, tele(image, 6, 0, seq=2, switches=103))
    rig.say("d1", TopicKind.TELE, tele(image, 7, 0, seq=3, switches=104))
    with rig.store.read() as tx:
        (total,) = tx.telemetry.live_totals()
    assert total.switches == 101


def test_a_model_nobody_released_is_unknown(rig: Rig) -> None:
    rig.device("d1")
    rig.say("d1", TopicKind.TELE, tele(bytes(32), 1, 2))
    assert totals(rig) == {("unknown", "", "0"): 1, ("unknown", "", "1"): 2}


def test_repeated_and_late_messages_are_counted_and_change_nothing(rig: Rig) -> None:
    rig.device("d1")
    image = rig.release().image
    rig.say("d1", TopicKind.TELE, tele(image, 5, 0, seq=2))
    before = totals(rig)
    rig.say("d1", TopicKind.TELE, tele(image, 5, 0, seq=2))
    rig.say("d1", TopicKind.TELE, tele(image, 4, 0, seq=1))
    event = Event(boot=1, seq=1, kind=EventKind.LOG, uptime_ms=1, text="hello")
    rig.say("d1", TopicKind.EVENT, event)
    rig.say("d1", TopicKind.EVENT, event)
    rig.say("d1", TopicKind.BIRTH, birth())
    rig.say("d1", TopicKind.BIRTH, birth(), retained=True)
    assert totals(rig) == before
    counts = rig.ingest.counts
    assert (counts.messages, counts.duplicate, counts.late, counts.rejected) == (7, 3, 1, 0)


def test_the_tail_of_an_older_epoch_still_counts(rig: Rig) -> None:
    rig.device("d1")
    one, two = rig.release("1.0.0").image, rig.release("2.0.0").image
    rig.say("d1", TopicKind.TELE, tele(one, 5, 0, epoch=1))
    rig.now_s += 1
    rig.say("d1", TopicKind.TELE, tele(two, 1, 0, epoch=2))
    rig.now_s += 1
    rig.say("d1", TopicKind.TELE, tele(one, 8, 0, epoch=1, seq=2))
    assert totals(rig) == {("demo", "1.0.0", "a"): 8, ("demo", "2.0.0", "a"): 1}


def test_many_epochs_keep_few_rows_and_all_counts(rig: Rig) -> None:
    rig.device("d1")
    image = rig.release().image
    for boot in range(1, 80):
        rig.now_s += 1
        rig.say("d1", TopicKind.TELE, tele(image, 1, 0, boot=boot))
    assert totals(rig)["demo", "1.0.0", "a"] == 79
    with rig.store.read() as tx:
        assert tx.telemetry.stored("d1", 79, 1) is not None
        assert tx.telemetry.stored("d1", 15, 1) is None
    # What a node kept of an epoch that nobody remembers might be counted already.
    rig.say("d1", TopicKind.TELE, tele(image, 5, 0, boot=15, seq=9))
    assert totals(rig)["demo", "1.0.0", "a"] == 79
    assert rig.ingest.counts.late == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data())
def test_what_waited_at_the_nodes_may_come_late_twice_and_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A node's messages of some boots, as a ring in flash and a broker may deliver them: the totals are those
    of all that was counted, whatever the order, and each event is there once."""
    rig = Rig(tmp_path_factory.mktemp("ring"))
    rig.device("d1")
    image = rig.release().image
    boots = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    said: list[tuple[TopicKind, Message]] = []
    for boot, seqs in enumerate(boots, 1):
        said += [
            (TopicKind.TELE, tele(image, 3 * n, n, boot=boot, seq=n, uptime_ms=5000 * n))
            for n in range(1, seqs + 1)
        ]
        said += [
            (TopicKind.EVENT, Event(boot=boot, seq=n, kind=EventKind.LOG, uptime_ms=n)) for n in range(seqs)
        ]
    order = data.draw(st.permutations(said + data.draw(st.lists(st.sampled_from(said), max_size=6))))
    rig.say("d1", TopicKind.BIRTH, birth(boot=len(boots), uptime_ms=60_000))
    for kind, message in order:
        rig.now_s += data.draw(st.floats(0, 2))
        rig.say("d1", kind, message)
    counted = totals(rig)
    assert counted["demo", "1.0.0", "a"] == 3 * sum(boots)
    assert counted["demo", "1.0.0", "b"] == sum(boots)
    assert (rig.ingest.counts.clock_skew, rig.ingest.counts.rejected) == (0, 0)
    with rig.store.read() as tx:
        events = {(row["boot"], row["seq"]) for row in tx.telemetry.events("d1", 100)}
        latest = tx.telemetry.latest("d1")
    assert events == {(boot, n) for boot, seqs in enumerate(boots, 1) for n in range(seqs)}
    assert latest is not None
    assert (latest["boot"], latest["seq"]) == (len(boots), boots[-1]), "a late one is not the newest"
    rig.store.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    topic=st.sampled_from(
        ["birth", "conn", "status", "tele", "event", "sample", "bench", "rsp", "want", "x"]
    ),
    device=st.sampled_from(["d1", "stranger", "blob", "fleet", "a b", ""]),
    payload=st.binary(max_size=300),
)
def test_no_message_whatever_it_holds_raises(rig: Rig, topic: str, device: str, payload: bytes) -> None:
    rig.device("d1")
    before = rig.ingest.counts.messages
    rig.ingest.handle([Incoming(f"tf/1/{device}/{topic}", payload)])
    assert rig.ingest.counts.messages == before + 1


def test_the_quarantine_is_bounded_and_keeps_the_newest(small_rig: Rig) -> None:
    small_rig.device("d1")
    for i in range(12):
        small_rig.say("d1", TopicKind.TELE, bytes([0xFF, i]))
    with small_rig.store.read() as tx:
        rows = tx.quarantine.all(100)
    assert [row["payload"] for row in rows] == [f"ff{i:02x}" for i in (11, 10, 9, 8, 7)]
    assert small_rig.ingest.counts.rejected == 12


def test_one_bad_message_does_not_spoil_its_batch(rig: Rig) -> None:
    rig.device("d1")
    image = rig.release().image
    topic = rig.topics.device("d1", TopicKind.TELE)
    good = [Incoming(topic, encode(tele(image, n, 0, seq=n))) for n in (1, 2, 3)]
    rig.ingest.handle([good[0], Incoming(topic, b"\xff"), good[1], Incoming("nonsense", b""), good[2]])
    assert totals(rig)["demo", "1.0.0", "a"] == 3
    assert rig.ingest.counts.rejected == 2


def test_a_fault_of_our_own_sets_one_message_aside_and_keeps_the_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.device("d1")
    image = rig.release().image
    real = rig.rollouts.take_birth

    def faulty(*arguments: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(rig.rollouts, "take_birth", faulty)
    rig.ingest.handle(
        [
            Incoming(rig.topics.device("d1", TopicKind.TELE), encode(tele(image, 1, 0))),
            Incoming(rig.topics.device("d1", TopicKind.BIRTH), encode(birth())),
            Incoming(rig.topics.device("d1", TopicKind.TELE), encode(tele(image, 2, 0, seq=2))),
        ]
    )
    monkeypatch.setattr(rig.rollouts, "take_birth", real)
    assert totals(rig)["demo", "1.0.0", "a"] == 2
    assert (rig.ingest.counts.messages, rig.ingest.counts.rejected) == (3, 1)
    with rig.store.read() as tx:
        assert "log says how" in str(tx.quarantine.all(1)[0]["reason"])


def test_a_database_that_cannot_store_is_told_to_the_caller(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.device("d1")

    def full() -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(rig.store, "write", full)
    with pytest.raises(Unavailable):
        rig.say("d1", TopicKind.BIRTH, birth())
    assert rig.ingest.counts.messages == 0


def test_the_series_are_capped_and_the_rest_counted(small_rig: Rig) -> None:
    rig = small_rig
    for i in range(4):
        rig.device(f"d{i}", site=f"s{i}")
        rig.say(f"d{i}", TopicKind.BIRTH, birth())
        rig.say(f"d{i}", TopicKind.TELE, tele(bytes(32), *(1,) * 20))
    with rig.store.read() as tx:
        classes, latencies = tx.telemetry.totals()
    assert len(classes) + 17 * len(latencies) <= 100
    assert rig.ingest.counts.series_dropped > 0
    rig.say("d0", TopicKind.TELE, tele(bytes(32), *(2,) * 20, seq=2))
    with rig.store.read() as tx:
        again, _ = tx.telemetry.totals()
    assert sum(each.count for each in again) == sum(each.count for each in classes) + 20, (
        "what has its series goes on"
    )


def test_a_clock_that_runs_ahead_is_counted(rig: Rig) -> None:
    rig.device("d1")
    rig.say("d1", TopicKind.TELE, tele(bytes(32), 1, seq=1, uptime_ms=0))
    rig.now_s += 10
    rig.say("d1", TopicKind.TELE, tele(bytes(32), 2, seq=2, uptime_ms=69_000))
    assert rig.ingest.counts.clock_skew == 0
    rig.say("d1", TopicKind.TELE, tele(bytes(32), 3, seq=3, uptime_ms=71_000))
    assert rig.ingest.counts.clock_skew == 1


def test_a_snapshot_that_waited_says_nothing_of_the_clock(rig: Rig) -> None:
    rig.device("d1")
    rig.say("d1", TopicKind.BIRTH, birth(boot=2, uptime_ms=7_200_000))
    for n in range(1, 7):
        rig.now_s += 1
        rig.say("d1", TopicKind.TELE, tele(bytes(32), n, boot=2, seq=n, uptime_ms=1_000_000 * n))
    rig.now_s += 10
    rig.say("d1", TopicKind.TELE, tele(bytes(32), 9, boot=2, seq=9, uptime_ms=7_250_000))
    assert rig.ingest.counts.clock_skew == 0
    rig.say("d1", TopicKind.TELE, tele(bytes(32), 10, boot=2, seq=10, uptime_ms=7_280_000))
    assert rig.ingest.counts.clock_skew == 1


def test_a_broker_restart_does_not_lose_the_devices(rig: Rig) -> None:
    rig.device("d1")
    rig.say("d1", TopicKind.CONN, Conn(boot=1, conn=1, state=ConnState.ONLINE))
    rig.ingest.broker_lost()
    rig.now_s += 1
    rig.say("d1", TopicKind.CONN, Conn(boot=1, conn=1, state=ConnState.LOST), retained=True)
    with rig.store.read() as tx:
        device = tx.devices.get("d1")
    assert device is not None
    assert state_of(device.evidence, rig.now_s) is DeviceState.ONLINE
    assert state_of(device.evidence, rig.now_s + 31) is DeviceState.LOST


def test_a_cleared_birth_is_no_nonsense(rig: Rig) -> None:
    rig.device("d1")
    rig.say("d1", TopicKind.BIRTH, b"", retained=True)
    assert rig.ingest.counts.rejected == 0
