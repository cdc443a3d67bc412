"""Bytes damaged on the way, power cut at the node, a broker that forgets everything: the node converges."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tinyfleet.wire.blobs import chunk_topics
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.limits import GROUP_BYTES
from tinyfleet.wire.messages import Birth, Status

pytestmark = [pytest.mark.qemu, pytest.mark.broker]


def begin_download(node: Any, manager: Any, release: Any, generation: int) -> None:
    """Two of its groups are at the broker; the node has them in flash and waits for more."""
    manager.blob(release.blob, range(3))
    manager.want(release.want(generation))
    status = manager.wait(Status, lambda s: s.offset_bytes >= 2 * GROUP_BYTES)
    assert status.state is UpdateState.DOWNLOADING
    assert node.read("model_a", 2 * GROUP_BYTES) == release.image[: 2 * GROUP_BYTES]


def converged(node: Any, manager: Any, release: Any, generation: int) -> Birth:
    birth: Birth = manager.wait(
        Birth, lambda b: b.generation == generation and b.state >= UpdateState.CONFIRMED
    )
    assert birth.state is UpdateState.CONFIRMED, birth
    assert birth.model is not None and birth.model.image == release.digest
    assert node.read("model_a", len(release.image)) == release.image
    return birth


def test_a_damaged_chunk_is_dropped_and_fetched_again(node: Any, manager: Any, second: Any) -> None:
    chunks = dict(chunk_topics(second.blob, manager.topics))
    topic = [t for t in chunks if manager.topics.parse(t).group == 2][5]
    good = chunks[topic]
    manager.publish(chunks | {topic: good[:100] + bytes([good[100] ^ 0x40]) + good[101:]})
    manager.want(second.want(1))
    status = manager.wait(Status, lambda s: s.result is Result.INTEGRITY)
    assert status.state is UpdateState.DOWNLOADING
    assert status.offset_bytes == GROUP_BYTES + 4096  # the sectors before the damaged one
    manager.blob(second.blob)  # what the manager does at such a status
    converged(node, manager, second, 1)


def test_a_power_cut_during_the_download(node: Any, manager: Any, second: Any) -> None:
    begin_download(node, manager, second, 1)
    node.emulator.kill()
    manager.forget()
    node.start()
    birth = manager.wait(Birth, lambda b: b.boot == 2)
    assert (birth.boot, birth.generation, birth.state) == (2, 1, UpdateState.DOWNLOADING)
    assert node.read("model_a", 2 * GROUP_BYTES) == second.image[: 2 * GROUP_BYTES]
    manager.blob(second.blob)
    converged(node, manager, second, 1)
    cost = manager.wait(Status, lambda s: s.state is UpdateState.VERIFIED).transfer
    assert cost is not None and cost.mqtt_rx_bytes < len(second.image) - GROUP_BYTES  # it went on, not from 0


def test_power_cuts_again_and_again(node: Any, manager: Any, second: Any) -> None:
    """Each run of the node gets one group more, then the power goes."""
    manager.want(second.want(1))
    for group in range(second.blob.groups):
        manager.blob(second.blob, range(group + 1))
        if group > 0:
            manager.wait(Status, lambda s, g=group: s.offset_bytes >= min(g * GROUP_BYTES, len(second.image)))
        node.emulator.kill()
        manager.forget()
        node.start()
        manager.wait(Birth, lambda b, boot=group + 2: b.boot == boot)
    manager.blob(second.blob)
    assert converged(node, manager, second, 1).boot == second.blob.groups + 1


def test_the_broker_is_killed_during_the_download(node: Any, manager: Any, broker: Any, second: Any) -> None:
    begin_download(node, manager, second, 1)
    broker.end(signal.SIGKILL)
    node.console("mqtt: connection lost")
    manager.forget()
    broker.start()  # it has forgotten all retained messages
    manager.wait_until_connected()
    manager.blob(second.blob)
    manager.want(second.want(1))
    converged(node, manager, second, 1)


def test_power_fails_during_the_trial(node: Any, manager: Any, second: Any) -> None:
    manager.blob(second.blob)
    manager.want(second.want(1))
    manager.wait(Status, lambda s: s.state is UpdateState.TRIAL)
    node.emulator.kill()
    manager.forget()
    node.start()
    birth = converged(node, manager, second, 1)
    assert birth.boot == 2
