"""A firmware that a node would refuse, or that would leave its model behind, is not sent."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.fleet.fleet_rig import OFFER, TYPE, Rig, birth

from tinyfleet.fleet.core.deployment import DeploymentState
from tinyfleet.fleet.core.fit import FirmwareOffer, ModelNeeds, OpUse, misfit_of_release
from tinyfleet.fleet.core.release import Artifact, Release
from tinyfleet.fleet.core.rollout import RolloutState
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result, UpdateState
from tinyfleet.wire.messages import Birth, ImageInfo, SlotInfo
from tinyfleet.wire.topics import TopicKind

OPS = bytes([1 << 3])
NEW = b"\x02" * 32
OLD = b"\x01" * 32
MODEL = ModelNeeds(
    image_bytes=100, core=CoreVariant.DSP, abi=1, arena_bytes=10, ops=(OpUse(OpCode.CONV_2D, 0, 3),)
)
BIRTH = birth(
    image=b"\x07" * 32,
    abi=1,
    ops=OPS,
    arena_bytes=10,
    core=CoreVariant.DSP,
    firmware=ImageInfo(image=OLD, version="1.0.0", security_counter=2, slot=0),
    slots=tuple(SlotInfo(kind=ArtifactKind.FIRMWARE, index=i, size_bytes=1000) for i in range(2)),
)
GOOD = replace(
    OFFER,
    image=NEW,
    version=(1, 1, 0),
    security_counter=2,
    ops=OPS,
    cores=frozenset({CoreVariant.PORTABLE, CoreVariant.DSP}),
)


def judge(
    offer: FirmwareOffer,
    *,
    model: ModelNeeds | None = None,
    running: ModelNeeds | None = MODEL,
    where: Birth = BIRTH,
) -> Any:
    return misfit_of_release(where, model, offer, running, changes_model=model is not None)


def test_a_good_firmware_fits() -> None:
    assert judge(GOOD) is None
    assert judge(GOOD, model=MODEL) is None
    assert judge(replace(GOOD, slot=1)) is None


@pytest.mark.parametrize(
    ("changes", "result", "words"),
    [
        ({"image_bytes": 1001}, Result.NO_FLASH, "1001 bytes, the largest firmware slot 1000"),
        ({"security_counter": 1}, Result.DOWNGRADE, "counter 1, the node refuses below 2"),
        ({"slot": 0}, Result.UNSUPPORTED_TYPE, "linked for slot 0, which runs now"),
        ({"abi": 2}, Result.UNSUPPORTED_TYPE, "running model could not run.*ABI 1"),
        ({"ops": b""}, Result.UNSUPPORTED_TYPE, "running model could not run.*CONV_2D"),
        ({"cores": frozenset({CoreVariant.PORTABLE})}, Result.UNSUPPORTED_TYPE, "packed for core DSP"),
    ],
)
def test_what_stands_against_it_is_said(changes: dict[str, Any], result: Result, words: str) -> None:
    found = judge(replace(GOOD, **changes))
    assert found is not None and found.result is result
    assert re.search(words, found.detail)


def test_a_version_below_what_the_running_model_needs_is_refused() -> None:
    found = judge(GOOD, running=replace(MODEL, firmware=(1, 2, 0)))
    assert found is not None and "needs firmware 1.2.0 or newer" in found.detail
    assert judge(GOOD, running=replace(MODEL, firmware=(1, 1, 0))) is None


def test_a_model_that_comes_with_its_firmware_is_judged_by_that() -> None:
    new = replace(MODEL, abi=2, firmware=(1, 1, 0))
    assert judge(replace(GOOD, abi=2), model=new) is None
    found = misfit_of_release(BIRTH, new, None, None, changes_model=True)
    assert found is not None and "needs firmware 1.1.0 or newer, the node has 1.0.0" in found.detail
    found = judge(replace(GOOD, abi=3), model=new)
    assert found is not None and found.result is Result.UNSUPPORTED_TYPE


def test_a_node_without_bootloader_and_one_that_runs_it_already() -> None:
    found = judge(GOOD, where=replace(BIRTH, slots=()))
    assert found is not None and "cannot install firmware" in found.detail
    assert judge(replace(GOOD, image=OLD, security_counter=0), where=replace(BIRTH, slots=())) is None


def firmware_release(rig: Rig, *slots: int | None) -> list[Artifact]:
    model = rig.release("model", size=2048)
    made = [
        replace(
            model,
            kind=ArtifactKind.FIRMWARE,
            image=bytes([50 + number]) * 32,
            manifest=bytes([60 + number]) * 32,
            version="1.1.0",
            slot=slot,
        )
        for number, slot in enumerate(slots)
    ]
    with rig.store.write() as tx:
        tx.releases.add(Release(id=0, name="fw", version="1.1.0", artifacts=tuple(made)))
    return made


def test_a_firmware_is_wanted_and_judged_by_the_birth(rig: Rig) -> None:
    (artifact,) = firmware_release(rig, None)
    rig.offer = GOOD
    rig.device("d1")
    rig.say("d1", TopicKind.BIRTH, BIRTH)
    summary = rig.rollouts.start("fw")
    want = rig.want("d1")
    assert want is not None and want.model is None
    assert want.firmware is not None and want.firmware.image == artifact.image
    with rig.store.read() as tx:
        assert {row.key for row in tx.retained.live_blobs()} == {artifact.manifest.hex()}
    runs = replace(BIRTH.firmware, image=artifact.image)
    confirmed = replace(
        BIRTH, seq=2, generation=want.generation, state=UpdateState.CONFIRMED, result=Result.SUCCESS
    )
    rig.say("d1", TopicKind.BIRTH, replace(confirmed, seq=1, boot=2))
    assert rig.summary(summary.id).state is RolloutState.RUNNING, "another firmware runs"
    rig.say("d1", TopicKind.BIRTH, replace(confirmed, boot=2, seq=3, firmware=runs))
    assert rig.summary(summary.id).state is RolloutState.SUCCEEDED
    # Falling back later opens it again.
    rig.say("d1", TopicKind.BIRTH, replace(confirmed, boot=3, state=UpdateState.IDLE))
    with rig.store.read() as tx:
        current = tx.deployments.current("d1")
    assert current is not None and current.state is DeploymentState.QUEUED


def test_a_board_that_runs_firmware_in_place_gets_the_one_for_its_free_slot(rig: Rig) -> None:
    in_a, in_b = firmware_release(rig, 0, 1)
    rig.offer = GOOD
    for name, slot, expected in (("d0", 0, in_b), ("d1", 1, in_a)):
        rig.device(name)
        rig.say(name, TopicKind.BIRTH, replace(BIRTH, firmware=replace(BIRTH.firmware, slot=slot)))
        rig.rollouts.start("fw", devices=[name])
        want = rig.want(name)
        assert want is not None and want.firmware is not None
        assert want.firmware.image == expected.image


def test_both_are_wanted_at_once_and_both_blobs_are_held(rig: Rig) -> None:
    (firmware,) = firmware_release(rig, None)
    with rig.store.read() as tx:
        found = tx.releases.named("demo", "model")
    assert found is not None
    (model,) = found.artifacts
    with rig.store.write() as tx:
        tx.releases.add(Release(id=0, name="both", version="1", artifacts=(model, firmware)))
    rig.offer = GOOD
    rig.device("d1", device_type=TYPE)
    rig.say("d1", TopicKind.BIRTH, BIRTH)
    rig.rollouts.start("both")
    want = rig.want("d1")
    assert want is not None and want.firmware is not None and want.model is not None
    with rig.store.read() as tx:
        held = {row.key for row in tx.retained.live_blobs()}
        assert tx.retained.unnamed_blobs() == []
    assert held == {firmware.manifest.hex(), model.manifest.hex()}
