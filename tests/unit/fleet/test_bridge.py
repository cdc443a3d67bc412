"""Boards without a network, for which an agent speaks: devices as any other, and everybody sees by whom."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from tests.unit.fleet.fleet_rig import BIRTH, TYPE, Rig
from tests.unit.fleet.test_registry import NoBroker

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.adapters.prometheus.metrics import FleetCollector, exposition
from tinyfleet.fleet.api import show
from tinyfleet.fleet.core import credentials
from tinyfleet.fleet.core.errors import BadInput, Conflict, NotFound
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.ports import Agent
from tinyfleet.fleet.services.registry import Bridged, Connection, Registry
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Conn
from tinyfleet.wire.topics import TopicKind

CONNECTION = Connection(host="127.0.0.1", port=1883, prefix="tf/1", keepalive_s=15, period_s=10)
KEY = hashlib.sha256(b"key").digest()


@pytest.fixture
def users() -> NoBroker:
    return NoBroker()


@pytest.fixture
def registry(rig: Rig, users: NoBroker, tmp_path: Path) -> Registry:
    authority = Authority(tmp_path / "authority.pem", bytes(32))
    with rig.store.write() as tx:
        tx.agents.put(Agent(id="bench-1", site="lab"))
    return Registry(
        rig.store,
        rig.clock,
        rig.rollouts,
        Access(rig.store, users, bytes(32), authority),
        trusted_keys=lambda: (KEY,),
        certificates=authority,
    )


def bridge(registry: Registry, connection: Connection = CONNECTION, agent: str = "bench-1") -> Bridged:
    return registry.bridge("d1", agent=agent, site="s", device_type=TYPE, connection=connection)


def test_a_bridged_device_has_a_user_of_its_own_and_the_fleets_trust(
    registry: Registry, users: NoBroker
) -> None:
    done = bridge(registry)
    assert (done.device.id, done.agent, done.trust) == ("d1", "bench-1", (KEY,))
    config = done.config
    assert (config.host, config.port, config.user, config.period_s) == ("127.0.0.1", 1883, "d1", 10)
    assert config.password == credentials.password(bytes(32), "d1", done.device.credential)
    assert set(users.passwords) == {"d1"}
    assert config.password.decode() not in repr(done)
    assert bridge(registry) == done, "the same ones every time"


def test_it_needs_an_agent_that_is_registered_and_a_name_that_is_none(
    registry: Registry, users: NoBroker
) -> None:
    with pytest.raises(NotFound, match="tinyfleet agent register bench-2"):
        bridge(registry, agent="bench-2")
    with pytest.raises(BadInput):
        bridge(registry, agent="bench/2")
    with pytest.raises(Conflict, match="is an agent of this fleet"):
        registry.bridge("bench-1", agent="bench-1", site="s", device_type=TYPE, connection=CONNECTION)
    assert users.passwords == {}
    with pytest.raises(BadInput, match="say --tls"):
        registry.bridge("d1", agent="bench-1", site="s", device_type=TYPE, connection=CONNECTION, days=9)


def test_by_tls_it_has_a_certificate_in_its_own_name(registry: Registry, users: NoBroker) -> None:
    connection = replace(CONNECTION, tls=True, tls_port=8883)
    plain, done = bridge(registry), bridge(registry, connection)
    assert bridge(registry, connection) == done, "the same every time"
    assert done.config.port == 8883 and users.passwords == {}
    assert done.tls is not None and done.tls.key not in repr(done)
    certificate = x509.load_pem_x509_certificate(done.tls.certificate.encode())
    assert certificate.subject.rfc4514_string() == "CN=d1"
    order = {"agent": "bench-1", "site": "s", "device_type": TYPE, "connection": connection}
    renewed = registry.bridge("d1", **order, days=30).tls  # type: ignore[arg-type]
    assert renewed is not None
    assert renewed.key == done.tls.key and renewed.certificate != done.tls.certificate
    assert bridge(registry).config.password != plain.config.password, "what was in its flash is good no more"


def test_who_looks_sees_through_whom_it_speaks(registry: Registry, rig: Rig) -> None:
    bridge(registry)
    rig.device("d2")
    for name, via in (("d1", "bench-1"), ("d2", None)):
        rig.say(name, TopicKind.CONN, Conn(boot=1, conn=1, state=ConnState.ONLINE))
        rig.say(name, TopicKind.BIRTH, replace(BIRTH, via=via))
    assert [show.device(view).via for view in registry.all()] == ["bench-1", None]
    collector = FleetCollector(rig.store, rig.clock, rig.ingest.counts, dict, lambda: None, 0)
    text = exposition(collector).decode()
    assert 'tinyfleet_bridged_devices{agent="bench-1",state="ONLINE"} 1.0' in text
    assert 'tinyfleet_bridged_devices{agent="bench-1",state="LOST"} 0.0' in text


def test_without_bridged_devices_there_is_no_series(rig: Rig) -> None:
    rig.device("d1")
    collector = FleetCollector(rig.store, rig.clock, rig.ingest.counts, dict, lambda: None, 0)
    assert "bridged" not in exposition(collector).decode()
