"""A plan of ABI 2 as it was first built: what is on devices must stay readable and give the same answers."""

import hashlib
from pathlib import Path

import pytest

from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import ArtifactError, OpCode, decode_artifact, encode_artifact
from tinyfleet.wire.artifact_ops import ConvParams, SoftmaxParams

FROZEN = Path(__file__).with_name("frozen") / "chain_abi2.plan"
DIGEST = "d423f9f78c067ccd0b48d3170593ea3d8d2e26f73237cf60a2489312d2194cc7"


def test_the_plan_itself_did_not_change() -> None:
    assert hashlib.sha256(FROZEN.read_bytes()).hexdigest() == DIGEST


def test_it_reads_as_it_did() -> None:
    payload = FROZEN.read_bytes()
    plan = decode_artifact(payload)
    assert encode_artifact(plan) == payload
    assert plan.metadata.name == "chain"
    assert plan.metadata.hop == 24
    assert plan.metadata.threshold == 200
    assert plan.metadata.baseline is not None
    assert plan.metadata.baseline.classes == (5, 3, 2)
    assert [op.code for op in plan.ops] == [
        *(OpCode.CONV_2D, OpCode.DEPTHWISE_CONV_2D, OpCode.ADD, OpCode.MAX_POOL_2D),
        *(OpCode.AVERAGE_POOL_2D, OpCode.MEAN, OpCode.FULLY_CONNECTED, OpCode.SOFTMAX),
    ]
    conv, softmax = plan.ops[0].params, plan.ops[-1].params
    assert isinstance(conv, ConvParams)
    assert (conv.kernel_h, conv.depth, conv.pad_top, conv.input_zero, conv.act_min) == (3, 2, 1, -3, 4)
    assert isinstance(softmax, SoftmaxParams)
    assert softmax.depth == 3
    assert plan.arena_bytes == 432


def test_it_runs_as_it_did() -> None:
    """Its golden vectors were computed when it was built."""
    twin = Twin(FROZEN.read_bytes())
    assert len(twin.plan.vectors) == 3
    assert len({vector.output for vector in twin.plan.vectors}) == 3
    assert twin.failed_vector() is None


def test_a_plan_of_another_abi_is_refused_by_number() -> None:
    old = bytearray(FROZEN.read_bytes())
    old[4] = 1
    with pytest.raises(ArtifactError, match="abi: expected 2, got 1"):
        decode_artifact(bytes(old))
