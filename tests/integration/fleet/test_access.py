"""Who may say and hear what at the broker, and what becomes of nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tests.servers import wait_for
from tests.unit.fleet.fleet_rig import parts_of, window_of

from tinyfleet.fleet.adapters.mqtt.mosquitto import READER, TAIL
from tinyfleet.fleet.api.schemas import CaptureIn
from tinyfleet.fleet.core import credentials
from tinyfleet.wire.codec import encode
from tinyfleet.wire.topics import TopicKind

pytestmark = pytest.mark.broker
(SAMPLE,) = parts_of(window_of(1), bytes(32), size=1000)


class Stranger:
    """A client with somebody's credentials that does what it likes."""

    def __init__(self, port: int, user: str, password: bytes, client_id: str) -> None:
        self.heard: list[str] = []
        self.subacks: list[list[int]] = []
        self.pubacks: list[int] = []
        self.connack: str | None = None
        self.lost = False
        self._changed = threading.Condition()
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.username_pw_set(user, password.decode())
        self.client.on_connect = lambda _c, _d, _f, code, _p: setattr(self, "connack", str(code))
        self.client.on_disconnect = lambda *_: setattr(self, "lost", True)
        self.client.on_message = lambda _c, _d, message: self.heard.append(message.topic)
        self.client.on_subscribe = lambda _c, _d, _m, codes, _p: self.subacks.append(
            [code.value for code in codes]
        )
        self.client.on_publish = lambda _c, _d, _m, code, _p: self.pubacks.append(code.value)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def strangers() -> Any:
    made: list[Stranger] = []

    def make(*arguments: Any) -> Stranger:
        made.append(Stranger(*arguments))
        return made[-1]

    yield make
    for stranger in made:
        stranger.close()


def test_a_device_hears_its_own_want_and_nothing_of_others(
    fleet: Any, make_model: Callable[..., bytes], strangers: Any
) -> None:
    node, other = fleet.node("node1"), fleet.node("node2")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    config = node.config
    node.kill()
    spy = strangers(config.port, config.user, config.password, config.device)
    wait_for("the spy to be in", lambda: spy.connack == "Success")
    prefix = config.prefix
    others = ("node2/want", "+/want", "#", "+/tele", "+/sample", "node2/sample")
    for topic in (*(f"{prefix}/{level}" for level in others), "$SYS/#"):
        spy.client.subscribe(topic, qos=1)
    spy.client.subscribe(f"{prefix}/node1/want", qos=1)
    wait_for("all answers", lambda: len(spy.subacks) == 8)
    fleet.client.capture("node2", CaptureIn(per_day=5, day_bytes=10_000))
    other.send(TopicKind.SAMPLE, SAMPLE)
    wait_for("the other's window", lambda: len(fleet.client.samples("node2")) == 1)
    other.infer()
    counted = 'class="resting",model="demo",model_version="1.0.0",site="test"} 4.0'
    wait_for("the other's inferences", lambda: counted in fleet.client.metrics())
    wait_for("its own want", lambda: f"{prefix}/node1/want" in spy.heard)
    assert set(spy.heard) == {f"{prefix}/node1/want"} | {t for t in spy.heard if "/blob/" in t}


def test_a_device_cannot_speak_for_another(fleet: Any, make_model: Callable[..., bytes]) -> None:
    node, other = fleet.node("node1"), fleet.node("node2")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    prefix = node.config.prefix
    fleet.client.capture("node2", CaptureIn(per_day=5, day_bytes=10_000))
    node.publish_raw(f"{prefix}/node2/sample", encode(SAMPLE))
    for topic in (f"{prefix}/node2/tele", f"{prefix}/node2/want", f"{prefix}/fleet/journal"):
        node.publish_raw(topic, b"\xff garbage")
    other.infer((1, 0, 0, 0))
    node.infer((1, 0, 0, 0))
    counted = 'class="resting",model="demo",model_version="1.0.0",site="test"} 2.0'
    wait_for("both nodes' inferences", lambda: counted in fleet.client.metrics())
    assert fleet.client.quarantine() == []
    assert fleet.client.samples() == []


def test_a_wrong_password_and_a_removed_device_are_not_let_in(shared_fleet: Any, strangers: Any) -> None:
    node = shared_fleet.node("node1")
    config = node.config
    node.kill()
    wrong = strangers(config.port, config.user, config.password + b"x", config.device)
    wait_for("the answer", lambda: wrong.connack is not None)
    assert wrong.connack == "Not authorized"
    nobody = strangers(config.port, "node9", config.password, "node9")
    wait_for("the answer", lambda: nobody.connack is not None)
    assert nobody.connack == "Not authorized"
    right = strangers(config.port, config.user, config.password, config.device)
    wait_for("the answer", lambda: right.connack == "Success")
    shared_fleet.client.remove_device("node1")
    wait_for("the removed device to be thrown out", lambda: right.connack == "Not authorized", 30)


def test_a_device_cannot_take_another_ones_connection_over(shared_fleet: Any, strangers: Any) -> None:
    node, other = shared_fleet.node("node1"), shared_fleet.node("node2")
    before = other.connections
    config = node.config
    node.kill()
    thief = strangers(config.port, config.user, config.password, "node2")
    wait_for("the thief to be in", lambda: thief.connack == "Success")
    again = shared_fleet.node("node1", node.flash)
    wait_for("the thief's connection to be node1's", lambda: thief.lost)
    assert other.connections == before
    assert again.connections >= 1


def test_nonsense_goes_to_the_quarantine_counted_and_the_rest_goes_on(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    node = fleet.node("node1")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    own = f"{node.config.prefix}/node1/"
    for payload in (b"\xff\xff\xff", b"", b"\xa1\x00\x18", b"{}", bytes(4000)):
        node.publish_raw(own + TopicKind.TELE, payload)
    node.publish_raw(own + TopicKind.SAMPLE, b"\xa0")
    node.publish_raw(own + TopicKind.STATUS, bytes([0xA1, 0x00, 0x01]))
    node.infer((7, 0, 0, 0))
    counted = 'class="resting",model="demo",model_version="1.0.0",site="test"} 7.0'
    wait_for("what came after the nonsense", lambda: counted in fleet.client.metrics())
    assert "tinyfleet_ingest_rejected_total 7.0" in fleet.client.metrics()
    rows = fleet.client.quarantine()
    assert len(rows) == 7
    assert rows[0].reason.startswith("status.seq (key 1)"), "newest first, naming what is wrong"
    assert rows[-1].payload == "ffffff"


def test_counters_that_go_backwards_change_no_total(fleet: Any, make_model: Callable[..., bytes]) -> None:
    node = fleet.node("node1")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    node.infer((9, 0, 0, 0))
    node._inferences = [1, 0, 0, 0]
    node.infer((0, 0, 0, 0))
    wait_for("the refusal", lambda: "tinyfleet_ingest_rejected_total 1.0" in fleet.client.metrics())
    assert 'class="resting",model="demo",model_version="1.0.0",site="test"} 9.0' in fleet.client.metrics()
    assert "went backwards" in fleet.client.quarantine()[0].reason


def test_the_managers_own_users_are_kept_apart(fleet: Any, strangers: Any) -> None:
    """The tail reads and cannot write; the reader cannot read what goes down."""
    port, secret = fleet.state.endpoints().admin_port, fleet.state.secret()
    prefix = fleet.state.endpoints().prefix
    tail = strangers(port, TAIL, credentials.password(secret, TAIL), "tail-test")
    reader = strangers(port, READER, credentials.password(secret, READER), "reader-test")
    wait_for("both to be in", lambda: tail.connack == reader.connack == "Success")
    tail.client.subscribe(f"{prefix}/#", qos=1)
    reader.client.subscribe(f"{prefix}/fleet/journal", qos=1)
    wait_for("the answers", lambda: tail.subacks and reader.subacks)
    tail.client.publish(f"{prefix}/node1/want", b"x", qos=1, retain=True)
    wait_for("the answer", lambda: tail.pubacks)
    assert tail.pubacks == [135], "135: not authorised"
    assert tail.heard == reader.heard == []


def test_provisioning_again_gives_the_same_records(shared_fleet: Any) -> None:
    from tinyfleet.fleet.api.schemas import ProvisionIn

    order = ProvisionIn(id="node1", device_type="mps2-an386")
    first = shared_fleet.client.provision(order)
    again = shared_fleet.client.provision(order)
    assert (first.trust, first.config) == (again.trust, again.config)
    other = shared_fleet.client.provision(order.model_copy(update={"id": "node2"}))
    assert other.trust == first.trust
    assert other.config != first.config
