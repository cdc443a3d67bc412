"""What a node does with its windows: events, samples, a line that brings them."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np
import pytest
from tests.models import LIVESTOCK

from tinyfleet.wire.enums import ConnState, EventKind, UpdateState
from tinyfleet.wire.messages import (
    Birth,
    Capture,
    Conn,
    Event,
    EventRule,
    Feed,
    Sample,
    Sleep,
    Status,
    Tele,
    Want,
)
from tinyfleet.wire.records import encode_record
from tinyfleet.wire.sample_line import window_frames

pytestmark = [pytest.mark.qemu, pytest.mark.broker]


def replay_windows() -> list[bytes]:
    with np.load(LIVESTOCK / "replay.npz") as stored:
        return [window.astype("<i2").tobytes() for window in stored["windows"]]


def run(manager: Any, release: Any, **settings: Any) -> None:
    manager.blob(release.blob)
    manager.want(release.want(1, **settings))
    manager.wait(Status, lambda s: s.state is UpdateState.CONFIRMED)


def whole(manager: Any, count: int) -> list[tuple[Sample, bytes]]:
    """The first windows, each with its first part."""
    manager.wait(Sample, lambda s: s.seq == count and s.part == s.parts - 1)
    parts: dict[int, dict[int, Sample]] = {}
    for sample in manager.heard(Sample):
        parts.setdefault(sample.seq, {})[sample.part] = sample
    done = [parts[seq] for seq in range(1, count + 1)]
    for window in done:
        assert sorted(window) == list(range(window[0].parts))
    return [(window[0], b"".join(window[i].data for i in sorted(window))) for window in done]


def test_captured_windows_are_those_of_the_sensor_and_no_more_than_asked_for(
    node: Any, manager: Any, first: Any
) -> None:
    assert manager.wait(Birth).captures is True
    run(manager, first)
    manager.wait(Tele, lambda t: t.inferences >= 10)
    assert manager.heard(Sample) == []  # off until it is asked for
    # The same generation with another setting: no update, and no other birth.
    manager.want(first.want(1, capture=Capture(per_day=3, day_bytes=100_000)))
    recorded = replay_windows()
    windows = whole(manager, 3)
    for sample, data in windows:
        assert data in recorded
        assert (sample.boot, sample.model, sample.parts) == (1, first.digest, 2)
        assert (sample.sensor, sample.unit, sample.rate_mhz) == ("accelerometer", "mg", 25_000)
        assert (sample.samples, sample.channels) == (128, 3)
        scores = sorted(sample.scores, reverse=True)
        assert len(scores) == 4 and sample.scores[sample.class_] == scores[0]
        assert sample.margin == scores[0] - scores[1]
    tele = manager.wait(Tele, lambda t: (t.skipped or 0) > 5)
    assert tele.captured == 3 and len({s.seq for s in manager.heard(Sample)}) == 3
    assert tele.margin is not None and sum(tele.margin) == tele.inferences
    assert 0 < tele.switches < tele.inferences
    assert [b.generation for b in manager.heard(Birth)][-1] == 1


def test_only_the_windows_chosen_are_captured_and_a_restart_captures_nothing(
    node: Any, manager: Any, first: Any
) -> None:
    run(manager, first, capture=Capture(classes=(1, 2), margin_below=200, per_day=1000, day_bytes=10**6))
    for sample, _ in whole(manager, 5):
        assert sample.class_ in (1, 2) and sample.margin < 200
    manager.want(None)
    node.emulator.kill()
    manager.forget()
    node.start()
    manager.wait(Tele, lambda t: t.boot == 2 and t.inferences >= 20)
    assert manager.heard(Sample) == []


def test_a_sleeper_stays_awake_for_the_window_it_brought_along(
    bare_node: Any, manager: Any, first: Any
) -> None:
    bare_node.provision(sleep=Sleep(wake_s=1), window_ms=200)
    bare_node.start()
    manager.wait(Conn, lambda c: c.state is ConnState.ASLEEP)
    manager.blob(first.blob)
    budget = Capture(per_day=1000, day_bytes=10**6)
    manager.want(first.want(1, sleep=Sleep(wake_s=1), capture=budget))
    # Its radio may be off when the trial ends: then no status tells, but the next birth.
    manager.wait(Birth, lambda b: b.state is UpdateState.CONFIRMED)
    recorded = replay_windows()
    assert all(data in recorded for _, data in whole(manager, 4))
    # It does not stay for those it takes meanwhile: they come one wake after the other.
    slept = manager.heard(Conn)[-1].conn
    manager.wait(Conn, lambda c: c.state is ConnState.ASLEEP and c.conn >= slept + 2)


def test_the_event_rule_of_the_want_holds(node: Any, manager: Any, first: Any) -> None:
    run(manager, first)
    manager.wait(Event)
    rule = EventRule(classes=(2,), min_score=128, windows=3, hits=2, hold_off_s=1)
    manager.want(Want(generation=1, event_rule=rule))
    manager.wait(Event, lambda e: e.seq >= 4)
    told = [e for e in manager.heard(Event) if e.kind is EventKind.INFERENCE][1:]
    assert {e.class_ for e in told} == {2} and min(e.score for e in told) >= 128
    times = [e.uptime_ms for e in told]
    assert all(later - earlier >= 1000 for earlier, later in itertools.pairwise(times))


def test_windows_that_come_over_the_sample_line_are_run_and_captured(
    bare_node: Any, manager: Any, first: Any
) -> None:
    bare_node.provision()
    feed = Feed(sensor="accelerometer", unit="mg", rate_mhz=25_000, samples=128, channels=3)
    bare_node.write("replay", encode_record(feed).ljust(4096, b"\xff"))
    bare_node.start()
    assert manager.wait(Birth).sensor == "line"
    recorded = replay_windows()
    with contextlib.closing(bare_node.emulator.open_sample_line()) as line:
        # Its trial needs windows, too: the line brings them from now on.
        manager.blob(first.blob)
        manager.want(first.want(1, capture=Capture(per_day=1000, day_bytes=10**6)))
        manager.wait(Status, lambda s: s.state is UpdateState.TRIAL)
        sent = 0
        while not [s for s in manager.heard(Status) if s.state is UpdateState.CONFIRMED]:
            line.sendall(b"noise\r\n\0" + window_frames(sent, recorded[sent % len(recorded)]))
            sent += 1
            assert sent < 2000, "no trial ends though windows come"
        # One number is passed over, one part is damaged: two windows are missed.
        for number in (0, 1, 3, 4, 5):
            frames = bytearray(window_frames(sent + number, recorded[number]))
            if number == 4:
                frames[40] ^= 0x55
            line.sendall(frames)
        tele = manager.wait(Tele, lambda t: t.dropped >= 2)
        assert tele.inferences >= 4 and sum(tele.classes) == tele.inferences
    assert (tele.dropped, tele.paused) == (2, 0)
    for sample, data in whole(manager, 2):
        assert data in recorded and sample.model == first.digest
