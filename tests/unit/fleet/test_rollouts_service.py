"""Rollouts over the database: state and effects stored together, carried out later, repeated harmlessly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.fleet.fleet_rig import Rig, birth

from tinyfleet.fleet.adapters.sql import deployments as deployment_rows
from tinyfleet.fleet.core.errors import Conflict, NotFound, Refused
from tinyfleet.fleet.core.rollout import RolloutState
from tinyfleet.fleet.services.on_air import OnAir
from tinyfleet.fleet.services.ports import RetainedKind
from tinyfleet.wire.codec import decode
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import Journal, Want
from tinyfleet.wire.topics import TopicKind


def chunks_of(rig: Rig, manifest: bytes) -> list[str]:
    prefix = rig.topics.chunk(manifest, 0, 0).rsplit("/", 2)[0]
    return [topic for topic in rig.broker if topic.startswith(prefix)]


def test_starting_stores_everything_and_publishes_chunks_before_wants(rig: Rig) -> None:
    rig.device("d1")
    rig.device("d2")
    rig.device("toaster", device_type="other")
    artifact = rig.release()
    summary = rig.rollouts.start("demo")
    assert (summary.state, summary.waves[0].total) == (RolloutState.RUNNING, 2)
    assert rig.woken == 1
    topics = rig.publish()
    wants = [topics.index(rig.topics.device(name, TopicKind.WANT)) for name in ("d1", "d2")]
    assert min(wants) > max(i for i, topic in enumerate(topics) if "/blob/" in topic)
    want = decode(Want, rig.broker[rig.topics.device("d1", TopicKind.WANT)])
    assert want.model is not None
    assert (want.generation, want.model.image, want.model.manifest) == (1, artifact.image, artifact.manifest)
    assert want.trial is not None
    assert want.trial.inferences == 3
    journal = decode(Journal, rig.broker[rig.topics.journal])
    assert journal.seq == 3
    assert rig.cache.next_pass() is None


def test_a_crash_before_or_in_a_pass_is_repeated_harmlessly(rig: Rig) -> None:
    rig.device("d1")
    rig.release()
    rig.rollouts.start("demo")
    for limit in (0, 1, 7, 20):
        rig.publish(limit)
        assert rig.topics.journal not in rig.broker, "a journal must not speak of what is not there"
    rig.publish()
    assert rig.topics.journal in rig.broker
    assert rig.topics.device("d1", TopicKind.WANT) in rig.broker


def test_nobody_fits_nobody_is_known_nothing_is_released(rig: Rig) -> None:
    with pytest.raises(NotFound, match="no release demo; see"):
        rig.rollouts.start("demo")
    rig.release()
    with pytest.raises(Refused, match="no device fits"):
        rig.rollouts.start("demo")
    rig.device("d1", site="a")
    with pytest.raises(NotFound, match="no device d9"):
        rig.rollouts.start("demo", devices=["d9"])
    with pytest.raises(Refused, match="at site b"):
        rig.rollouts.start("demo", site="b")
    rig.device("toaster", device_type="other")
    with pytest.raises(Refused, match="has nothing for toaster, a other"):
        rig.rollouts.start("demo", devices=["toaster"])
    with rig.store.read() as tx:
        assert tx.rollouts.all(10) == []
        assert tx.retained.pending() == []


def test_a_device_is_in_one_rollout_at_a_time(rig: Rig) -> None:
    rig.device("d1")
    rig.release("1.0.0")
    rig.release("2.0.0")
    first = rig.rollouts.start("demo", "1.0.0")
    with pytest.raises(Conflict, match=f"still QUEUED in rollout {first.id}"):
        rig.rollouts.start("demo", "2.0.0")
    rig.rollouts.cancel(first.id)
    rig.rollouts.start("demo", "2.0.0")
    assert rig.summary(first.id).state is RolloutState.CANCELED
    with pytest.raises(Conflict, match="CANCELED already"):
        rig.rollouts.cancel(first.id)
    with pytest.raises(NotFound):
        rig.rollouts.cancel(99)


def test_the_blob_budget_is_kept_and_said(small_rig: Rig) -> None:
    rig = small_rig
    rig.device("d1")
    rig.device("d2")
    rig.release("1.0.0", 20_000)
    rig.release("2.0.0", 30_000)
    rig.rollouts.start("demo", "1.0.0", devices=["d1"])
    with pytest.raises(Refused, match=r"needs 29984 bytes at the broker, 20000 of 40000 are in use"):
        rig.rollouts.start("demo", "2.0.0", devices=["d2"])
    rig.rollouts.start("demo", "1.0.0", devices=["d2"])  # the same chunks cost nothing more


def test_chunks_are_cleared_only_when_no_want_names_them(rig: Rig) -> None:
    rig.device("d1")
    rig.device("d2")
    one, two = rig.release("1.0.0"), rig.release("2.0.0")
    rig.rollouts.start("demo", "1.0.0")
    for name in ("d1", "d2"):
        rig.status(name, UpdateState.CONFIRMED, Result.SUCCESS)
    rig.publish()
    rig.rollouts.start("demo", "2.0.0", devices=["d1"])
    rig.publish()
    assert chunks_of(rig, one.manifest), "d2's want still names release 1"
    rig.status("d1", UpdateState.CONFIRMED, Result.SUCCESS, seq=2)
    rig.rollouts.start("demo", "2.0.0", devices=["d2"])
    topics = rig.publish()
    assert chunks_of(rig, one.manifest) == []
    assert chunks_of(rig, two.manifest)
    want = topics.index(rig.topics.device("d2", TopicKind.WANT))
    cleared = [i for i, topic in enumerate(topics) if topic == rig.topics.chunk(one.manifest, 1, 0)]
    assert cleared[0] > want, "the want that no longer names them goes first"


@pytest.mark.parametrize("end", [UpdateState.FAILED, UpdateState.REVERTED])
def test_a_failure_withdraws_the_want_and_its_chunks(rig: Rig, end: UpdateState) -> None:
    rig.device("d1")
    artifact = rig.release()
    summary = rig.rollouts.start("demo")
    rig.publish()
    rig.status("d1", end, Result.GOLDEN_FAILED)
    rig.publish()
    assert rig.want("d1") is None
    assert rig.topics.device("d1", TopicKind.WANT) not in rig.broker
    assert chunks_of(rig, artifact.manifest) == []
    assert rig.summary(summary.id).why == "1 of 1 devices: result 67 GOLDEN_FAILED"


def test_bad_chunks_are_sent_again_but_not_in_a_storm(rig: Rig) -> None:
    rig.device("d1")
    artifact = rig.release()
    rig.rollouts.start("demo")
    rig.publish()
    sent = []
    for seq in range(1, 6):
        rig.status("d1", UpdateState.DOWNLOADING, Result.INTEGRITY, seq=seq)
        sent.append(len(rig.publish()))
        rig.now_s += 0.5
    whole = len(chunks_of(rig, artifact.manifest))
    assert sent == [whole, 0, 0, 0, whole], "once, and again two seconds later"


def test_generations_only_rise_above_what_a_birth_showed(rig: Rig) -> None:
    rig.device("d1")
    rig.release("1.0.0")
    rig.release("2.0.0")
    first = rig.rollouts.start("demo", "1.0.0")
    rig.say("d1", TopicKind.BIRTH, birth(generation=41))
    want = rig.want("d1")
    assert want is not None
    assert want.generation == 42, "a node ahead of our database is offered something newer"
    rig.status("d1", UpdateState.CONFIRMED, Result.SUCCESS)
    assert rig.summary(first.id).state is RolloutState.SUCCEEDED
    rig.rollouts.start("demo", "2.0.0")
    want = rig.want("d1")
    assert want is not None
    assert want.generation == 43


def test_deadlines_end_a_rollout(rig: Rig) -> None:
    rig.device("d1")
    rig.release()
    summary = rig.rollouts.start("demo")
    rig.now_s += 599
    rig.rollouts.tick()
    assert rig.summary(summary.id).state is RolloutState.RUNNING
    rig.now_s += 1
    rig.rollouts.tick()
    after = rig.summary(summary.id)
    assert (after.state, after.why) == (RolloutState.FAILED, "1 of 1 devices: TIMED_OUT")
    assert rig.want("d1") is None


def test_every_stored_event_names_its_transition(rig: Rig) -> None:
    rig.device("d1")
    rig.release()
    rig.rollouts.start("demo")
    rig.status("d1", UpdateState.DOWNLOADING, seq=1)
    rig.status("d1", UpdateState.DOWNLOADING, seq=2)
    rig.status("d1", UpdateState.TRIAL, seq=3)
    rig.status("d1", UpdateState.CONFIRMED, Result.SUCCESS, seq=4)
    with rig.store.read() as tx:
        rows = tx.deployments.history("d1", 10)
    assert [row["transition"] for row in reversed(rows)] == [
        "NEW:START:QUEUED",
        "QUEUED:PROGRESS:IN_PROGRESS",
        "IN_PROGRESS:PROGRESS:IN_PROGRESS",
        "IN_PROGRESS:DONE:SUCCEEDED",
    ]
    assert rows[1]["update"] == "TRIAL", "names are stored, never numbers"


def test_a_failing_transaction_leaves_nothing_behind(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.device("d1")
    rig.release()

    def broken(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(OnAir, "collect", broken)
    with pytest.raises(RuntimeError):
        rig.rollouts.start("demo")
    with rig.store.read() as tx:
        assert tx.rollouts.all(10) == []
        assert tx.retained.pending() == []
        device = tx.devices.get("d1")
        assert device is not None
        assert device.generation == 0
    assert rig.woken == 0


def test_a_device_that_leaves_ends_its_part(rig: Rig) -> None:
    rig.device("d1")
    rig.device("d2")
    rig.release()
    summary = rig.rollouts.start("demo")
    with rig.store.write() as tx:
        rig.rollouts.device_gone(tx, "d1", rig.now_s)
    rig.status("d2", UpdateState.CONFIRMED, Result.SUCCESS)
    assert rig.summary(summary.id).state is RolloutState.SUCCEEDED


class TestJournal:
    def prepared(self, rig: Rig) -> bytes:
        rig.device("d1")
        rig.release()
        rig.rollouts.start("demo")
        rig.publish()
        return rig.broker[rig.topics.journal]

    def test_the_same_journal_means_nothing_to_do(self, rig: Rig) -> None:
        assert rig.cache.connected(self.prepared(rig)) == 0

    @pytest.mark.parametrize("journal", [None, b"", b"\xff nonsense"])
    def test_no_journal_means_everything(self, rig: Rig, journal: bytes | None) -> None:
        self.prepared(rig)
        held = dict(rig.broker)
        rig.broker.clear()
        assert rig.cache.connected(journal) == 2
        rig.publish()
        assert rig.broker == held

    def test_an_older_one_means_what_is_newer(self, rig: Rig) -> None:
        old = self.prepared(rig)
        rig.device("d2")
        rig.rollouts.start("demo", devices=["d2"])
        rig.publish()
        assert rig.cache.connected(old) == 1
        assert rig.publish() == [rig.topics.device("d2", TopicKind.WANT)]

    def test_another_databases_one_means_everything(self, rig: Rig) -> None:
        from tinyfleet.wire.codec import encode

        held = decode(Journal, self.prepared(rig))
        assert rig.cache.connected(encode(replace(held, manager=bytes(16)))) == 2

    def test_one_ahead_of_us_raises_our_numbers(self, rig: Rig) -> None:
        from tinyfleet.wire.codec import encode

        held = decode(Journal, self.prepared(rig))
        assert rig.cache.connected(encode(replace(held, seq=900))) == 2
        rig.device("d2")
        rig.rollouts.start("demo", devices=["d2"])
        with rig.store.read() as tx:
            row = tx.retained.get(RetainedKind.WANT, "d2")
        assert row is not None
        assert row.seq == 901

    def test_a_lost_file_holds_the_journal_back_and_the_rest_goes_on(self, rig: Rig) -> None:
        rig.device("d1")
        artifact = rig.release()
        rig.rollouts.start("demo")
        (rig.blobs._folder / artifact.blob.hex()).unlink()
        todo = rig.cache.next_pass()
        assert todo is not None
        assert [work.row.kind for work in todo.work] == [RetainedKind.WANT]
        assert decode(Journal, todo.journal).seq == 0


def test_the_history_of_a_device_has_a_bound(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that never settles tells of itself for ever."""
    monkeypatch.setattr(deployment_rows, "TRANSITIONS_KEPT", 10)
    rig.device("d1")
    rig.device("d2")
    rig.release()
    rig.rollouts.start("demo")
    for seq in range(1, 41):
        state = UpdateState.DOWNLOADING if seq % 2 else UpdateState.PAUSED
        rig.status("d1", state, seq=seq)
    with rig.store.read() as tx:
        kept, other = tx.deployments.history("d1", 1000), tx.deployments.history("d2", 1000)
    assert len(kept) == 10
    assert kept[0]["update"] == "PAUSED", "the newest stay"
    assert len(other) == 1
