"""Devices: ids, births in order, generations that only rise, credentials and flash records."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from tests.unit.fleet import fleet_rig

from tinyfleet.fleet.core import credentials, flash
from tinyfleet.fleet.core.device import Device, check_device_id, check_label, fold_birth, forget_past
from tinyfleet.fleet.core.errors import BadInput, Refused
from tinyfleet.fleet.core.liveness import Evidence
from tinyfleet.wire.memory_map import MPS2_AN386
from tinyfleet.wire.messages import NodeConfig, Trust
from tinyfleet.wire.records import decode_record, encode_record

DEVICE = Device(
    id="n", site="s", device_type="t", generation=4, evidence=Evidence(period_s=1, keepalive_s=15)
)
BIRTH = replace(fleet_rig.BIRTH, boot=2, seq=3, generation=4, period_s=60, emulated=False)
SECRET = bytes(range(32))


@pytest.mark.parametrize(
    "text", ["", "a" * 49, "blob", "fleet", "a/b", "a+", "#", "a b", "ä", "manager.tail"]
)
def test_what_is_no_device_id_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="device id"):
        check_device_id(text)


def test_device_ids_and_labels() -> None:
    assert check_device_id("Node_1-a") == "Node_1-a"
    assert check_label("site", "meadow.2") == "meadow.2"
    for text in ("", "-a", "a b", "a" * 33, 'x"'):
        with pytest.raises(BadInput, match="site"):
            check_label("site", text)


def test_a_birth_not_newer_is_ignored_and_a_newer_one_taken() -> None:
    born = fold_birth(DEVICE, BIRTH, 9.0)
    assert born is not None
    assert (born.device_type, born.evidence.period_s, born.born_s) == ("mps2-an386", 60, 9.0)
    assert fold_birth(born, BIRTH, 10.0) is None
    assert fold_birth(born, replace(BIRTH, seq=2), 10.0) is None
    assert fold_birth(born, replace(BIRTH, boot=1, seq=9), 10.0) is None
    assert fold_birth(born, replace(BIRTH, boot=3, seq=0), 10.0) is not None


def test_a_birth_above_our_generation_raises_ours_and_none_lowers_it() -> None:
    ahead = fold_birth(DEVICE, replace(BIRTH, generation=9), 1.0)
    behind = fold_birth(DEVICE, replace(BIRTH, generation=1), 1.0)
    assert ahead is not None
    assert behind is not None
    assert (ahead.generation, behind.generation) == (9, 4)


def test_forgetting_keeps_who_it_is() -> None:
    born = fold_birth(DEVICE, BIRTH, 9.0)
    assert born is not None
    blank = forget_past(born)
    assert (blank.id, blank.generation, blank.birth, blank.evidence.heard_s) == ("n", 4, None, None)
    assert fold_birth(blank, replace(BIRTH, boot=1, seq=1), 10.0) is not None


def test_credentials_are_the_same_every_time_and_differ_in_everything_that_matters() -> None:
    word = credentials.password(SECRET, "a")
    assert word == credentials.password(SECRET, "a")
    others = {
        credentials.password(SECRET, "b"),
        credentials.password(SECRET, "a", 2),
        credentials.password(bytes(32), "a"),
        credentials.seed(SECRET, "a", 1),
    }
    assert word not in others
    assert len(others) == 4
    assert len(word) == 43
    with pytest.raises(ValueError, match="32 bytes"):
        credentials.password(b"short", "a")


def test_the_hash_is_what_mosquitto_checks() -> None:
    _, kind, iterations, salt, key = credentials.mosquitto_hash(SECRET, "a").split("$")
    word = credentials.password(SECRET, "a")
    expected = hashlib.pbkdf2_hmac("sha512", word, base64.b64decode(salt), int(iterations))
    assert kind == "7"
    assert base64.b64decode(key) == expected


TRUST = encode_record(Trust(keys=(b"\x05" * 32,)))
CONFIG = encode_record(
    NodeConfig(
        device="n",
        host="10.0.2.2",
        port=1883,
        user="n",
        password=b"secret",
        prefix="tf/1",
        keepalive_s=15,
        seed=bytes(32),
        period_s=1,
    )
)


def written(content: bytes, replay: bytes | None = None, trust: bytes = TRUST) -> bytearray:
    data = bytearray(content)
    writes = flash.plan(MPS2_AN386, content, trust=trust, config=CONFIG, replay=replay)
    flash.apply(MPS2_AN386, data, writes)
    return data


def test_a_blank_flash_gets_everything_and_then_nothing_more() -> None:
    blank = flash.blank(MPS2_AN386)
    assert flash.is_fresh(MPS2_AN386, blank)
    data = bytes(written(blank, replay=b"\x07" * 5000))
    assert not flash.is_fresh(MPS2_AN386, data)
    assert decode_record(Trust, data).keys == (b"\x05" * 32,)
    config = flash.config_of(MPS2_AN386, data)
    assert config is not None
    assert config.device == "n"
    assert flash.plan(MPS2_AN386, data, trust=TRUST, config=CONFIG, replay=b"\x07" * 5000) == []
    outside = [i for i, byte in enumerate(data) if byte != 0xFF]
    regions = [MPS2_AN386[name] for name in ("trust", "config_a", "replay")]
    assert all(any(r.offset <= i < r.end for r in regions) for i in outside)


def test_a_board_gets_its_firmware_once() -> None:
    """What was updated since, in either slot, stays."""
    image = b"\x3d\xb8\xf3\x96" + bytes(100)
    blank = flash.blank(MPS2_AN386)
    for slot in (None, "firmware_a", "firmware_b"):
        data = bytearray(blank)
        if slot is not None:
            data[MPS2_AN386[slot].offset : MPS2_AN386[slot].offset + 4] = image[:4]
        writes = flash.plan(MPS2_AN386, bytes(data), trust=TRUST, config=CONFIG, replay=None, firmware=image)
        assert ("firmware_a" in [write.region for write in writes]) == (slot is None)


def test_another_fleets_trust_is_never_overwritten() -> None:
    theirs = bytes(written(flash.blank(MPS2_AN386), trust=encode_record(Trust(keys=(b"\x06" * 32,)))))
    with pytest.raises(Refused, match="written once"):
        flash.plan(MPS2_AN386, theirs, trust=TRUST, config=CONFIG, replay=None)
    broken = bytearray(written(flash.blank(MPS2_AN386)))
    broken[30] ^= 1
    with pytest.raises(Refused, match="no trust record"):
        flash.plan(MPS2_AN386, bytes(broken), trust=TRUST, config=CONFIG, replay=None)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="expected 16777216 bytes, got 100"):
        flash.plan(MPS2_AN386, bytes(100), trust=TRUST, config=CONFIG, replay=None)
    with pytest.raises(BadInput, match="replay: expected at most"):
        flash.plan(
            MPS2_AN386, flash.blank(MPS2_AN386), trust=TRUST, config=CONFIG, replay=bytes(2 * 1024 * 1024)
        )
    with pytest.raises(BadInput, match="no flash map"):
        flash.map_of("toaster")


def test_a_configuration_in_b_is_found_when_a_is_torn() -> None:
    data = bytearray(written(flash.blank(MPS2_AN386)))
    a, b = MPS2_AN386["config_a"], MPS2_AN386["config_b"]
    data[b.offset : b.offset + len(CONFIG)] = CONFIG
    data[a.offset + 9] ^= 1
    found = flash.config_of(MPS2_AN386, bytes(data))
    assert found is not None
    assert found.device == "n"
    assert flash.config_of(MPS2_AN386, flash.blank(MPS2_AN386)) is None
