"""An agent and the boards it speaks for at the broker's TLS port: in, out, and why not."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.servers import wait_for

from tinyfleet.agent.adapters.bridge_files import read_access
from tinyfleet.agent.adapters.device_links import DeviceLinks
from tinyfleet.agent.adapters.mqtt import Broker, Publisher, read_credentials
from tinyfleet.agent.services.bridge_ports import Incoming, LinkDown, LinkUp
from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench, Board

pytestmark = pytest.mark.broker
BOARD = Board(name="b1", device_type="microbit", state=BoardState.READY, emulated=True)
Start = Callable[[Broker], Publisher]
Register = Callable[..., Broker]


@pytest.fixture
def register(shared_fleet: Any, tmp_path: Path) -> Register:
    """As a person does it: by the command, through its file."""

    def make(name: str, *options: str) -> Broker:
        path = tmp_path / f"{name}.json"
        done = shared_fleet.cli("agent", "register", name, "--out", str(path), *options)
        assert done.returncode == 0, done.stderr
        assert path.stat().st_mode & 0o077 == 0
        return read_credentials(path)

    return make


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Publisher] = []

    def run(broker: Broker) -> Publisher:
        publisher = Publisher(broker, Bench(seq=0, state=ConnState.ONLINE, boards=(BOARD,)))
        publisher.start()
        started.append(publisher)
        return publisher

    yield run
    for publisher in started:
        publisher.stop()


def state_of(fleet: Any, agent: str) -> str | None:
    return next((each.state for each in fleet.client.agents() if each.id == agent), None)


def trouble(publisher: Publisher) -> str:
    return wait_for("a reason", lambda: publisher.door.trouble) or ""


def test_an_agent_tells_its_boards_by_tls_in_its_own_name_alone(
    shared_fleet: Any, register: Register, start: Start
) -> None:
    broker = register("tls-1", "--tls")
    endpoints = shared_fleet.state.endpoints()
    assert (broker.port, broker.password) == (endpoints.tls_port, "")
    publisher = start(broker)
    wait_for("the agent", lambda: state_of(shared_fleet, "tls-1") == "ONLINE")
    assert publisher.connected and publisher.door.trouble is None
    # Whatever it calls itself, the certificate says whose topics are its.
    register("tls-2", "--tls")
    other = start(replace(broker, agent="tls-2", user="tls-2"))
    wait_for("it to be in", lambda: other.connected)
    publisher.stop()
    wait_for("its last word", lambda: state_of(shared_fleet, "tls-1") == "LOST")
    assert state_of(shared_fleet, "tls-2") is None


def test_a_revoked_agent_is_out_at_once_and_told_why(
    shared_fleet: Any, register: Register, start: Start
) -> None:
    publisher = start(register("tls-3", "--tls"))
    wait_for("the agent", lambda: state_of(shared_fleet, "tls-3") == "ONLINE")
    done = shared_fleet.cli("agent", "revoke", "tls-3")
    assert "tls-3 may not connect any more" in done.stdout, done.stderr
    wait_for("its will", lambda: state_of(shared_fleet, "tls-3") == "LOST")
    assert "refuses this certificate: it was revoked; `tinyfleet agent register tls-3 --tls" in wait_for(
        "the reason",
        lambda: publisher.door.trouble if "revoked" in (publisher.door.trouble or "") else None,
    )
    start(register("tls-3", "--tls"))
    wait_for("it with another certificate", lambda: state_of(shared_fleet, "tls-3") == "ONLINE")


def test_what_is_wrong_is_said_and_nothing_goes_in_the_clear(
    shared_fleet: Any, register: Register, start: Start, tmp_path: Path
) -> None:
    broker = register("tls-4", "--tls")
    tls = broker.tls
    assert tls is not None
    other = Authority(tmp_path / "other.pem", bytes(32))
    own = Authority(shared_fleet.state.authority_key, shared_fleet.state.secret())
    ended = own.client("tls-4", 1, own.renewed("tls-4", 1, 0, datetime.date(2025, 3, 1), 1))
    stranger = other.client("tls-4", 1)
    plain = shared_fleet.state.endpoints().broker_port
    wrong = {
        "is not of this fleet's authority": replace(broker, tls=replace(tls, authority=stranger.authority)),
        "does not bear the name elsewhere.tinyfleet": replace(
            broker, tls=replace(tls, server="elsewhere.tinyfleet")
        ),
        "its time is over": replace(broker, tls=replace(tls, certificate=ended.certificate, key=ended.key)),
        "it is of another fleet's authority": replace(
            broker, tls=replace(tls, certificate=stranger.certificate, key=stranger.key)
        ),
        "is that the broker's tls_port?": replace(broker, port=plain),
        "can it be reached?": replace(broker, port=1),
    }
    publishers = {said: start(each) for said, each in wrong.items()}
    for said, publisher in publishers.items():
        told = trouble(publisher)
        assert said in told
        assert "restart the agent" in told or "tinyfleet up" in told
        assert not publisher.connected
    assert state_of(shared_fleet, "tls-4") is None


def test_a_password_that_is_good_no_more_is_said(shared_fleet: Any, register: Register, start: Start) -> None:
    plain = register("tls-5")
    register("tls-5", "--tls")
    publisher = start(plain)
    assert "does not know these credentials; `tinyfleet agent register tls-5 [--tls] --out" in trouble(
        publisher
    )


def test_a_bridged_device_comes_by_tls_and_is_out_when_it_is_revoked(
    shared_fleet: Any, register: Register, tmp_path: Path
) -> None:
    register("tls-6", "--tls")
    path = tmp_path / "barn-1.json"
    kind = ("--agent", "tls-6", "--device-type", "microbit", "--tls", "--days", "90")
    done = shared_fleet.cli("device", "bridge", "barn-1", *kind, "--out", str(path))
    assert done.returncode == 0, done.stderr
    access = read_access(path)
    assert access.tls is not None
    assert access.tls.validity.last_s - access.tls.validity.first_s == 90 * 86_400
    assert json.loads(path.read_text())["password"] == ""
    links = DeviceLinks()
    link = links.link(access)
    came: list[Incoming] = []
    try:
        link.open(1, came.append)
        wait_for("the device", lambda: shared_fleet.client.device("barn-1").device.state == "ONLINE")
        assert came == [LinkUp()] and link.door.trouble is None
        shared_fleet.client.revoke_device("barn-1")
        wait_for("its end", lambda: LinkDown() in came)
        told = wait_for(
            "the reason", lambda: link.door.trouble if "revoked" in (link.door.trouble or "") else None
        )
        assert "tinyfleet device bridge barn-1 --agent tls-6 --device-type microbit --tls" in (told or "")
    finally:
        link.close()
        assert link.wait()
        links.stop()
