"""The broker's door for devices by TLS: a certificate of this fleet, in whose name the device then speaks."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tests.servers import wait_for

from tinyfleet.fleet.adapters.authority import SERVER
from tinyfleet.fleet.api.schemas import ProvisionIn
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Conn, NodeConfig
from tinyfleet.wire.records import decode_record

pytestmark = pytest.mark.broker


class Device:
    """A client with the records of a device, on the TLS port."""

    def __init__(self, config: NodeConfig, context: ssl.SSLContext, user: str) -> None:
        self.connack: str | None = None
        self.lost = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=user, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(user, "any")
        self.client.tls_set_context(context)
        self.client.on_connect = lambda _c, _d, _f, code, _p: setattr(self, "connack", str(code))
        self.client.on_disconnect = lambda *_: self.lost.set()
        self.client.connect("127.0.0.1", config.port)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


Provision = Callable[[str], NodeConfig]


@pytest.fixture
def provision(shared_fleet: Any) -> Provision:
    def make(name: str) -> NodeConfig:
        order = ProvisionIn(id=name, device_type="mps2-an386", tls=True)
        done = shared_fleet.client.provision(order)
        assert shared_fleet.client.provision(order).config == done.config, "the same every time"
        return decode_record(NodeConfig, base64.b64decode(done.config))

    return make


@pytest.fixture
def trusting(shared_fleet: Any) -> Callable[[], ssl.SSLContext]:
    def make() -> ssl.SSLContext:
        """Trusts the fleet's authority, shows nothing. Names are the node's to check: this is an address."""
        made = ssl.create_default_context(cafile=str(shared_fleet.state.broker / "authority.pem"))
        made.check_hostname = False
        # What nodes speak; also, a refused certificate ends the handshake and not what follows it.
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        return made

    return make


@pytest.fixture
def connect(trusting: Any, tmp_path: Path) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def make(config: NodeConfig, user: str | None = None) -> Device:
        context = trusting()
        show(context, config, tmp_path)
        made.append(Device(config, context, user or config.device))
        return made[-1]

    yield make
    for device in made:
        device.close()


def show(context: ssl.SSLContext, config: NodeConfig, folder: Path) -> None:
    """Has the context show what the device's record holds."""
    tls = config.tls
    assert tls is not None and tls.server == SERVER
    certificate = x509.load_der_x509_certificate(tls.certificate)
    key = ec.derive_private_key(int.from_bytes(tls.key, "big"), ec.SECP256R1())
    path = folder / "device.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context.load_cert_chain(path)


@pytest.fixture
def refused(trusting: Any, tmp_path: Path) -> Callable[[NodeConfig], bool]:
    def is_refused(config: NodeConfig) -> bool:
        context = trusting()
        show(context, config, tmp_path)
        with (
            socket.create_connection(("127.0.0.1", config.port), 10) as plain,
            pytest.raises(ssl.SSLError) as caught,
        ):
            context.wrap_socket(plain)
        return "revoked" in str(caught.value)

    return is_refused


def online(device: Device) -> None:
    wait_for("the device to be in", lambda: device.connack == "Success")


def test_the_certificate_says_who_it_is(shared_fleet: Any, provision: Provision, connect: Any) -> None:
    config, other = provision("by-tls"), provision("other-tls")
    assert config.port == shared_fleet.state.endpoints().tls_port
    # Whatever it calls itself: neither the other's topics nor its connection are to be had.
    connect(other)
    device = connect(config, user="other-tls")
    online(device)
    for name in ("other-tls", "by-tls"):
        conn = encode(Conn(boot=1, conn=1, state=ConnState.ONLINE))
        device.client.publish(f"tf/1/{name}/conn", conn, qos=1, retain=True).wait_for_publish(10)
    wait_for("its word to count", lambda: shared_fleet.client.device("by-tls").device.state == "ONLINE")
    assert shared_fleet.client.device("other-tls").device.state == "UNKNOWN"


@pytest.mark.parametrize("way", ["revoke", "remove"])
def test_a_revoked_device_is_out_at_once_and_the_others_are_not(
    shared_fleet: Any, provision: Provision, connect: Any, refused: Any, way: str
) -> None:
    config, other = provision(f"{way}-1"), provision(f"{way}-2")
    device, neighbour = connect(config), connect(other)
    online(device), online(neighbour)
    device.client.reconnect_delay_set(30, 30)
    take_away = shared_fleet.client.revoke_device if way == "revoke" else shared_fleet.client.remove_device
    take_away(f"{way}-1")
    assert device.lost.wait(10), "a list of revoked certificates alone leaves the live session up"
    assert refused(config)
    assert not neighbour.lost.is_set()
    # Another list replaces the one before, and holds it.
    take_away(f"{way}-2")
    assert neighbour.lost.wait(10)
    assert refused(config) and refused(other)
    back = provision(f"{way}-1")
    online(connect(back))


def test_without_a_certificate_nobody_comes_in(
    shared_fleet: Any, provision: Provision, trusting: Any
) -> None:
    config = provision("by-tls")
    with (
        socket.create_connection(("127.0.0.1", config.port), 10) as plain,
        pytest.raises(ssl.SSLError, match="alert"),
    ):
        trusting().wrap_socket(plain)
    # Nor does its password open the other door, where nothing is asked but that.
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(config.user, config.password.decode())
    answers: list[str] = []
    client.on_connect = lambda _c, _d, _f, code, _p: answers.append(str(code))
    client.connect("127.0.0.1", shared_fleet.state.endpoints().broker_port)
    client.loop_start()
    wait_for("the answer", lambda: bool(answers))
    client.disconnect()
    client.loop_stop()
    assert answers[0] == "Not authorized"


def test_what_is_secret_is_the_owners_alone(shared_fleet: Any, provision: Provision) -> None:
    state, config = shared_fleet.state, provision("by-tls")
    for path in (state.authority_key, state.broker / "broker.key", state.broker / "revoked.pem"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert config.tls is not None
    assert config.tls.key.hex() not in repr(config)
