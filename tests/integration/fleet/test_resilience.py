"""What is killed comes back, and the fleet converges: manager, broker, node."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from tests.servers import wait_for

from tinyfleet.fleet.adapters.mqtt.mosquitto import PUBLISHER
from tinyfleet.fleet.core import credentials
from tinyfleet.wire.enums import Result, UpdateState

pytestmark = pytest.mark.broker


def start_paused(fleet: Any, make_model: Callable[..., bytes]) -> tuple[Any, Any]:
    """A node held in the middle of a download, and its rollout."""
    node = fleet.node("node1", pause_at=3)
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("two groups at the node", lambda: node.fetched_groups[-1:] == [2])
    return node, rollout


def confirmed(fleet: Any, node: Any, rollout: Any) -> None:
    wait_for("the rollout to succeed", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    (blob,) = (path.read_bytes() for path in fleet.state.blobs.iterdir())
    assert node.flash.data == blob, "no byte of the artifact may be wrong"


def test_a_killed_manager_goes_on_with_the_rollout(fleet: Any, make_model: Callable[..., bytes]) -> None:
    node, rollout = start_paused(fleet, make_model)
    fleet.kill("manager")
    node.resume()
    wait_for("the node to confirm without a manager", lambda: node.flash.state is UpdateState.CONFIRMED)
    fleet.healthy()
    confirmed(fleet, node, rollout)
    transitions = [row["transition"] for row in fleet.client.device("node1").transitions]
    assert transitions[0] == "IN_PROGRESS:DONE:SUCCEEDED"
    assert transitions[-1] == "NEW:START:QUEUED"


def test_a_manager_killed_before_it_published_publishes_after_its_restart(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    node = fleet.node("node1")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    # The broker stands still, so the rollout is stored but nothing of it can be published.
    _signal_broker(fleet, signal.SIGSTOP)
    rollout = fleet.client.start_rollout("demo")
    fleet.kill("manager")
    _signal_broker(fleet, signal.SIGCONT)
    fleet.healthy()
    confirmed(fleet, node, rollout)


def _signal_broker(fleet: Any, number: signal.Signals) -> None:
    from tinyfleet.fleet.adapters.process import read_pid

    pid = read_pid(fleet.state.broker_pid)
    assert pid is not None
    os.kill(pid.number, number)


def test_a_killed_broker_gets_everything_again(fleet: Any, make_model: Callable[..., bytes]) -> None:
    node, rollout = start_paused(fleet, make_model)
    fleet.kill("mosquitto")
    # With nothing saved it comes back empty: no want, no chunk, no journal, no session.
    (fleet.state.broker / "data" / "mosquitto.db").unlink(missing_ok=True)
    node.resume()
    fleet.healthy()
    confirmed(fleet, node, rollout)


def test_a_broker_that_lost_its_last_minute_gets_what_is_newer_than_its_journal(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    node = fleet.node("node1")
    fleet.client.create_release(make_model("1.0.0"), device_type="mps2-an386")
    first = fleet.client.start_rollout("demo")
    confirmed(fleet, node, first)
    wait_for("nothing to be pending", lambda: fleet.client.health().pending == 0)
    saved = fleet.state.broker / "data" / "mosquitto.db"
    _signal_broker(fleet, signal.SIGUSR1)  # mosquitto saves now
    wait_for("the broker to have saved", saved.exists)
    old = saved.read_bytes()
    fleet.client.create_release(make_model("1.1.0"), device_type="mps2-an386")
    second = fleet.client.start_rollout("demo", "1.1.0")
    wait_for("release 2", lambda: fleet.rollout_state(second.id) == "SUCCEEDED")
    node.kill()
    fleet.kill("mosquitto")
    saved.write_bytes(old)
    fleet.healthy()
    wait_for("nothing to be pending", lambda: fleet.client.health().pending == 0)
    log = (fleet.state.logs / "manager.log").read_text()
    assert "publisher connected, 3 retained rows to publish again" in log, (
        "the new blob, the new want and the old blob's clearing are newer than the journal"
    )
    replaced = fleet.node("node2")
    replaced.kill()
    lines = fleet.cli("mqtt", "tail", "--device", "node1", "--seconds", "1").stdout
    assert '"version": "1.1.0"' in lines


def test_a_node_that_loses_power_in_a_download_starts_over_and_confirms(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    node, rollout = start_paused(fleet, make_model)
    node.kill()
    wait_for("the node to be lost", lambda: fleet.client.device("node1").device.state == "LOST")
    again = fleet.node("node1", node.flash)
    confirmed(fleet, again, rollout)


def test_a_flipped_chunk_is_reported_published_again_and_nothing_of_it_kept(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    from paho.mqtt import publish
    from paho.mqtt.enums import MQTTProtocolVersion

    node, rollout = start_paused(fleet, make_model)
    artifact = fleet.client.releases()[0].artifacts[0]
    (blob,) = (path.read_bytes() for path in fleet.state.blobs.iterdir())
    chunk = bytearray(blob[2 * 16384 + 1024 : 2 * 16384 + 2048])
    chunk[7] ^= 1
    endpoints = fleet.state.endpoints()
    publish.single(
        node.topics.chunk(bytes.fromhex(artifact.manifest), 3, 1),
        bytes(chunk),
        qos=1,
        retain=True,
        port=endpoints.admin_port,
        client_id="vandal",
        auth={
            "username": PUBLISHER,
            "password": credentials.password(fleet.state.secret(), PUBLISHER).decode(),
        },
        protocol=MQTTProtocolVersion.MQTTv5,
    )
    node.resume()
    confirmed(fleet, node, rollout)
    assert any(
        status.result is Result.INTEGRITY and status.state is UpdateState.DOWNLOADING
        for status in node.statuses
    )
    transitions = [row["transition"] for row in fleet.client.device("node1").transitions]
    assert "IN_PROGRESS:BAD_CHUNK:IN_PROGRESS" in transitions


def test_a_birth_that_contradicts_a_success_reopens_the_deployment(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    node = fleet.node("node1")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    first = node.flash.generation
    node.kill()
    # The model is gone although it was confirmed; the generation it acted on still stands in flash.
    node.flash.image, node.flash.version, node.flash.state = None, "", UpdateState.IDLE
    again = fleet.node("node1", node.flash)
    wait_for("the model to be back", lambda: again.flash.image is not None)
    wait_for("the rollout to succeed again", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    assert again.flash.generation > first
    names = [row["transition"] for row in fleet.client.device("node1").transitions]
    assert "SUCCEEDED:CONTRADICTED:QUEUED" in names


def test_what_was_sent_while_the_manager_was_dead_is_taken_in_once(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    node = fleet.node("node1")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    for round_ in range(3):
        for _ in range(20):
            node.infer((1, 0, 0, 0))
        fleet.kill("manager")
        for _ in range(20):
            node.infer((1, 0, 0, 0))
        fleet.healthy()
        line = (
            'tinyfleet_inferences_total{class="resting",model="demo",model_version="1.0.0",site="test"} '
            f"{40.0 * (round_ + 1)}"
        )
        wait_for(f"exactly {40 * (round_ + 1)} inferences", lambda line=line: line in fleet.client.metrics())
