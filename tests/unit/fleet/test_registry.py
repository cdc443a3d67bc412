"""Devices that leave, come back or get a new flash: nothing of their past life counts for the new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.unit.fleet.fleet_rig import BIRTH, TYPE, Rig, parts_of, tele, window_of

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.core.errors import NotFound
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.ports import SampleFilter
from tinyfleet.fleet.services.registry import Connection, Registry
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ConnState, EventKind, SmpDoor
from tinyfleet.wire.messages import Conn, Event, NodeConfig
from tinyfleet.wire.records import decode_record
from tinyfleet.wire.topics import TopicKind

CONNECTION = Connection(host="10.0.2.2", port=1883, prefix="tf/1", keepalive_s=15, period_s=1, window_ms=100)


class NoBroker:
    """`then` is what happens as the broker throws out whoever lost its password."""

    def __init__(self) -> None:
        self.then: Callable[[], None] = lambda: None
        self.passwords: dict[str, str] = {}
        self.revoked: set[int] = set()
        self.dates: list[datetime] = []
        self.taken_over: list[str] = []

    def apply(self, passwords: dict[str, str], revocations: bytes) -> None:
        self.passwords = passwords
        listed = x509.load_pem_x509_crl(revocations)
        self.revoked = {each.serial_number for each in listed}
        self.dates.append(listed.last_update_utc)
        self.then()

    def take_over(self, name: str) -> None:
        self.taken_over.append(name)


@pytest.fixture
def users() -> NoBroker:
    return NoBroker()


@pytest.fixture
def registry(rig: Rig, users: NoBroker, tmp_path: Path) -> Registry:
    authority = Authority(tmp_path / "authority.pem", bytes(32))
    return Registry(
        rig.store,
        rig.clock,
        rig.rollouts,
        Access(rig.store, users, bytes(32), authority),
        trusted_keys=lambda: (bytes(32),),
        certificates=authority,
    )


def provision(registry: Registry, **options: Any) -> NodeConfig:
    done = registry.provision("d1", site="s", device_type=TYPE, connection=CONNECTION, **options)
    return decode_record(NodeConfig, done.config)


def live(rig: Rig, model: bytes) -> None:
    """A node's first minute."""
    rig.say("d1", TopicKind.CONN, Conn(boot=1, conn=1, state=ConnState.ONLINE))
    rig.say("d1", TopicKind.BIRTH, BIRTH)
    rig.say("d1", TopicKind.TELE, tele(model, 3, 1))
    rig.say("d1", TopicKind.EVENT, Event(boot=1, seq=1, kind=EventKind.LOG, uptime_ms=5, text="hi"))


def inferences(rig: Rig) -> int:
    with rig.store.read() as tx:
        return sum(each.count for each in tx.telemetry.totals()[0])


@pytest.mark.parametrize("removed", [True, False])
def test_a_new_life_is_counted_from_its_start(rig: Rig, registry: Registry, removed: bool) -> None:
    model = rig.release().image
    provision(registry)
    live(rig, model)
    if removed:
        registry.remove("d1")
    provision(registry, fresh=True)
    assert registry.get("d1").tele is None
    assert registry.get("d1").events == []
    live(rig, model)
    assert inferences(rig) == 8
    assert len(registry.get("d1").events) == 1
    assert rig.ingest.counts.duplicate == 0


def test_a_removed_device_does_not_get_back_in_when_its_name_is_given_again(registry: Registry) -> None:
    first = provision(registry)
    assert provision(registry) == first
    registry.remove("d1")
    again = provision(registry)
    assert (again.password, again.seed) != (first.password, first.seed)
    assert again.password != first.password


def test_what_a_device_left_is_cleared_even_if_the_manager_dies_first(rig: Rig, registry: Registry) -> None:
    """A birth of boot 57 that stays would hide every birth of the new life, which begins at boot 1."""
    birth_topic = rig.topics.device("d1", TopicKind.BIRTH)
    conn_topic = rig.topics.device("d1", TopicKind.CONN)
    provision(registry)
    rig.broker[birth_topic] = encode(replace(BIRTH, boot=57))
    rig.broker[conn_topic] = encode(Conn(boot=57, conn=1, state=ConnState.ONLINE))
    provision(registry, fresh=True)
    # Nothing but the database survives here.
    assert rig.publish()[:2] == [birth_topic, conn_topic]
    assert birth_topic not in rig.broker
    assert conn_topic not in rig.broker


def test_what_was_cleared_is_cleared_once(rig: Rig, registry: Registry) -> None:
    """A broker that lost everything must not be told to clear the births of the new life."""
    provision(registry)
    provision(registry, fresh=True)
    rig.publish()
    rig.cache.connected(None)
    assert rig.topics.device("d1", TopicKind.BIRTH) not in rig.publish()


def test_a_removed_device_leaves_nothing_at_the_broker(rig: Rig, registry: Registry) -> None:
    provision(registry)
    rig.release()
    rig.rollouts.start("demo")
    rig.publish()
    rig.broker[rig.topics.device("d1", TopicKind.BIRTH)] = encode(BIRTH)
    registry.remove("d1")
    rig.publish()
    assert set(rig.broker) == {rig.topics.journal}


def test_a_removed_device_takes_its_windows_and_its_settings_along(rig: Rig, registry: Registry) -> None:
    provision(registry)
    rig.live.capture("d1", classes=(), margin_below=None, per_day=5, day_bytes=1000)
    (part,) = parts_of(window_of(1), bytes(32), size=1000)
    rig.say("d1", TopicKind.SAMPLE, part)
    assert len(rig.samples.newest(SampleFilter(), 5)) == 1
    provision(registry, fresh=True)
    assert len(rig.samples.newest(SampleFilter(), 5)) == 1, "another flash of the same device"
    registry.remove("d1")
    rig.publish()
    assert rig.samples.newest(SampleFilter(), 5) == []
    assert set(rig.broker) == {rig.topics.journal}
    provision(registry)
    assert registry.get("d1").view.device.capture is None and rig.want("d1") is None


def test_the_will_of_a_removed_device_is_cleared_too(rig: Rig, registry: Registry, users: NoBroker) -> None:
    """The broker publishes it when it throws the device out, after what was there may be cleared already."""
    conn = rig.topics.device("d1", TopicKind.CONN)
    provision(registry)

    def throw_out() -> None:
        rig.publish()
        rig.broker[conn] = encode(Conn(boot=1, conn=1, state=ConnState.LOST))

    users.then = throw_out
    registry.remove("d1")
    rig.publish()
    assert conn not in rig.broker


def test_a_device_by_tls_gets_a_certificate_of_its_own_the_same_every_time(registry: Registry) -> None:
    by_tls = replace(CONNECTION, tls_port=8883, tls=True)
    done, again = (
        registry.provision(name, site="s", device_type=TYPE, connection=by_tls) for name in ("d1", "d1")
    )
    assert done.config == again.config
    config = decode_record(NodeConfig, done.config)
    assert config.tls is not None and config.port == 8883
    other = registry.provision("d2", site="s", device_type=TYPE, connection=by_tls)
    tls = decode_record(NodeConfig, other.config).tls
    assert tls is not None and tls.key != config.tls.key and tls.ca_key == config.tls.ca_key

    registry.remove("d1")
    back = registry.provision("d1", site="s", device_type=TYPE, connection=by_tls)
    tls = decode_record(NodeConfig, back.config).tls
    assert tls is not None and tls.key != config.tls.key

    assert provision(registry).tls is None
    assert provision(registry).port == CONNECTION.port


@pytest.mark.parametrize("smp", [None, *SmpDoor])
def test_a_node_opens_smp_only_when_it_is_told_to(registry: Registry, smp: SmpDoor | None) -> None:
    done = registry.provision("d1", site="s", device_type=TYPE, connection=replace(CONNECTION, smp=smp))
    assert decode_record(NodeConfig, done.config).smp is smp


def serial(config: NodeConfig) -> int:
    assert config.tls is not None
    return x509.load_der_x509_certificate(config.tls.certificate).serial_number


def test_by_tls_a_certificate_opens_the_door_and_no_password(registry: Registry, users: NoBroker) -> None:
    provision(registry)
    assert "d1" in users.passwords
    by_tls = replace(CONNECTION, tls_port=8883, tls=True)
    registry.provision("d1", site="s", device_type=TYPE, connection=by_tls)
    assert "d1" not in users.passwords and users.revoked == set()


def test_revoking_takes_certificate_and_connection_and_provisioning_gives_others(
    rig: Rig, registry: Registry, users: NoBroker
) -> None:
    by_tls = replace(CONNECTION, tls_port=8883, tls=True)

    def provisioned() -> NodeConfig:
        done = registry.provision("d1", site="s", device_type=TYPE, connection=by_tls)
        return decode_record(NodeConfig, done.config)

    first = provisioned()
    registry.revoke("d1")
    assert users.revoked == {serial(first)} and users.taken_over == ["d1"]
    second = provisioned()
    assert first.tls is not None and second.tls is not None
    assert second.tls.key != first.tls.key and second.seed != first.seed
    assert serial(second) not in users.revoked
    registry.remove("d1")
    assert users.revoked == {serial(first), serial(second)} and users.taken_over == ["d1", "d1"]
    # The broker takes the newest list it ever read: each that says more is newer than all that said less.
    by_length = sorted(set(users.dates))
    assert len(by_length) == 3 and users.dates == sorted(users.dates)
    with rig.store.read() as tx:
        assert [(each.device, each.credential) for each in tx.enrolments.revoked()] == [("d1", 1), ("d1", 2)]


def test_a_device_that_goes_back_to_the_clear_leaves_no_certificate_that_opens_the_door(
    rig: Rig, registry: Registry, users: NoBroker
) -> None:
    by_tls = replace(CONNECTION, tls_port=8883, tls=True)
    done = registry.provision("d1", site="s", device_type=TYPE, connection=by_tls)
    first = decode_record(NodeConfig, done.config)
    provision(registry)
    assert users.revoked == {serial(first)} and users.taken_over == ["d1"] and "d1" in users.passwords
    again = provision(registry)
    assert users.taken_over == ["d1"] and provision(registry) == again, "the same every time"
    done = registry.provision("d1", site="s", device_type=TYPE, connection=by_tls)
    assert serial(decode_record(NodeConfig, done.config)) not in users.revoked


def test_a_device_in_the_clear_is_revoked_by_its_password(registry: Registry, users: NoBroker) -> None:
    before = provision(registry)
    registry.revoke("d1")
    assert users.passwords == {} and users.revoked == set()
    assert provision(registry).password != before.password
    with pytest.raises(NotFound):
        registry.revoke("nobody")
