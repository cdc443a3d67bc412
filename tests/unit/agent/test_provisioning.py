"""Boards become devices: every step's row, every way to be cut off, and no key left behind."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.adapters.identity import BoardIdentities
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.config_template import SECRET_BYTES, ConfigTemplate
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.core.provisioning import (
    HEAD_BYTES,
    ORDER,
    TABLE,
    Holding,
    Progress,
    Refusal,
    Step,
    Way,
    erasures,
    lock_refusal,
    name_place,
    progress_of,
    provisioning_map,
    resume_at,
    way_of,
)
from tinyfleet.wire.memory_map import BOARDS, MPS2_AN386
from tinyfleet.wire.messages import NodeConfig, NodeTls, Trust
from tinyfleet.wire.records import encode_record

TYPE = MPS2_AN386.board
SPEC = BoardSpec(name="b1", device_type=TYPE, probe="qemu-mps2-an386-0001")
IMAGE = (Path(__file__).resolve().parents[3] / "wire/vectors/accept").glob("image*.bin")


# --- the table ----------------------------------------------------------------------------------------------


def test_every_step_has_a_row_that_can_be_gone_by() -> None:
    assert set(TABLE) == set(Step)
    for step, row in TABLE.items():
        assert ORDER.index(row.resume) <= ORDER.index(step)
        assert (row.timeout_s > 0) == (step is not Step.DONE)
        assert bool(row.next_try) == (step is not Step.DONE)
        if row.holds_key:
            assert row.resume is Step.PROBE, "nobody can go on with a key that is gone"
    kept = [step for step in ORDER if TABLE[step].holds_key]
    assert kept == [Step.KEY, Step.ENROL, Step.RECORDS], "the shortest time there is"


@pytest.mark.parametrize(("step", "failed"), list(product(Step, (None, "why"))))
def test_where_a_run_goes_on(step: Step, failed: str | None) -> None:
    kept = Progress(board="b1", step=step, fingerprint="t", failed=failed)
    assert progress_of(kept.to_json()) == kept
    assert resume_at(kept, "another") is Step.PROBE and resume_at(None, "t") is Step.PROBE
    at = resume_at(kept, "t")
    if failed is not None and step not in (Step.LABEL, Step.LOCK):
        assert at is Step.PROBE, "what failed begins anew"
    else:
        assert at is TABLE[step].resume


def test_what_a_board_is_to_a_token() -> None:
    answers = {}
    for holding, replaces, same, mine, erase in product(Holding, *[(False, True)] * 4):
        kept = Progress(board="b1", step=Step.RECORDS, fingerprint="t") if mine else None
        device = {Holding.BLANK: None, Holding.OURS: "d1", Holding.FOREIGN: "x"}[holding]
        answers[holding, replaces, same, mine, erase] = way_of(
            holding=holding,
            device=device,
            offered="d1" if same else "d2",
            replaces=replaces,
            kept=kept,
            fingerprint="t",
            erase=erase,
        )
    for (holding, replaces, same, mine, erase), way in answers.items():
        if mine and holding is not Holding.FOREIGN:
            assert way is Way.RESUMED
        elif holding is Holding.FOREIGN and not erase:
            assert isinstance(way, Refusal) and "--erase" in way.hint
        elif holding is Holding.OURS and not erase and not (replaces and same):
            assert isinstance(way, Refusal) and "--replaces d1" in way.hint
        else:
            assert way is (Way.REPLACEMENT if replaces else Way.NEW)


def test_what_is_erased_and_what_is_locked() -> None:
    for memory in BOARDS:
        if not any(region.name == "trust" for region in memory.regions):
            with pytest.raises(AgentError, match="no networked node"):
                provisioning_map(memory.board)
            continue
        assert provisioning_map(memory.board) is memory
        blank = {region.name: region for region in erasures(memory)}
        for name in ("trust", "config_a", "config_b", "state_a", "config_state_a", "ring", "model_a"):
            assert blank[name].offset == memory[name].offset
        assert blank["config_a"].size_bytes == memory["config_a"].size_bytes
        assert not {"firmware_a", "boot", "replay"} & set(blank)
    assert lock_refusal("nrf52840", emulated=False) is None
    assert "emulated" in str(lock_refusal("nrf52840", emulated=True))
    assert "not known" in str(lock_refusal("stm32l496", emulated=False))


# --- the record with holes ----------------------------------------------------------------------------------


def config(name: str = "d1", **changes: Any) -> NodeConfig:
    tls = NodeTls(
        server="broker.x", ca_name=b"12", ca_key=bytes(65), certificate=b"c" * 400, key=bytes(32), day=1
    )
    values: dict[str, Any] = {
        "device": name,
        "host": "10.0.2.2",
        "port": 8883,
        "user": name,
        "password": b"",
        "prefix": "tf/1",
        "keepalive_s": 15,
        "seed": bytes(32),
        "period_s": 1,
        "tls": tls,
        "sequence": 7,
    }
    return NodeConfig(**(values | changes))


secrets = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)
names = st.text("abcXYZ019_-", min_size=1, max_size=48)


@given(names, secrets, secrets)
def test_a_filled_template_is_the_record_with_its_secrets(name: str, key: bytes, seed: bytes) -> None:
    bare = config(name)
    template = ConfigTemplate.of(encode_record(bare))
    record = template.filled(bytearray(key), bytearray(seed))
    assert bare.tls is not None
    assert record == encode_record(replace(bare, seed=seed, tls=replace(bare.tls, key=key)))
    for at, part in template.public_parts():
        assert record[at : at + len(part)] == part
    assert sum(len(part) for _, part in template.public_parts()) == len(record) - 2 * SECRET_BYTES - 4
    place = name_place(bytes(record[:HEAD_BYTES]))
    assert place is not None and min(template.key_at, template.seed_at) > HEAD_BYTES
    assert record[place[0] : sum(place)] == name.encode() and sum(place) <= template.seed_at


@given(st.binary(max_size=40))
def test_a_name_is_looked_for_in_anything(head: bytes) -> None:
    for data in (head, b"TFR1" + head, b"TFR1\0\0\0\0\xaa\0" + head):
        place = name_place(data)
        assert place is None or (place[0] <= HEAD_BYTES and place[1] <= 48)


def test_a_configuration_that_brings_secrets_is_none() -> None:
    good = config()
    assert good.tls is not None
    for wrong in (
        replace(good, tls=None),
        replace(good, seed=bytes(31) + b"\1"),
        replace(good, password=b"x"),
        replace(good, tls=replace(good.tls, key=bytes(31) + b"\1")),
    ):
        with pytest.raises(AgentError, match="own key"):
            ConfigTemplate.of(encode_record(wrong))
    for damaged in (
        b"",
        b"\xff" * 64,
        encode_record(good)[:-1] + b"\0",
        encode_record(Trust(keys=(bytes(32),))),
    ):
        with pytest.raises(AgentError, match="configuration record"):
            ConfigTemplate.of(damaged)


def test_an_identity_shows_nothing_and_is_overwritten() -> None:
    made = BoardIdentities().make()
    assert made.key != made.seed and made.key.hex() not in repr(made)
    assert not made.owns(b"no certificate")
    key, seed = made.key, made.seed
    made.wipe()
    assert not any(key) and not any(seed)
