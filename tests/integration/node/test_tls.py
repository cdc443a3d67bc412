"""Node and broker show each other certificates of the fleet's authority, or do not speak."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.node.conftest import (
    BOARD,
    BROKER_LIMITS,
    DEVICE,
    PASSWORD,
    Manager,
    Node,
    Release,
    Workshop,
    built,
)
from tests.servers import LOOPBACK, Mosquitto, free_port

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.wire.enums import UpdateState
from tinyfleet.wire.limits import GROUP_BYTES
from tinyfleet.wire.messages import Birth, Sleep, Status

pytestmark = [pytest.mark.qemu, pytest.mark.broker]
SECRET = bytes(range(32))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority.pem", SECRET)


@pytest.fixture
def tls_port() -> int:
    return free_port()


@pytest.fixture
def broker(tmp_path: Path, authority: Authority, tls_port: int) -> Iterator[Mosquitto]:
    """The test's manager comes in the clear, nodes by a listener as the fleet writes it."""
    identity = authority.broker()
    files = {"cafile": identity.authority, "certfile": identity.certificate, "keyfile": identity.key}
    lines = [*BROKER_LIMITS, f"listener {tls_port} {LOOPBACK}"]
    for option, content in files.items():
        (tmp_path / option).write_bytes(content)
        lines.append(f"{option} {tmp_path / option}")
    lines += ["require_certificate true", "tls_version tlsv1.2", "use_username_as_clientid true"]
    server = Mosquitto(tmp_path / "broker", {"manager": PASSWORD, DEVICE: PASSWORD}, lines)
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="session")
def tls_firmware(workshop: Workshop) -> bytes:
    binary = built(BOARD.parent / "mps2-an386-tls/apps/node/node.bin").read_bytes()
    return workshop.sign_firmware(binary, "0.1.0")


@pytest.fixture
def provision(
    bare_node: Node, tls_firmware: bytes, authority: Authority, tls_port: int
) -> Callable[..., Node]:
    def make(**changes: Any) -> Node:
        """A node for the broker of this test, with the build that has TLS, started."""
        tls = replace(authority.device(DEVICE, 1), **changes)
        bare_node.firmware = tls_firmware
        bare_node.provision(port=tls_port, tls=tls)
        bare_node.start()
        return bare_node

    return make


def test_an_update_over_tls_and_back_after_the_broker(
    provision: Callable[..., Node], broker: Mosquitto, manager: Manager, second: Release
) -> None:
    node = provision()
    node.console(r"tls: open after \d+ us")
    manager.wait(Birth)
    manager.blob(second.blob)
    manager.want(second.want(1))
    manager.wait(Status, lambda status: status.state is UpdateState.CONFIRMED)

    broker.end(signal.SIGKILL)
    node.console("mqtt: connection lost")
    manager.forget()
    broker.start()
    manager.wait_until_connected()
    manager.wait(Birth, lambda birth: birth.model is not None)


def test_the_least_budget_of_a_wake_suffices_over_tls(
    provision: Callable[..., Node], manager: Manager, second: Release
) -> None:
    """A handshake each time, and still a group of the download."""
    policy = Sleep(wake_s=1, budget_bytes=GROUP_BYTES * 5 // 4 + 6144)
    provision()
    manager.blob(second.blob)
    manager.want(second.want(1, sleep=policy))
    manager.wait(Status, lambda status: status.state is UpdateState.CONFIRMED, timeout_s=60)
    deferred = [each.offset_bytes for each in manager.heard(Status) if each.state is UpdateState.DEFERRED]
    assert len(deferred) >= second.blob.groups // 2


def test_a_broker_of_another_authority_learns_nothing(
    provision: Callable[..., Node], tmp_path: Path, manager: Manager
) -> None:
    other = Authority(tmp_path / "other.pem", bytes(32)).device(DEVICE, 1)
    node = provision(ca_name=other.ca_name, ca_key=other.ca_key)
    node.console("tls: the broker's certificate is not of our authority")
    assert manager.heard(Birth) == []


def test_a_name_alone_does_not_make_an_authority(
    provision: Callable[..., Node], tmp_path: Path, manager: Manager
) -> None:
    other = Authority(tmp_path / "other.pem", bytes(32)).device(DEVICE, 1)
    node = provision(ca_key=other.ca_key)
    node.console("tls: the broker's certificate is not of our authority|tls: the handshake failed")
    assert manager.heard(Birth) == []


def test_a_broker_that_bears_another_name_is_none(provision: Callable[..., Node], manager: Manager) -> None:
    node = provision(server="broker.elsewhere")
    node.console("tls: the broker's certificate bears another name")
    assert manager.heard(Birth) == []


def test_a_certificate_beyond_its_time_is_none(provision: Callable[..., Node], manager: Manager) -> None:
    node = provision(day=60_000)
    node.console("tls: the broker's certificate is not valid on our day")
    assert manager.heard(Birth) == []


def test_a_node_of_another_authority_is_not_let_in(
    provision: Callable[..., Node], tmp_path: Path, manager: Manager
) -> None:
    other = Authority(tmp_path / "other.pem", bytes(32)).device(DEVICE, 1)
    node = provision(certificate=other.certificate, key=other.key)
    node.console("tls: the broker refused")
    assert manager.heard(Birth) == []


def test_a_build_without_tls_never_goes_on_in_the_clear(
    bare_node: Node, authority: Authority, manager: Manager
) -> None:
    bare_node.provision(tls=authority.device(DEVICE, 1))
    bare_node.start()
    bare_node.console("stopped: config record: asks for TLS, which this firmware was built without")
    assert manager.heard(Birth) == []
