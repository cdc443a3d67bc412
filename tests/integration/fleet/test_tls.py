"""The broker's door for devices by TLS: a certificate of this fleet and the device's password, or nothing."""

from __future__ import annotations

import base64
import socket
import ssl
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
from tinyfleet.wire.messages import NodeConfig
from tinyfleet.wire.records import decode_record

pytestmark = pytest.mark.broker


class Device:
    """A client with the records of a device, on the TLS port."""

    def __init__(self, config: NodeConfig, context: ssl.SSLContext, password: bytes) -> None:
        self.connack: str | None = None
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(config.user, password.decode())
        self.client.tls_set_context(context)
        self.client.on_connect = lambda _c, _d, _f, code, _p: setattr(self, "connack", str(code))
        self.client.connect("127.0.0.1", config.port)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def config(shared_fleet: Any) -> NodeConfig:
    order = ProvisionIn(id="by-tls", device_type="mps2-an386", tls=True)
    done = shared_fleet.client.provision(order)
    assert shared_fleet.client.provision(order).config == done.config, "the same every time"
    return decode_record(NodeConfig, base64.b64decode(done.config))


@pytest.fixture
def context(shared_fleet: Any) -> ssl.SSLContext:
    """Trusts the fleet's authority, shows nothing. Names are the node's to check: here it is an address."""
    made = ssl.create_default_context(cafile=str(shared_fleet.state.broker / "authority.pem"))
    made.check_hostname = False
    # What nodes speak; also, a refused certificate ends the handshake and not what follows it.
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    return made


@pytest.fixture
def connect(context: ssl.SSLContext) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def make(config: NodeConfig, password: bytes | None = None) -> Device:
        made.append(Device(config, context, config.password if password is None else password))
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


def test_certificate_and_password_let_a_device_in_until_it_is_removed(
    shared_fleet: Any, config: NodeConfig, context: ssl.SSLContext, connect: Any, tmp_path: Path
) -> None:
    assert config.port == shared_fleet.state.endpoints().tls_port
    show(context, config, tmp_path)
    wrong = connect(config, b"wrong")
    wait_for("the answer", lambda: wrong.connack)
    assert wrong.connack == "Not authorized"
    wrong.close()
    device = connect(config)
    wait_for("the device to be in", lambda: device.connack == "Success")
    shared_fleet.client.remove_device("by-tls")
    wait_for("the removed device to be thrown out", lambda: device.connack == "Not authorized")


def test_a_password_alone_is_not_enough(config: NodeConfig, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection(("127.0.0.1", config.port), 10) as plain,
        pytest.raises(ssl.SSLError, match="alert"),
    ):
        context.wrap_socket(plain)


def test_what_is_secret_is_the_owners_alone(shared_fleet: Any, config: NodeConfig) -> None:
    state = shared_fleet.state
    for path in (state.authority_key, state.broker / "broker.key"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert config.tls is not None
    assert config.tls.key.hex() not in repr(config)
