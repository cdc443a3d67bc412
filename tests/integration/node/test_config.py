"""Another configuration by `want`: kept when the broker was reached with it, else the old one comes back."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
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
from tinyfleet.wire.enums import ConnState, EventKind, Result, UpdateState
from tinyfleet.wire.messages import Birth, ConfigChange, ConfigReport, Conn, Event, NodeConfig, Status, Want
from tinyfleet.wire.records import decode_record

pytestmark = [pytest.mark.qemu, pytest.mark.broker]
SECRET = bytes(range(32))
REFUSED_S = 60.0


@pytest.fixture
def other_port() -> int:
    return free_port()


@pytest.fixture
def tls_port() -> int:
    return free_port()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority.pem", SECRET)


@pytest.fixture
def broker(tmp_path: Path, authority: Authority, other_port: int, tls_port: int) -> Iterator[Mosquitto]:
    """One broker with three doors: two in the clear, one by TLS."""
    identity = authority.broker()
    lines = [*BROKER_LIMITS, f"listener {other_port} {LOOPBACK}", f"listener {tls_port} {LOOPBACK}"]
    files = {"cafile": identity.authority, "certfile": identity.certificate, "keyfile": identity.key}
    for option, content in files.items():
        (tmp_path / option).write_bytes(content)
        lines.append(f"{option} {tmp_path / option}")
    lines += ["require_certificate true", "tls_version tlsv1.2"]
    server = Mosquitto(tmp_path / "broker", {"manager": PASSWORD, DEVICE: PASSWORD}, lines)
    server.start()
    yield server
    server.end()


def configured(sequence: int) -> Any:
    return lambda birth: birth.config is not None and birth.config.sequence == sequence


def refused(sequence: int) -> Any:
    return lambda birth: birth.config is not None and birth.config.refused == sequence


def test_another_address_is_kept_over_power_cuts(node: Node, manager: Manager, other_port: int) -> None:
    assert manager.heard(Birth)[-1].config == ConfigReport(sequence=0)
    change = ConfigChange(sequence=1, port=other_port, keepalive_s=20, period_s=2)
    manager.want(Want(generation=0, config=change))
    birth = manager.wait(Birth, configured(1))
    assert birth.period_s == 2
    node.console(f"config: using 1, broker .*:{other_port}")
    written = decode_record(NodeConfig, node.read("config_b", 32 * 1024))
    before = decode_record(NodeConfig, node.read("config_a", 32 * 1024))
    assert written == replace(before, port=other_port, keepalive_s=20, period_s=2, sequence=1)

    node.emulator.kill()
    manager.forget()
    node.start()
    assert manager.wait(Birth, lambda b: b.boot > birth.boot).config == ConfigReport(sequence=1)
    # And the next one goes to the other region.
    manager.want(Want(generation=0, config=ConfigChange(sequence=2, port=node.port)))
    manager.wait(Birth, configured(2))
    assert decode_record(NodeConfig, node.read("config_a", 32 * 1024)).port == node.port
    assert len(manager.heard(Conn)) >= 2


def test_an_address_where_nobody_listens_is_not_kept(node: Node, manager: Manager, first: Release) -> None:
    change = ConfigChange(sequence=7, port=free_port())
    manager.blob(first.blob)
    manager.want(Want(generation=0, config=change))
    birth = manager.wait(Birth, refused(7), REFUSED_S)
    expected = ConfigReport(sequence=0, refused=7, result=Result.CONNECTION_LOST, detail="connection lost")
    assert birth.config == expected
    # It was away, and the manager was told; it is back, and as able as before, though the want is retained.
    assert [conn.state for conn in manager.heard(Conn)][-3:] == [
        *(ConnState.ONLINE, ConnState.LOST, ConnState.ONLINE)
    ]
    manager.want(first.want(1, config=change))
    manager.wait(Status, lambda status: status.state is UpdateState.CONFIRMED)
    assert node.emulator.console().count("config: using 7") == 1


def test_a_power_cut_in_a_trial_costs_an_attempt(node: Node, manager: Manager) -> None:
    manager.want(Want(generation=0, config=ConfigChange(sequence=3, port=free_port())))
    node.console("config: using 3")
    node.emulator.kill()
    node.start()
    node.console("config: 3 is on trial, attempt [2-5]")
    assert manager.wait(Birth, refused(3), REFUSED_S).config is not None
    node.console("config: using 0")


@pytest.fixture
def tls_node(
    bare_node: Node, workshop: Workshop, authority: Authority, tls_port: int, manager: Manager
) -> Node:
    binary = built(BOARD.parent / "mps2-an386-tls/apps/node/node.bin").read_bytes()
    bare_node.firmware = workshop.sign_firmware(binary, "0.1.0")
    bare_node.provision(port=tls_port, tls=authority.device(DEVICE, 1))
    bare_node.start()
    manager.wait(Birth)
    return bare_node


def test_another_certificate_for_the_key_it_has(
    tls_node: Node, manager: Manager, authority: Authority, tmp_path: Path
) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    renewed = authority.renewed(DEVICE, 1, 1, today, 30)
    manager.want(Want(generation=0, config=ConfigChange(sequence=1, tls=renewed)))
    manager.wait(Birth, configured(1))
    tls = decode_record(NodeConfig, tls_node.read("config_b", 32 * 1024)).tls
    assert tls == replace(authority.device(DEVICE, 1), certificate=renewed.certificate, day=renewed.day)

    # One of an authority that the broker does not know, and trust in it, reach nobody.
    other = Authority(tmp_path / "other.pem", bytes(32))
    foreign = replace(
        other.renewed(DEVICE, 1, 1, today),
        ca_name=other.device(DEVICE, 1).ca_name,
        ca_key=other.device(DEVICE, 1).ca_key,
    )
    manager.want(Want(generation=0, config=ConfigChange(sequence=2, tls=foreign)))
    birth = manager.wait(Birth, refused(2), REFUSED_S)
    why = "the broker's certificate is not of our authority"
    assert birth.config == ConfigReport(sequence=1, refused=2, result=Result.CONNECTION_LOST, detail=why)
    told = manager.wait(Event, lambda event: event.kind is EventKind.LOG)
    assert told.text == f"tls: {why}, 5 times"


def test_tls_where_there_is_no_key_is_refused(node: Node, manager: Manager, authority: Authority) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    change = ConfigChange(sequence=1, tls=authority.renewed(DEVICE, 1, 1, today))
    manager.want(Want(generation=0, config=change))
    birth = manager.wait(Birth, refused(1))
    assert birth.config == ConfigReport(
        sequence=0, refused=1, result=Result.UNSUPPORTED_TYPE, detail="this node has no key for TLS"
    )
    assert len([conn for conn in manager.heard(Conn) if conn.state is ConnState.LOST]) == 0
