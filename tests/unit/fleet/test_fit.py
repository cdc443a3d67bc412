"""A model that cannot run on a device is refused here, naming what is missing, and nothing is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.fleet.fleet_rig import Rig, birth

from tinyfleet.fleet.core.deployment import DeploymentState
from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.fleet.core.fit import ModelNeeds, OpUse, misfit
from tinyfleet.fleet.core.rollout import RolloutState
from tinyfleet.fleet.main import needs_of
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result, UpdateState
from tinyfleet.wire.messages import SlotInfo
from tinyfleet.wire.topics import TopicKind

NEEDS = ModelNeeds(
    image_bytes=20_000,
    core=CoreVariant.PORTABLE,
    abi=1,
    arena_bytes=4096,
    ops=(OpUse(OpCode.CONV_2D, 0, 3), OpUse(OpCode.MEAN, 1, 5)),
)
OPS = bytes([1 << 3, 0, 0, 0, 0, 1 << 0])
BIRTH = birth(
    ops=OPS,
    arena_bytes=4096,
    slots=(
        SlotInfo(kind=ArtifactKind.FIRMWARE, index=0, size_bytes=100),
        SlotInfo(kind=ArtifactKind.MODEL, index=0, size_bytes=20_000),
    ),
)


def test_a_model_that_just_fits_fits() -> None:
    assert misfit(NEEDS, BIRTH) is None
    assert misfit(NEEDS, replace(BIRTH, slots=())) is None


def test_a_portable_model_fits_every_core_and_a_packed_one_its_own() -> None:
    packed = replace(NEEDS, core=CoreVariant.DSP)
    assert misfit(NEEDS, replace(BIRTH, core=CoreVariant.DSP)) is None
    assert misfit(packed, replace(BIRTH, core=CoreVariant.DSP)) is None
    found = misfit(packed, BIRTH)
    assert found is not None
    assert found.result is Result.UNSUPPORTED_TYPE
    assert "core DSP, the node has PORTABLE" in found.detail


@pytest.mark.parametrize(
    ("change", "result", "named"),
    [
        ({"arena_bytes": 4095}, Result.ARENA_TOO_SMALL, "4096 bytes, the node has 4095"),
        ({"ops": OPS[:5]}, Result.OP_MISSING, "MEAN: op 1, tensor 5"),
        ({"ops": bytes(32)}, Result.OP_MISSING, "CONV_2D: op 0, tensor 3"),
        ({"abi": 2}, Result.UNSUPPORTED_TYPE, "ABI 1, the node has 2"),
        (
            {"slots": (SlotInfo(kind=ArtifactKind.MODEL, index=0, size_bytes=19_999),)},
            Result.NO_FLASH,
            "20000 bytes, the largest model slot 19999",
        ),
    ],
)
def test_what_is_missing_is_named(change: dict[str, object], result: Result, named: str) -> None:
    found = misfit(NEEDS, replace(BIRTH, **change))  # type: ignore[arg-type]
    assert found is not None
    assert found.result is result
    assert named in found.detail


def test_a_misfit_is_rejected_with_nothing_on_air(rig: Rig) -> None:
    rig.device("d1")
    rig.release()
    rig.needs = NEEDS
    rig.say("d1", TopicKind.BIRTH, replace(BIRTH, arena_bytes=1024))
    summary = rig.rollouts.start("demo")
    assert summary.state is RolloutState.FAILED
    assert summary.why == "1 of 1 devices: result 64 ARENA_TOO_SMALL"
    (deployment,) = rig.rollouts.get(summary.id)[2]
    assert (deployment.state, deployment.result) == (DeploymentState.REJECTED, Result.ARENA_TOO_SMALL)
    assert "4096" in deployment.detail
    assert rig.publish() == []
    assert rig.want("d1") is None
    with rig.store.read() as tx:
        names = [row["transition"] for row in tx.deployments.history("d1", 10)]
    assert names == ["QUEUED:UNFIT:REJECTED", "NEW:START:QUEUED"]


def test_the_others_get_it_and_the_misfit_keeps_what_it_was_told_before(rig: Rig) -> None:
    for name in ("small", "large", "unborn"):
        rig.device(name)
    before = rig.release("1.0.0")
    rig.rollouts.start("demo", devices=["small"])
    rig.status("small", UpdateState.CONFIRMED, Result.SUCCESS)
    rig.say(
        "small", TopicKind.BIRTH, birth(image=before.image, ops=OPS, arena_bytes=1024, generation=1, seq=2)
    )
    rig.publish()
    rig.needs = NEEDS
    rig.say("large", TopicKind.BIRTH, BIRTH)
    after = rig.release("2.0.0")
    summary = rig.rollouts.start("demo", "2.0.0")
    assert summary.state is RolloutState.RUNNING
    topics = rig.publish()
    assert rig.topics.device("small", TopicKind.WANT) not in topics
    images = {
        name: want.model and want.model.image
        for name in ("small", "large", "unborn")
        if (want := rig.want(name))
    }
    assert images == {"small": before.image, "large": after.image, "unborn": after.image}
    for name in ("large", "unborn"):
        rig.status(name, UpdateState.CONFIRMED, Result.SUCCESS, seq=9)
    assert rig.summary(summary.id).state is RolloutState.FAILED
    assert rig.summary(summary.id).why == "1 of 3 devices: result 64 ARENA_TOO_SMALL"


def test_a_stored_model_that_this_manager_cannot_read_is_said(rig: Rig) -> None:
    """As after an update of the manager that changed the runtime ABI."""
    artifact = rig.release()
    with pytest.raises(BadInput, match=r"model 1\.0\.0.*release it again"):
        needs_of(rig.blobs, artifact)
