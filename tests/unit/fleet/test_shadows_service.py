"""Challengers over the database: what is published, heard, counted, and what ends them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fleet.fleet_rig import EASY, Rig, birth, tele

from tinyfleet.fleet.adapters.prometheus.metrics import FleetCollector, exposition
from tinyfleet.fleet.core.errors import Conflict, NotFound, Refused
from tinyfleet.fleet.core.release import Artifact
from tinyfleet.fleet.core.shadow import ShadowState
from tinyfleet.fleet.services.ports import RetainedKind
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import ClassPair, Comparison, Sleep
from tinyfleet.wire.topics import TopicKind


def online(rig: Rig, name: str, model: Artifact, **changes: Any) -> None:
    """A device that runs `model`, and can run a challenger."""
    rig.device(name)
    values = {"image": model.image, "shadow_bytes": 60_000, "arena_bytes": 65_536} | changes
    rig.say(name, TopicKind.BIRTH, birth(**values))


def models(rig: Rig) -> tuple[Artifact, Artifact]:
    return rig.release("1.0.0"), rig.release("2.0.0")


def state(rig: Rig, name: str = "d1") -> ShadowState:
    return rig.shadows.get(name).shadow.state


def runs(rig: Rig, name: str = "d1") -> None:
    rig.status(name, UpdateState.SHADOW, Result.SUCCESS, seq=9)
    assert state(rig, name) is ShadowState.RUNNING


def counts(model: Artifact, agreements: int, disagreements: int, run: int = 1) -> Comparison:
    pairs = (ClassPair(active=0, challenger=1, windows=disagreements),) if disagreements else ()
    return Comparison(
        model=model.image,
        run=run,
        windows=agreements + disagreements,
        agreements=agreements,
        skipped=3,
        missed=1,
        pairs=pairs,
        rest=0,
    )


def live_blobs(rig: Rig) -> set[str]:
    with rig.store.read() as tx:
        return {row.key for row in tx.retained.live_blobs()}


def test_starting_publishes_a_want_that_keeps_what_was_wanted(rig: Rig) -> None:
    first, second = models(rig)
    online(rig, "d1", first)
    rig.rollouts.start("demo", "1.0.0")
    rig.status("d1", UpdateState.CONFIRMED, Result.SUCCESS)
    views = rig.shadows.start("demo", "2.0.0")
    assert [view.shadow.device for view in views] == ["d1"]
    want = rig.want("d1")
    assert want is not None and want.model is not None and want.shadow is not None
    assert (want.generation, want.model.image, want.shadow.image) == (2, first.image, second.image)
    assert live_blobs(rig) == {first.manifest.hex(), second.manifest.hex()}
    runs(rig)
    stopped = rig.shadows.stop()
    assert [view.shadow.state for view in stopped] == [ShadowState.STOPPED]
    want = rig.want("d1")
    assert want is not None and (want.generation, want.shadow) == (3, None)
    assert want.model is not None and want.model.image == first.image
    assert live_blobs(rig) == {first.manifest.hex()}
    with pytest.raises(Refused, match="no challenger runs there"):
        rig.shadows.stop()


def test_one_that_does_not_fit_is_rejected_with_nothing_on_air(rig: Rig) -> None:
    first, _ = models(rig)
    online(rig, "d1", first)
    rig.needs_by_version["1.0.0"] = replace(EASY, arena_bytes=40_000)
    rig.needs_by_version["2.0.0"] = replace(EASY, arena_bytes=30_000)
    view = rig.shadows.start("demo", "2.0.0")[0]
    assert (view.shadow.state, view.shadow.result) == (ShadowState.REJECTED, Result.ARENA_TOO_SMALL)
    assert "40000 bytes (running) and 30000 (challenger) are 70000" in view.shadow.detail
    assert rig.want("d1") is None and not live_blobs(rig)
    assert not rig.publish()


def test_a_device_that_does_not_know_challengers_is_rejected(rig: Rig) -> None:
    first, _ = models(rig)
    online(rig, "d1", first, shadow_bytes=None)
    assert rig.shadows.start("demo", "2.0.0")[0].shadow.state is ShadowState.REJECTED
    rig.device("d2")
    assert "never heard of" in rig.shadows.start("demo", "2.0.0", devices=["d2"])[0].shadow.detail


def test_nobody_is_known_nothing_is_released(rig: Rig) -> None:
    with pytest.raises(NotFound, match="no release demo"):
        rig.shadows.start("demo")
    first, _ = models(rig)
    with pytest.raises(NotFound, match="no device d9"):
        rig.shadows.start("demo", devices=["d9"])
    with pytest.raises(NotFound, match="d9"):
        rig.shadows.stop(devices=["d9"])
    with pytest.raises(NotFound, match="no challenger"):
        rig.shadows.get("d1")
    online(rig, "d1", first)
    rig.rollouts.start("demo", "2.0.0")
    with pytest.raises(Conflict, match="rollout 1"):
        rig.shadows.start("demo", "2.0.0")


def test_the_broker_budget_counts(tmp_path: Path) -> None:
    rig = Rig(tmp_path, blob_budget_bytes=10_000)
    first, _ = models(rig)
    online(rig, "d1", first)
    with pytest.raises(Refused, match="needs 20000 bytes"):
        rig.shadows.start("demo", "2.0.0")


def test_a_rollout_takes_its_place_and_says_so(rig: Rig) -> None:
    first, second = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    runs(rig)
    rig.rollouts.start("demo", "2.0.0")
    shadow = rig.shadows.get("d1").shadow
    assert (shadow.state, shadow.detail) == (ShadowState.EVICTED, "rollout 1 took its place")
    assert shadow.transition == "RUNNING:EVICT:EVICTED"
    want = rig.want("d1")
    assert want is not None and want.model is not None
    assert (want.model.image, want.shadow) == (second.image, None)
    assert live_blobs(rig) == {second.manifest.hex()}


def test_a_node_that_refuses_it_is_asked_no_longer(rig: Rig) -> None:
    first, _ = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    generation = rig.want("d1").generation  # type: ignore[union-attr]
    rig.status("d1", UpdateState.REVERTED, Result.GOLDEN_FAILED)
    assert state(rig) is ShadowState.FAILED
    want = rig.want("d1")
    assert want is not None and (want.generation, want.shadow) == (generation + 1, None)
    assert not live_blobs(rig)


def test_damaged_chunks_are_published_again(rig: Rig) -> None:
    first, second = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    rig.publish()
    rig.status("d1", UpdateState.DOWNLOADING, Result.INTEGRITY)
    topics = rig.publish()
    assert any(rig.topics.chunk(second.manifest, 1, 0) == topic for topic in topics)
    rig.status("d1", UpdateState.DOWNLOADING, Result.INTEGRITY, seq=2)
    assert not rig.publish(), "at most one republish in a while"


def test_a_device_ahead_of_a_restored_database_is_asked_again(rig: Rig) -> None:
    first, _ = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    rig.say(
        "d1",
        TopicKind.BIRTH,
        birth(image=first.image, shadow_bytes=60_000, arena_bytes=65_536, seq=2, generation=40),
    )
    want = rig.want("d1")
    assert want is not None and want.generation == 41 and want.shadow is not None
    assert state(rig) is ShadowState.QUEUED


def test_what_takes_too_long_ends(rig: Rig) -> None:
    first, _ = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    rig.now_s += 599
    rig.shadows.tick()
    assert state(rig) is ShadowState.QUEUED
    rig.now_s += 1
    rig.shadows.tick()
    assert state(rig) is ShadowState.TIMED_OUT
    assert rig.want("d1").shadow is None  # type: ignore[union-attr]


def test_a_device_that_wakes_up_for_good_gets_the_time_of_one_that_is_awake(rig: Rig) -> None:
    first, _ = models(rig)
    online(rig, "d1", first, sleep=Sleep(wake_s=60))
    rig.shadows.start("demo", "2.0.0")
    rig.say("d1", TopicKind.BIRTH, birth(image=first.image, seq=2, shadow_bytes=60_000, arena_bytes=65_536))
    rig.now_s += 599
    rig.shadows.tick()
    assert state(rig) is ShadowState.QUEUED
    rig.now_s += 1
    rig.shadows.tick()
    assert state(rig) is ShadowState.TIMED_OUT


def text_of(rig: Rig) -> str:
    collector = FleetCollector(rig.store, rig.clock, rig.ingest.counts, dict, lambda: None, 4096)
    return exposition(collector).decode()


def test_counts_reach_the_database_and_the_metrics_once(rig: Rig) -> None:
    first, second = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    runs(rig)
    for seq, comparison in enumerate((counts(second, 8, 2), counts(second, 8, 2), counts(second, 20, 5)), 1):
        message = tele(first.image, 5 * seq, seq, seq=seq, shadow=comparison)
        rig.say("d1", TopicKind.TELE, message)
        rig.say("d1", TopicKind.TELE, message)
    # A reset: another boot, another run.
    rig.say("d1", TopicKind.TELE, tele(first.image, 1, 0, boot=2, shadow=counts(second, 3, 0)))
    total = rig.shadows.get("d1").shadow.total
    assert (total.windows, total.agreements, total.pairs) == (28, 23, {(0, 1): 5})
    labels = 'challenger="demo",challenger_version="2.0.0",model="demo",model_version="1.0.0",site="s"'
    text = text_of(rig)
    for name, value in (("windows", 28), ("agreements", 23), ("skipped", 6), ("missed", 2)):
        assert f"tinyfleet_shadow_{name}_total{{{labels}}} {value}.0" in text
    assert 'tinyfleet_shadow_devices{state="RUNNING"} 1.0' in text
    assert "not how often either is right" in text
    # Counters do not go when the device does.
    with rig.store.write() as tx:
        tx.shadows.remove("d1")
    assert f"tinyfleet_shadow_windows_total{{{labels}}} 28.0" in text_of(rig)


def test_the_same_challenger_started_again_counts_nothing_twice(rig: Rig) -> None:
    first, second = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    rig.say("d1", TopicKind.TELE, tele(first.image, 1, 0, shadow=counts(second, 8, 2)))
    rig.shadows.start("demo", "2.0.0")
    assert rig.shadows.get("d1").shadow.total.windows == 0
    rig.say("d1", TopicKind.TELE, tele(first.image, 2, 0, seq=2, shadow=counts(second, 9, 2)))
    assert rig.shadows.get("d1").shadow.total.windows == 1
    assert "tinyfleet_shadow_windows_total" in text_of(rig) and " 11.0" in text_of(rig)


def test_counters_nobody_honest_sends_go_to_the_quarantine(rig: Rig) -> None:
    first, second = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    bad = replace(counts(second, 8, 2), windows=99)
    rig.say("d1", TopicKind.TELE, tele(first.image, 1, 0, shadow=bad))
    assert rig.ingest.counts.rejected == 1
    with rig.store.read() as tx:
        assert "shadow windows" in str(tx.quarantine.all(1)[0]["reason"])


def test_too_many_series_are_dropped_and_counted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, series_max=3)
    first, second = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    rig.say("d1", TopicKind.TELE, tele(first.image, shadow=counts(second, 8, 2)))
    assert rig.ingest.counts.series_dropped == 4
    assert "tinyfleet_shadow_windows_total{" not in text_of(rig)


def test_challengers_count_in_the_same_cap_as_all_series(tmp_path: Path) -> None:
    rig = Rig(tmp_path, series_max=6)
    first, second = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    rig.say("d1", TopicKind.TELE, tele(first.image, 6, 4, shadow=counts(second, 8, 2)))
    # Four of the challenger leave room for both classes, not for a histogram; a third class has none.
    lines = [line for line in text_of(rig).splitlines() if line.startswith("tinyfleet_inferences_total{")]
    assert "tinyfleet_shadow_windows_total{" in text_of(rig) and len(lines) == 2
    rig.say("d1", TopicKind.TELE, tele(bytes(32), 3, 1, seq=1, epoch=2))
    lines = [line for line in text_of(rig).splitlines() if line.startswith("tinyfleet_inferences_total{")]
    assert len(lines) == 2


def test_a_device_that_leaves_takes_its_challenger_along(rig: Rig) -> None:
    first, _ = models(rig)
    online(rig, "d1", first)
    rig.shadows.start("demo", "2.0.0")
    with rig.store.write() as tx:
        tx.shadows.remove("d1")
        rig.rollouts.device_gone(tx, "d1", rig.now_s)
        assert tx.retained.get(RetainedKind.WANT, "d1").live is False  # type: ignore[union-attr]
    assert not live_blobs(rig)
