"""Configurations changed over the air: what is wanted, beside rollouts, and what the device made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.unit.fleet.fleet_rig import BIRTH, TYPE, Rig
from tests.unit.fleet.test_registry import CONNECTION, NoBroker

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.core import flash
from tinyfleet.fleet.core.errors import BadInput, NotFound
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.configurations import (
    Change,
    Configuration,
    Configurations,
    ConfigurationState,
)
from tinyfleet.fleet.services.registry import Registry
from tinyfleet.wire.enums import Result
from tinyfleet.wire.memory_map import MPS2_AN386
from tinyfleet.wire.messages import ConfigChange, ConfigReport, NodeConfig, Sleep, Want
from tinyfleet.wire.records import decode_record
from tinyfleet.wire.topics import TopicKind

BY_TLS = replace(CONNECTION, tls_port=8883, tls=True)


class Fleet:
    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.users = NoBroker()
        authority = Authority(folder / "authority.pem", bytes(32))
        self.registry = Registry(
            rig.store,
            rig.clock,
            rig.rollouts,
            Access(rig.store, self.users, bytes(32), authority),
            trusted_keys=lambda: (bytes(32),),
            certificates=authority,
        )
        self.configurations = Configurations(rig.store, rig.clock, rig.rollouts, authority)
        self.births = 0

    def provision(self, **connection: Any) -> NodeConfig:
        done = self.registry.provision(
            "d1", site="s", device_type=TYPE, connection=replace(BY_TLS, **connection)
        )
        return decode_record(NodeConfig, done.config)

    def rotate(self, **change: Any) -> Configuration:
        return self.configurations.rotate("d1", Change(**change))

    def born(self, **report: Any) -> Configuration:
        self.births += 1
        config = ConfigReport(**report) if report else None
        self.rig.say("d1", TopicKind.BIRTH, replace(BIRTH, seq=self.births, config=config))
        return self.registry.get("d1").configuration

    def wanted(self) -> ConfigChange:
        want = self.rig.want("d1")
        assert want is not None and want.config is not None
        return want.config


@pytest.fixture
def fleet(rig: Rig, tmp_path: Path) -> Fleet:
    made = Fleet(rig, tmp_path)
    made.provision()
    return made


def certificate(der: bytes | None) -> x509.Certificate:
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_a_certificate_is_renewed_for_the_same_key(fleet: Fleet) -> None:
    before = fleet.provision().tls
    assert before is not None
    view = fleet.rotate(days=30)
    assert (view.state, view.wanted) == (ConfigurationState.UNKNOWN, 1)
    wanted = fleet.wanted()
    assert wanted.tls is not None and wanted.host is None and wanted.tls.ca_key is None
    old, new = certificate(before.certificate), certificate(wanted.tls.certificate)
    assert new.public_key() == old.public_key() and new.subject == old.subject
    assert new.serial_number != old.serial_number
    assert (new.not_valid_after_utc - new.not_valid_before_utc).days == 30
    # Its private key is nowhere in what travels.
    fleet.rig.publish()
    assert all(before.key not in payload for payload in fleet.rig.broker.values())


def test_what_the_device_makes_of_it_is_shown(fleet: Fleet) -> None:
    assert fleet.born().state is ConfigurationState.UNKNOWN
    assert fleet.born(sequence=0).state is ConfigurationState.IN_USE
    assert fleet.rotate(port=2000).state is ConfigurationState.PENDING
    view = fleet.born(sequence=0, refused=1, result=Result.CONNECTION_LOST, detail="no answer in time")
    assert view == Configuration(
        state=ConfigurationState.REFUSED,
        wanted=1,
        in_use=0,
        refused=1,
        result=Result.CONNECTION_LOST,
        detail="no answer in time",
    )
    assert fleet.rotate(port=3000).state is ConfigurationState.PENDING
    view = fleet.born(sequence=2, refused=1, result=Result.CONNECTION_LOST)
    assert (view.state, view.in_use) == (ConfigurationState.IN_USE, 2)


def test_what_was_not_answered_yet_is_asked_for_again_and_what_was_refused_is_not(fleet: Fleet) -> None:
    fleet.born(sequence=0)
    fleet.rotate(port=2000)
    fleet.rotate(keepalive_s=60)
    assert (fleet.wanted().port, fleet.wanted().keepalive_s) == (2000, 60)
    fleet.born(sequence=0, refused=2)
    fleet.rotate(keepalive_s=90)
    assert (fleet.wanted().port, fleet.wanted().keepalive_s) == (None, 90)
    assert fleet.wanted().sequence == 3
    fleet.born(sequence=3)
    fleet.rotate(sntp="10.0.2.2:1123")
    assert (fleet.wanted().keepalive_s, fleet.wanted().sntp) == (None, "10.0.2.2:1123")


def test_what_was_asked_for_before_the_first_birth_is_kept(fleet: Fleet) -> None:
    fleet.rotate(port=2000)
    fleet.rotate(keepalive_s=60)
    assert (fleet.wanted().port, fleet.wanted().keepalive_s) == (2000, 60)


def test_days_of_a_certificate_that_is_not_there_are_refused(fleet: Fleet) -> None:
    fleet.provision(tls=False)
    with pytest.raises(BadInput, match=r"d1 has no certificate.*30 days"):
        fleet.rotate(days=30, port=2000)


def test_a_period_that_was_provisioned_is_the_newest_word_too(fleet: Fleet, rig: Rig) -> None:
    rig.release()
    fleet.born(sequence=0)
    rig.rollouts.start("demo")
    fleet.provision(period_s=60)
    want = rig.want("d1")
    assert want is not None and want.model is not None and want.period_s == 60


def test_it_goes_beside_rollouts_and_sleep(fleet: Fleet, rig: Rig) -> None:
    rig.release()
    fleet.born(sequence=0)
    rig.rollouts.set_sleep("d1", Sleep(wake_s=60))
    fleet.rotate(period_s=30)
    summary = rig.rollouts.start("demo")
    want = rig.want("d1")
    assert want is not None and want.model is not None and want.sleep == Sleep(wake_s=60)
    assert want.config is not None and want.config.sequence == 1
    assert want.period_s == 30, "the device may not have said so yet"
    before = want
    fleet.rotate(period_s=20)
    want = rig.want("d1")
    assert want is not None and want.config is not None
    assert replace(want, config=None) == replace(before, config=None, period_s=20)
    assert (want.config.sequence, want.config.period_s) == (2, 20)
    rig.rollouts.cancel(summary.id)
    want = rig.want("d1")
    assert want is not None and want.model is None and want.config is not None


def test_provisioning_is_the_newest_word(fleet: Fleet, rig: Rig) -> None:
    fleet.rotate(port=2000)
    config = fleet.provision()
    assert (config.port, config.sequence) == (BY_TLS.tls_port, 1)
    assert fleet.provision() == config
    want = rig.want("d1")
    assert want == Want(generation=1)
    # Numbers go on: what the node refused or used before is never taken for something new.
    assert fleet.rotate(port=2100).wanted == 2


def test_flash_is_made_to_use_what_was_provisioned() -> None:
    map_ = MPS2_AN386
    content = bytearray(flash.blank(map_))
    records: dict[str, Any] = {"trust": b"t" * 16, "config": b"c" * 16, "replay": None}
    flash.apply(map_, content, flash.plan(map_, bytes(content), **records))
    assert flash.plan(map_, bytes(content), **records) == []
    # A node that was given another one by a want says in these sectors that it uses region B.
    content[map_["config_state_b"].offset : map_["config_state_b"].offset + 4] = b"TFR1"
    assert flash.plan(map_, bytes(content), **records) == []
    writes = flash.plan(map_, bytes(content), **records | {"config": b"d" * 16})
    assert [write.region for write in writes] == ["config_state_b", "config_a"]
    flash.apply(map_, content, writes)
    region = map_["config_state_b"]
    assert set(content[region.offset : region.end]) == {0xFF}


def test_a_removed_device_leaves_no_certificate_at_the_broker(fleet: Fleet, rig: Rig) -> None:
    fleet.rotate(days=30)
    renewed = certificate(fleet.wanted().tls.certificate if fleet.wanted().tls else None)
    fleet.registry.remove("d1")
    assert rig.want("d1") is None
    assert renewed.serial_number in fleet.users.revoked
    fleet.provision()
    assert rig.want("d1") is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"host": "broker.local"}, "host"),
        ({"port": 65_536}, "port"),
        ({"sntp": "10.0.2.2:0"}, "sntp"),
    ],
)
def test_bad_values_change_nothing(fleet: Fleet, rig: Rig, change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        fleet.rotate(**change)
    assert rig.want("d1") is None
    assert fleet.rotate(port=2000).wanted == 1


def test_there_must_be_something_to_change(fleet: Fleet, rig: Rig) -> None:
    fleet.provision(tls=False)
    with pytest.raises(BadInput, match="no certificate to rotate"):
        fleet.rotate()
    assert fleet.rotate(keepalive_s=30).wanted == 1
    assert fleet.wanted().tls is None
    with pytest.raises(NotFound):
        fleet.configurations.rotate("nobody", Change())


def test_old_managers_rows_are_read(rig: Rig) -> None:
    """A database of before knows nothing of enrolments: nobody is by TLS, nobody was revoked."""
    with rig.store.read() as tx:
        assert tx.enrolments.get("d1").sequence == 0 and not tx.enrolments.get("d1").tls
        assert tx.enrolments.revoked() == []


def test_names_are_told_apart(fleet: Fleet, rig: Rig) -> None:
    """`_` and `-` are part of names, not wildcards."""
    for name in ("a_b", "axb"):
        fleet.registry.provision(name, site="s", device_type=TYPE, connection=BY_TLS)
    fleet.registry.revoke("a_b")
    with rig.store.read() as tx:
        assert [each.device for each in tx.enrolments.revoked()] == ["a_b"]
