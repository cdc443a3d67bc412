"""A model reaches the node over MQTT: verified, tried, confirmed; or refused, and what ran goes on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.models import livestock

from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import Birth, Event, Status, Tele, Trial
from tinyfleet.wire.topics import TopicKind

pytestmark = [pytest.mark.qemu, pytest.mark.broker]


def confirm(manager: Any, release: Any, generation: int) -> Status:
    """Rolls a release out and waits until the node says CONFIRMED."""
    manager.blob(release.blob)
    manager.want(release.want(generation))
    status: Status = manager.wait(
        Status, lambda s: s.generation == generation and s.state >= UpdateState.CONFIRMED
    )
    assert (status.state, status.result) == (UpdateState.CONFIRMED, Result.SUCCESS), status
    return status


def goes_on_with(manager: Any, release: Any) -> None:
    """Telemetry of this model still grows. Nothing heard is forgotten: a birth may have come already."""
    newest = max((t.inferences for t in manager.heard(Tele) if t.model == release.digest), default=0)
    for _ in range(2):  # the first may have been on its way
        grown = manager.wait(Tele, lambda t: t.model == release.digest and t.inferences > newest)  # noqa: B023
        newest = grown.inferences


def roll_out(manager: Any, release: Any, generation: int, **changes: Any) -> Status:
    """The last status of a rollout, however it ends."""
    manager.blob(release.blob)
    manager.want(release.want(generation, **changes))
    status: Status = manager.wait(
        Status, lambda s: s.generation == generation and s.state >= UpdateState.CONFIRMED
    )
    return status


def test_a_model_is_fetched_tried_confirmed_and_runs(node: Any, manager: Any, first: Any) -> None:
    confirm(manager, first, 1)
    assert node.read("model_a", len(first.image)) == first.image
    birth = manager.wait(Birth, lambda b: b.model is not None and b.state is UpdateState.CONFIRMED)
    assert (birth.generation, birth.model.image, birth.model.slot) == (1, first.digest, 0)
    assert (birth.model.version, birth.model.name) == ("1.0.0", "livestock")
    assert birth.slots[0].image == first.digest and birth.slots[1].image is None

    tele = manager.wait(Tele, lambda t: t.inferences >= 20)
    assert tele.model == first.digest
    assert len(tele.classes) == 4 and sum(tele.classes) == tele.inferences
    assert sum(tele.latency) == tele.inferences and sum(tele.confidence) == tele.inferences
    assert 0 < tele.latency_sum_us / tele.inferences < 100_000
    assert (tele.energy_uj, tele.battery_mv, tele.temperature_mc) == (None, None, None)
    event = manager.wait(Event)
    assert event.model == first.digest and event.class_ is not None and event.class_ < 4


def test_states_come_in_order(node: Any, manager: Any, first: Any) -> None:
    confirm(manager, first, 1)
    states = [s.state for s in manager.heard(Status)]
    assert states == sorted(states)
    wanted = [UpdateState.OFFERED, UpdateState.DOWNLOADING, UpdateState.VERIFIED, UpdateState.CONFIRMED]
    assert set(wanted) <= set(states)
    sequence = [s.seq for s in manager.heard(Status)]
    assert sequence == sorted(set(sequence))


def test_a_second_model_replaces_the_first_while_it_runs(
    node: Any, manager: Any, first: Any, second: Any
) -> None:
    confirm(manager, first, 1)
    epoch = manager.wait(Tele).epoch
    confirm(manager, second, 2)
    assert node.read("model_b", len(second.image)) == second.image
    assert node.read("model_a", len(first.image)) == first.image
    tele = manager.wait(Tele, lambda t: t.model == second.digest)
    assert tele.epoch == epoch + 1
    node.emulator.kill()
    manager.forget()
    node.start()
    birth = manager.wait(Birth, lambda b: b.boot == 2)
    assert birth.model is not None and birth.model.image == second.digest
    goes_on_with(manager, second)


def test_at_least_nine_tenths_of_the_mqtt_bytes_are_payload(node: Any, manager: Any, second: Any) -> None:
    status = confirm(manager, second, 1)
    size = len(second.image)
    assert 95_000 < size < 110_000
    cost = status.transfer
    assert cost is not None
    mqtt = cost.mqtt_rx_bytes + cost.mqtt_tx_bytes
    ip = cost.ip_rx_bytes + cost.ip_tx_bytes
    print(f"{size} bytes in {cost.elapsed_ms} ms: MQTT {mqtt} ({size / mqtt:.1%}), IP {ip} ({size / ip:.1%})")
    assert size < mqtt < ip
    assert size / mqtt >= 0.90


def test_a_foreign_key_is_refused_and_the_old_model_goes_on(
    node: Any, manager: Any, first: Any, foreign: Any
) -> None:
    confirm(manager, first, 1)
    status = roll_out(manager, foreign, 2)
    assert (status.state, status.result) == (UpdateState.FAILED, Result.SIGNATURE)
    goes_on_with(manager, first)
    birth = manager.wait(Birth, lambda b: b.generation == 2)
    assert (birth.state, birth.result, birth.model.image) == (
        UpdateState.FAILED,
        Result.SIGNATURE,
        first.digest,
    )


def test_a_golden_vector_that_differs_is_refused(
    node: Any, manager: Any, workshop: Any, make_release: Any
) -> None:
    payload = bytearray(livestock("v1", vectors=5))
    payload[-1] ^= 1  # the last byte of the last golden output
    status = roll_out(manager, make_release(bytes(payload), "1.0.1"), 1)
    assert status.result is Result.GOLDEN_FAILED
    assert status.state in (UpdateState.REVERTED, UpdateState.FAILED)
    manager.wait(Birth, lambda b: b.generation == 1 and b.model is None)


def test_another_sensor_rate_is_an_input_mismatch(
    node: Any, manager: Any, workshop: Any, make_release: Any
) -> None:
    status = roll_out(manager, make_release(livestock("v1", vectors=8, rate_mhz=50_000), "1.0.2"), 1)
    assert status.result is Result.INPUT_MISMATCH


def test_a_latency_limit_is_kept(node: Any, manager: Any, first: Any) -> None:
    status = roll_out(manager, first, 1, trial=Trial(inferences=3, latency_us=1))
    assert status.result is Result.LATENCY_LIMIT


def test_an_older_generation_changes_nothing(node: Any, manager: Any, first: Any, second: Any) -> None:
    confirm(manager, first, 5)
    manager.blob(second.blob)
    manager.want(second.want(4))
    goes_on_with(manager, first)
    assert not [s for s in manager.heard(Status) if s.generation == 4]


def test_the_report_period_follows_the_want(node: Any, manager: Any, first: Any) -> None:
    manager.blob(first.blob)
    manager.want(first.want(1, period_s=7))
    assert manager.wait(Birth, lambda b: b.generation == 1 and b.state is UpdateState.CONFIRMED).period_s == 7


def test_a_trial_of_two_hundred_vectors_pauses_live_inference_and_says_so(
    node: Any, manager: Any, first: Any, second: Any
) -> None:
    confirm(manager, first, 1)
    confirm(manager, second, 2)
    tried = [s for s in manager.heard(Status) if s.generation == 2 and s.state >= UpdateState.TRIAL]
    assert len(tried) == 2
    manager.wait(Tele, lambda t: t.model == second.digest)  # after the last one of the first
    last = [t for t in manager.heard(Tele) if t.model == first.digest][-1]
    assert last.paused is not None and 10 < last.paused < 60  # one each 40 ms, during 0.7 s of vectors
    assert last.dropped == last.paused
    assert last.inferences > 3


def test_windows_that_a_slow_model_misses_are_counted(
    bare_node: Any, manager: Any, workshop: Any, first: Any, second: Any
) -> None:
    """Inferences take about 4.6 ms; a window comes every one."""
    bare_node.provision(window_ms=1)
    bare_node.start()
    manager.wait(Birth)
    confirm(manager, second, 1)
    tele = manager.wait(Tele, lambda t: t.inferences >= 100)
    assert 2 < tele.dropped / tele.inferences < 6
    confirm(manager, first, 2)  # the next trial comes to its end, though a window is always due


def test_nonsense_is_refused_and_does_no_harm(node: Any, manager: Any, first: Any) -> None:
    topic = manager.topics.device("node-1", TopicKind.WANT)
    for nonsense in (b"\xff", b"\xa1\x00", encode(first.want(1))[:-1], bytes(4000)):
        manager.publish({topic: nonsense})
    node.emulator.wait_for_line("want: refused", 20, count=4)
    manager.want(None)
    manager.publish({f"{topic}/more": b"x", manager.topics.chunk(bytes(32), 1, 1): bytes(1024)})
    confirm(manager, first, 1)
    manager.want(None)
    goes_on_with(manager, first)


def test_a_configuration_full_of_zeros_floods_nobody(
    bare_node: Any, manager: Any, workshop: Any, first: Any
) -> None:
    bare_node.provision(period_s=0, window_ms=0, keepalive_s=0)
    bare_node.start()
    assert manager.wait(Birth).period_s == 60
    assert roll_out(manager, first, 1, trial=None).state is UpdateState.CONFIRMED
    assert len(manager.heard(Tele)) <= 1
