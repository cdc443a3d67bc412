"""TLS to the manager's broker: what is asked of it, what is given away, and what is said when it fails."""

from __future__ import annotations

import asyncio
import datetime
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.servers import LOOPBACK

from tinyfleet.agent.adapters.broker_tls import BrokerDoor, TlsFile
from tinyfleet.agent.adapters.mqtt import read_credentials
from tinyfleet.agent.core.broker import DAY_S, Validity
from tinyfleet.agent.core.errors import AgentError

SERVER = "broker.tinyfleet"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
TIMEOUT_S = 10.0


class Issuer:
    """An authority, and what it certifies."""

    def __init__(self, name: str = "authority") -> None:
        self._name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.authority = self._certificate(name, self.key.public_key(), NOW - DAY, NOW + DAY, ca=True)

    def issued(self, name: str, first: datetime.datetime = NOW - DAY) -> tuple[str, str]:
        """Certificate, good for a day, and key: PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._certificate(name, key.public_key(), first, first + 2 * DAY)
        return pem(made), key_pem(key)

    def client(self, name: str = "lab-1") -> TlsFile:
        certificate, key = self.issued(name)
        return TlsFile(server=SERVER, authority=pem(self.authority), certificate=certificate, key=key)

    def _certificate(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        first: datetime.datetime,
        last: datetime.datetime,
        ca: bool = False,
    ) -> x509.Certificate:
        named, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, self._name)
        )
        builder = x509.CertificateBuilder().subject_name(named).issuer_name(issuer).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(first).not_valid_after(last)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    locked = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode()


class Peer:
    """Takes one connection and does something with it."""

    def __init__(self, act: Callable[[socket.socket], None]) -> None:
        self._door = socket.create_server((LOOPBACK, 0))
        self._door.settimeout(TIMEOUT_S)
        self.port = self._door.getsockname()[1]
        self._act = act
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        link, _ = self._door.accept()
        with link:
            link.settimeout(TIMEOUT_S)
            self._act(link)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(TIMEOUT_S)
        self._door.close()


def reason(door: BrokerDoor, port: int) -> str:
    """Why a connection came to nothing."""

    async def connect() -> None:
        client = aiomqtt.Client(
            LOOPBACK, port, username="lab-1", password=None, timeout=TIMEOUT_S, tls_context=door.context
        )
        async with door.entered(client):
            pass

    with pytest.raises((aiomqtt.MqttError, OSError)) as caught:
        asyncio.run(connect())
    return door.failed(caught.value)


def door_of(issuer: Issuer, port: int) -> BrokerDoor:
    return BrokerDoor(LOOPBACK, port, issuer.client().checked(), "tinyfleet agent register lab-1")


def test_a_broker_whose_certificate_has_ended_is_refused_and_the_clock_asked_for(tmp_path: Path) -> None:
    issuer = Issuer()
    path = tmp_path / "broker.pem"
    path.write_text("\n".join(issuer.issued(SERVER, NOW - 10 * DAY)))

    def shake(link: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        with pytest.raises(OSError):
            context.wrap_socket(link, server_side=True).close()

    with Peer(shake) as peer:
        told = reason(door_of(issuer, peer.port), peer.port)
    assert "is not valid now (certificate has expired); is this machine's clock right?" in told


def test_to_a_port_without_tls_goes_a_handshake_and_nothing_else() -> None:
    heard = bytearray()

    def listen(link: socket.socket) -> None:
        heard.extend(link.recv(4096))
        # MQTT 5's "unsupported protocol version": what a broker's plain port may say to that.
        link.sendall(bytes([0x20, 3, 0, 0x84, 0]))
        while part := link.recv(4096):
            heard.extend(part)

    with Peer(listen) as peer:
        told = reason(door_of(Issuer(), peer.port), peer.port)
    assert "is that the broker's tls_port? Else `tinyfleet agent register lab-1 --tls --out FILE`" in told
    handshake, alert = 0x16, 0x15
    length = 5 + int.from_bytes(heard[3:5], "big")
    assert heard[0] == handshake and (len(heard) == length or heard[length] == alert)
    assert b"lab-1" not in heard and SERVER.encode() in heard


def test_nobody_answers_is_another_reason_and_an_older_one_is_forgotten() -> None:
    with socket.create_server((LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    door = door_of(Issuer(), port)
    assert door.context is not None
    door.context.said = ssl.SSLError("certificate revoked")
    assert "does `tinyfleet up` run there, and can it be reached?" in reason(door, port)


def server_of(issuer: Issuer, folder: Path) -> ssl.SSLContext:
    """A broker's, which wants certificates of that authority."""
    path = folder / "broker.pem"
    path.write_text("\n".join(issuer.issued(SERVER)))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=pem(Issuer("another").authority))
    return made


def refuse(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def act(link: socket.socket) -> None:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(link, server_side=True).close()

    return act


def test_a_refusal_after_the_handshake_is_told_at_once(tmp_path: Path) -> None:
    issuer = Issuer()
    with Peer(refuse(server_of(issuer, tmp_path))) as peer:
        began_s = time.monotonic()
        told = reason(door_of(issuer, peer.port), peer.port)
        assert time.monotonic() - began_s < TIMEOUT_S / 2
    assert "refuses this certificate: it is of another fleet's authority" in told


def test_a_refusal_is_read_by_who_finds_out_when_writing(tmp_path: Path) -> None:
    issuer = Issuer()
    context = door_of(issuer, 1).context
    assert context is not None
    with Peer(refuse(server_of(issuer, tmp_path))) as peer:
        plain = socket.create_connection((LOOPBACK, peer.port), TIMEOUT_S)
        with context.wrap_socket(plain) as link, pytest.raises(OSError):
            while True:
                link.send(bytes(1024))
    assert "UNKNOWN_CA" in str(context.said)


def test_the_fleets_authority_alone_is_trusted_and_old_versions_are_not_spoken() -> None:
    context = door_of(Issuer(), 1).context
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "authority"),),)]


def wrong_key(good: TlsFile) -> TlsFile:
    return good.model_copy(update={"key": Issuer().client().key})


def locked_key(good: TlsFile) -> TlsFile:
    return good.model_copy(update={"key": key_pem(ec.generate_private_key(ec.SECP256R1()), b"word")})


def no_authority(good: TlsFile) -> TlsFile:
    return good.model_copy(update={"authority": ""})


def no_certificate(good: TlsFile) -> TlsFile:
    return good.model_copy(update={"certificate": good.key})


@pytest.mark.parametrize("spoil", [wrong_key, locked_key, no_authority, no_certificate])
def test_what_does_not_go_together_is_found_when_it_is_read(
    spoil: Callable[[TlsFile], TlsFile], tmp_path: Path
) -> None:
    spoilt, path = spoil(Issuer().client()), tmp_path / "agent.json"
    who = {"id": "lab-1", "host": LOOPBACK, "port": 1, "prefix": "tf/1", "user": "lab-1", "password": ""}
    path.write_text(json.dumps({**who, "tls": spoilt.model_dump()}))
    path.chmod(0o600)
    with pytest.raises(AgentError, match="holds no credentials of an agent") as caught:
        read_credentials(path)
    assert "PRIVATE" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_what_is_read_shows_no_key(tmp_path: Path) -> None:
    good, path = Issuer().client(), tmp_path / "agent.json"
    who = {"id": "lab-1", "host": LOOPBACK, "port": 1, "prefix": "tf/1", "user": "lab-1", "password": ""}
    path.write_text(json.dumps({**who, "tls": good.model_dump()}))
    path.chmod(0o600)
    assert "PRIVATE" not in f"{read_credentials(path)!r} {good!r}"
    path.chmod(0o640)
    with pytest.raises(AgentError, match="others may read it; chmod 600"):
        read_credentials(path)


def test_a_password_that_leaves_the_machine_is_warned_of() -> None:
    tls, register = Issuer().client().checked(), "tinyfleet agent register lab-1"
    assert BrokerDoor(LOOPBACK, 1883, None, register).warning is None
    assert BrokerDoor("10.0.0.7", 8883, tls, register).warning is None
    told = BrokerDoor("10.0.0.7", 1883, None, register).warning
    assert told is not None
    assert "10.0.0.7:1883 in the clear; `tinyfleet agent register lab-1 --tls --out FILE`" in told


@pytest.mark.parametrize(
    ("life_days", "left_days", "said"),
    [
        (10_000, 31, None),
        (10_000, 29.5, "ends in 29.5 days"),
        (90, 30.5, None),
        (6, 2.1, None),
        (6, 1.5, "ends in 1.5 days"),
        (6, -0.1, "has ended"),
    ],
)
def test_an_end_that_comes_near_is_told(life_days: float, left_days: float, said: str | None) -> None:
    life = Validity(0, int(life_days * DAY_S))
    assert life.warning(life.last_s - left_days * DAY_S) == said
