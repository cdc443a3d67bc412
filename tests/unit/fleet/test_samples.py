"""Captured windows: settings in the want, parts put together, bounds, privacy, the file they end in."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.fleet.fleet_rig import CHANNELS, SAMPLES, Rig, birth, parts_of, window_of

from tinyfleet.fleet.adapters.prometheus.metrics import FleetCollector, exposition
from tinyfleet.fleet.api import show
from tinyfleet.fleet.cli.samples_file import write_npz
from tinyfleet.fleet.core.errors import BadInput, NotFound
from tinyfleet.fleet.main import Manager
from tinyfleet.fleet.services.ports import SampleFilter
from tinyfleet.fleet.services.wants import OFF
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import Capture, EventRule, Sample
from tinyfleet.wire.topics import TopicKind


def asked(rig: Rig, name: str = "d1", **changes: Any) -> None:
    rig.device(name)
    order: dict[str, Any] = {"classes": (), "margin_below": None, "per_day": 10, "day_bytes": 10_000}
    rig.live.capture(name, **(order | changes))


def say(rig: Rig, parts: list[Sample], name: str = "d1") -> None:
    for part in parts:
        rig.say(name, TopicKind.SAMPLE, part)


def test_what_is_asked_for_travels_in_the_want(rig: Rig) -> None:
    rig.device("d1")
    artifact = rig.release(labels=("rest", "walk"))
    rig.say("d1", TopicKind.BIRTH, birth(image=artifact.image, captures=True))
    done = rig.live.capture("d1", classes=("walk", "0"), margin_below=0.1, per_day=5, day_bytes=1000)
    wanted = Capture(classes=(1, 0), margin_below=26, per_day=5, day_bytes=1000)
    assert done.capture == wanted and done.generation == 1
    with rig.store.read() as tx:
        assert rig.seen_when_woken == tx.identity.seq() > 0, "woken before there is something to publish"
    want = rig.want("d1")
    assert want is not None and want.capture == wanted and want.model is None
    rig.live.event_rule("d1", classes=("walk",), min_score=0.5, windows=5, hits=3, hold_off_s=60)
    want = rig.want("d1")
    assert want is not None and (want.generation, want.capture) == (1, wanted), "the same want again"
    assert want.event_rule == EventRule(classes=(1,), min_score=128, windows=5, hits=3, hold_off_s=60)
    # A rollout keeps them, and a change keeps the rollout.
    rig.rollouts.start("demo", devices=["d1"])
    want = rig.want("d1")
    assert want is not None and want.model is not None and want.capture == wanted
    generation = want.generation
    assert rig.live.capture_off("d1").capture == OFF
    want = rig.want("d1")
    assert want is not None and want.model is not None and want.capture == OFF
    assert want.generation == generation
    with rig.store.read() as tx:
        row = next(row for row in tx.retained.live_blobs())
        assert row.key == artifact.manifest.hex() and tx.retained.unnamed_blobs() == [], "it is named still"


def test_a_rollout_that_ends_badly_takes_no_settings_with_it(rig: Rig) -> None:
    asked(rig)
    rig.release()
    rig.rollouts.start("demo", devices=["d1"])
    rig.status("d1", UpdateState.FAILED, Result.SIGNATURE)
    want = rig.want("d1")
    assert want is not None and want.model is None and want.capture is not None
    with rig.store.read() as tx:
        assert tx.retained.live_blobs() == []
        device = tx.devices.get("d1")
    assert device is not None and want.generation == device.generation
    # Whoever was told nothing has no want left.
    rig.device("d2")
    rig.rollouts.start("demo", devices=["d2"])
    rig.status("d2", UpdateState.FAILED, Result.SIGNATURE)
    assert rig.want("d2") is None


def test_what_cannot_be_asked_for_is_refused(rig: Rig) -> None:
    rig.device("d1")
    artifact = rig.release(labels=("rest", "walk"))
    order: dict[str, Any] = {"margin_below": None, "per_day": 1, "day_bytes": 1}
    with pytest.raises(NotFound, match="no device d9"):
        rig.live.capture("d9", classes=(), **order)
    with pytest.raises(BadInput, match="class 'run' of d1: expected one of numbers only"):
        rig.live.capture("d1", classes=("run",), **order)
    rig.say("d1", TopicKind.BIRTH, birth(image=artifact.image, captures=True))
    for text in ("run", "2", "-1", "1.0", "9" * 5000):
        with pytest.raises(BadInput, match="expected one of rest, walk"):
            rig.live.capture("d1", classes=(text,), **order)
    with pytest.raises(BadInput, match="expected 1 to 2 hits of 2 windows, got 3"):
        rig.live.event_rule("d1", classes=(), min_score=0, windows=2, hits=3, hold_off_s=0)
    rig.say("d1", TopicKind.BIRTH, birth(image=artifact.image, seq=2))
    with pytest.raises(BadInput, match="runs firmware 1, which knows no such setting"):
        rig.live.capture("d1", classes=(), **order)
    assert rig.want("d1") is None


def test_windows_are_stored_as_they_were_in_whatever_order_their_parts_come(rig: Rig) -> None:
    asked(rig)
    artifact = rig.release(labels=("rest", "walk"))
    orders = list(itertools.permutations(range(3)))
    for seq, order in enumerate(orders, 1):
        parts = parts_of(window_of(seq), artifact.image, seq=seq, uptime_ms=seq)
        say(rig, [parts[i] for i in order])
        say(rig, parts)  # the link broke, and they come again
    views = rig.samples.after(SampleFilter(), 100)
    assert [view.stored.window.data for view in views] == [window_of(i + 1) for i in range(len(orders))]
    assert {(view.model, view.version, view.labels) for view in views} == {
        ("demo", "1.0.0", ("rest", "walk"))
    }
    assert rig.ingest.counts.duplicate == 3 * len(orders) and rig.ingest.counts.rejected == 0
    assert [view.stored.window.seq for view in rig.samples.newest(SampleFilter(), 2)] == [6, 5]
    after = rig.samples.after(SampleFilter(after=views[3].stored.id), 1)
    assert after == [views[4]]
    assert rig.samples.newest(SampleFilter(device="d2"), 5) == []
    assert rig.samples.newest(SampleFilter(model=bytes(32)), 5) == []


def test_a_part_that_is_missing_makes_no_window_and_leaves_nothing(rig: Rig) -> None:
    asked(rig)
    say(rig, parts_of(window_of(1), bytes(32))[:2])
    say(rig, parts_of(window_of(2), bytes(32), seq=2))
    say(rig, parts_of(window_of(1), bytes(32))[2:])
    assert [v.stored.window.seq for v in rig.samples.after(SampleFilter(), 9)] == [2]


def test_nothing_is_kept_that_was_not_asked_for(rig: Rig) -> None:
    rig.device("d1")
    say(rig, parts_of(window_of(1), bytes(32)))
    asked(rig, "d2")
    rig.live.capture_off("d2")
    say(rig, parts_of(window_of(2), bytes(32)), "d2")
    assert rig.samples.after(SampleFilter(), 9) == []
    with rig.store.read() as tx:
        rows = tx.quarantine.all(9)
    assert len(rows) == 6 and {row["payload"] for row in rows} == {""}, "not even there"
    assert "was not asked for windows" in str(rows[0]["reason"])


def test_what_is_kept_has_bounds_and_an_end(rig: Rig) -> None:
    asked(rig)
    size = len(window_of(0))
    for seq in range(1, 31):  # the rig keeps 4096 bytes
        say(rig, parts_of(window_of(seq), bytes(32), size=1000, seq=seq))
    with rig.store.read() as tx:
        count, kept = tx.samples.totals()
    assert count == 4096 // size and kept == count * size
    newest = [v.stored.window.seq for v in rig.samples.newest(SampleFilter(), 100)]
    assert newest == list(range(30, 30 - count, -1))
    rig.now_s += 86_401
    assert rig.samples.newest(SampleFilter(), 100) == []


def test_what_is_too_old_goes_by_itself_whole_or_not(rig: Rig) -> None:
    """Nobody has to look at them, and the parts of a window that was broken off are raw data, too."""
    asked(rig)
    say(rig, parts_of(window_of(1), bytes(32), seq=1))
    broken_off = parts_of(window_of(2), bytes(32), seq=2)
    say(rig, broken_off[:2])
    manager: Any = SimpleNamespace(
        rollouts=rig.rollouts,
        shadows=rig.shadows,
        samples=rig.samples,
        enrolments=SimpleNamespace(expire=lambda: None),
    )
    rig.now_s += 86_399
    Manager.tick(manager)
    with rig.store.read() as tx:
        assert tx.samples.totals()[0] == 1
    rig.now_s += 2
    Manager.tick(manager)
    with rig.store.read() as tx:
        assert tx.samples.totals() == (0, 0) and not tx.samples.any_before(rig.now_s)
    say(rig, broken_off[2:])
    assert rig.samples.newest(SampleFilter(), 9) == [], "its other parts are gone"


def test_windows_go_with_their_device_or_when_told(rig: Rig) -> None:
    for name in ("d1", "d2"):
        asked(rig, name)
        say(rig, parts_of(window_of(1), bytes(32)), name)
    assert rig.samples.remove("d1") == 1
    assert [v.stored.window.device for v in rig.samples.newest(SampleFilter(), 9)] == ["d2"]
    with pytest.raises(NotFound, match="no device d9"):
        rig.samples.remove("d9")
    assert rig.samples.remove(None) == 1
    assert rig.samples.remove("d1") == 0


@pytest.mark.parametrize("offset", [127, 129])
def test_parts_that_leave_a_gap_or_overlap_are_no_window(rig: Rig, offset: int) -> None:
    asked(rig)
    parts = parts_of(window_of(1), bytes(32))
    say(rig, [parts[0], replace(parts[1], offset=offset), parts[2]])
    assert rig.samples.after(SampleFilter(), 9) == [] and rig.ingest.counts.rejected == 1
    say(rig, parts)
    assert len(rig.samples.after(SampleFilter(), 9)) == 1


def test_parts_that_differ_in_what_their_window_is_are_no_window(rig: Rig) -> None:
    """The last to come says how large the window is; it must be as large as the parts are."""
    asked(rig)
    parts = parts_of(window_of(1), bytes(32))
    size = 2 * SAMPLES * CHANNELS * 2
    long = replace(parts[2], samples=2 * SAMPLES, data=bytes(size - parts[2].offset))
    say(rig, [long, parts[0], parts[1]])
    assert rig.samples.after(SampleFilter(), 9) == []


def test_a_margin_is_rounded_so_that_it_says_the_same(rig: Rig) -> None:
    """Nodes count in 1/256: below the smallest step is 0, and every margin is below 1."""
    asked(rig, margin_below=0.001)
    want = rig.want("d1")
    assert want is not None and want.capture is not None and want.capture.margin_below == 1
    asked(rig, margin_below=1.0)
    want = rig.want("d1")
    assert want is not None and want.capture is not None and want.capture.margin_below is None


HOSTILE = [
    {"part": 3},
    {"part": 0, "offset": 2},
    {"offset": 0, "part": 1},
    {"samples": 0},
    {"samples": 65_535, "channels": 65_535},
    {"offset": 2**32 - 1},
    {"part": 2},
    {"part": 3, "offset": 128},
]


@pytest.mark.parametrize("changes", HOSTILE, ids=str)
def test_parts_that_cannot_be_are_refused(rig: Rig, changes: dict[str, Any]) -> None:
    asked(rig)
    rig.say("d1", TopicKind.SAMPLE, replace(parts_of(window_of(1), bytes(32))[0], **changes))
    assert rig.ingest.counts.rejected == 1 and rig.samples.after(SampleFilter(), 9) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    said=st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(0, 500), st.integers(1, 400)), max_size=8
    )
)
def test_whatever_parts_say_a_window_is_whole_or_none(
    rig: Rig, said: list[tuple[int, int, int, int]]
) -> None:
    asked(rig)
    rig.samples.remove(None)
    size = SAMPLES * CHANNELS * 2
    for part, parts, offset, length in said:
        sample = parts_of(bytes(length), bytes(32), size=length)[0]
        rig.say("d1", TopicKind.SAMPLE, replace(sample, part=part, parts=parts, offset=offset))
    assert all(len(v.stored.window.data) == size for v in rig.samples.after(SampleFilter(), 9))


def exported(rig: Rig, **chosen: Any) -> list[Any]:
    return [show.sample(v, with_window=True) for v in rig.samples.after(SampleFilter(**chosen), 100)]


def test_the_export_opens_with_numpy_and_holds_what_was_captured(rig: Rig, tmp_path: Path) -> None:
    asked(rig)
    artifact = rig.release(labels=("rest", "walk"))
    for seq in (1, 2, 3):
        margin = None if seq == 2 else 56
        say(rig, parts_of(window_of(seq), artifact.image, seq=seq, margin=margin, class_=seq % 2))
    path = tmp_path / "out" / "samples.npz"
    assert write_npz(path, exported(rig)) == 3
    assert [p.name for p in path.parent.iterdir()] == ["samples.npz"]
    with np.load(path, allow_pickle=False) as stored:
        assert stored["windows"].shape == (3, SAMPLES, CHANNELS) and stored["windows"].dtype == np.int16
        assert [w.tobytes() for w in stored["windows"]] == [window_of(seq) for seq in (1, 2, 3)]
        assert list(stored["labels"]) == ["rest", "walk"] and list(stored["predicted"]) == [1, 0, 1]
        assert np.allclose(stored["scores"][0], [100 / 256, 156 / 256])
        assert np.isnan(stored["margin"][1]) and stored["margin"][0] == np.float32(56 / 256)
        assert list(stored["device"]) == ["d1"] * 3 and stored["model"][0] == artifact.image.hex()
        assert (stored["sensor"], stored["unit"], stored["rate_hz"]) == ("accelerometer", "mg", 25.0)
        assert list(stored["seq"]) == [1, 2, 3] and stored["time_s"][0] == rig.now_s


def test_windows_that_do_not_go_into_one_array_are_named(rig: Rig, tmp_path: Path) -> None:
    asked(rig)
    with pytest.raises(BadInput, match="no such windows"):
        write_npz(tmp_path / "x.npz", exported(rig))
    say(rig, parts_of(window_of(1), bytes(32)))
    say(rig, parts_of(window_of(2), b"\x01" * 32, seq=2, unit="g"))
    with pytest.raises(BadInput, match=r"differ in unit \(mg and g\): choose by --model or --device"):
        write_npz(tmp_path / "x.npz", exported(rig))
    assert write_npz(tmp_path / "x.npz", exported(rig, model=bytes(32))) == 1


def test_stored_windows_are_metrics(rig: Rig) -> None:
    asked(rig)
    say(rig, parts_of(window_of(1), bytes(32)))
    collector = FleetCollector(rig.store, rig.clock, rig.ingest.counts, dict, lambda: None, 4096)
    text = exposition(collector).decode()
    assert "tinyfleet_samples_stored 1.0" in text and "tinyfleet_samples_stored_bytes 300.0" in text
    assert "tinyfleet_samples_budget_bytes 4096.0" in text
    assert "tinyfleet_ingest_sample_parts_total 3.0" in text
