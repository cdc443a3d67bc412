"""What is gone before lowering: floats and uint8 at the edges, constants, ops that nobody needs."""

import numpy as np
import pytest
from tests.unit.model.many import many
from tests.unit.model.op_parts import constant
from tests.unit.model.tflite_writer import (
    FLOAT32,
    INT32,
    NONE,
    UINT8,
    O,
    T,
    fully_connected_options,
    options,
    write_tflite,
)
from tests.unit.model.truth import Truth

from tinyfleet.model.compiler import ModelSpec, UnsupportedModel, compile_model, describe
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import decode_artifact, encode_artifact

SPEC = ModelSpec("m", "1")


def ops_of(tflite: bytes) -> list[str]:
    return [op.name for op in describe(compile_model(tflite, SPEC)).ops]


def float_edges() -> bytes:
    """float32 in, QUANTIZE, RELU, DEQUANTIZE, float32 out."""
    tensors = [
        T((1, 64), dtype=FLOAT32),
        T((1, 64), 0.05, 3),
        T((1, 64), 0.04, -7),
        T((1, 64), dtype=FLOAT32),
    ]
    ops = [O(114, (0,), (1,)), O(19, (1,), (2,)), O(6, (2,), (3,))]
    return write_tflite(tensors, ops, [0], [3])


def test_float_edges_are_left_out_and_their_scales_told() -> None:
    payload = compile_model(float_edges(), SPEC)
    plan, twin, truth = decode_artifact(payload), Twin(payload), Truth(float_edges())
    assert ops_of(float_edges()) == ["TABLE"]
    assert plan.metadata.input_scale == np.float32(0.05)
    assert plan.metadata.output_scale == np.float32(0.04)
    assert (plan.input.zero_point, plan.output.zero_point) == (3, -7)
    window = np.random.default_rng(1).integers(-128, 128, (1, 64)).astype(np.int8)
    real = (window.astype(np.float32) - 3) * np.float32(0.05)
    expected = truth.run(real)
    np.testing.assert_array_equal((twin.run(window).astype(np.float32) + 7) * np.float32(0.04), expected)


def test_shape_chain_of_a_free_batch_is_folded() -> None:
    """What Flatten becomes without a fixed batch: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    tensors = [
        T((1, 2, 3, 4), 0.1, 0),
        T((4,), dtype=INT32),
        constant(0),
        constant(1),
        constant(1),
        T((), dtype=INT32),
        T((), dtype=INT32, data=24),
        T((2,), dtype=INT32),
        T((1, 24), 0.1, 0),
        T((3, 24), 0.1, 0, data=np.ones((3, 24))),
        T((1, 3), 1.0, 0),
    ]
    ops = [
        O(77, (0,), (1,), options(55, ("b", 2))),
        O(45, (1, 2, 3, 4), (5,), options(32, 0, 0, 0, 0, 1)),
        O(83, (5, 6), (7,), options(59, 2, 0)),
        O(22, (0, 7), (8,)),
        O(9, (8, 9), (10,), fully_connected_options(NONE)),
    ]
    tflite = write_tflite(tensors, ops, [0], [10])
    assert ops_of(tflite) == ["FULLY_CONNECTED"]
    window = np.arange(24).astype(np.int8).reshape(1, 2, 3, 4)
    np.testing.assert_array_equal(Twin(compile_model(tflite, SPEC)).run(window), Truth(tflite).run(window))


def test_uint8_edges_cost_nothing_when_only_the_top_bit_differs() -> None:
    tensors = [T((1, 8), 0.1, 130, UINT8), T((1, 8), 0.1, 2), T((1, 8), 0.1, 130, UINT8)]
    assert ops_of(write_tflite(tensors, [O(114, (0,), (1,)), O(114, (1,), (2,))], [0], [2])) == []


def test_an_op_that_nobody_needs_is_left_out() -> None:
    tensors = [T((1, 8), 0.1, 0), T((1, 8), 0.2, 0), T((1, 8), 0.3, 0)]
    assert ops_of(write_tflite(tensors, [O(114, (0,), (1,)), O(114, (0,), (2,))], [0], [1])) == ["TABLE"]


def test_aligned_parts_are_views() -> None:
    """A split into whole lines and its concatenation in the same order move no byte."""
    tensors = [
        T((4, 16), 0.1, 0),
        T((1,), dtype=INT32, data=[0]),
        *(T((2, 16), 0.1, 0) for _ in range(2)),
        *(T((2, 16), 0.05, 0) for _ in range(2)),
        T((4, 16), 0.05, 0),
    ]
    ops = [
        O(49, (1, 0), (2, 3), options(35, 2)),
        O(114, (2,), (4,)),
        O(114, (3,), (5,)),
        O(2, (4, 5), (6,), options(10, 0, ("b", NONE))),
    ]
    tflite = write_tflite(tensors, ops, [0], [6])
    assert ops_of(tflite) == ["TABLE", "TABLE"]
    window = np.arange(-32, 32).astype(np.int8).reshape(4, 16)
    np.testing.assert_array_equal(Twin(compile_model(tflite, SPEC)).run(window), Truth(tflite).run(window))


def test_unfit_constants_are_a_refusal() -> None:
    tensors = [T((1, 8), 0.1, 0), constant(1, 2), constant(1, 2, 3), T((2,), dtype=INT32), T((1, 8), 0.1, 0)]
    ops = [O(0, (1, 2), (3,)), O(22, (0, 3), (4,))]
    with pytest.raises(UnsupportedModel, match=r"op 0 ADD .* constants do not fit together"):
        compile_model(write_tflite(tensors, ops, [0], [4]), SPEC)


def test_several_inputs_and_outputs() -> None:
    rng = np.random.default_rng(2)
    tflite = many(rng)
    golden = [rng.integers(-128, 128, 128).astype(np.int8) for _ in range(3)]
    payload = compile_model(tflite, ModelSpec("many", "1", golden_inputs=golden))
    plan, twin, truth = decode_artifact(payload), Twin(payload), Truth(tflite)
    assert encode_artifact(plan) == payload
    assert [len(plan.inputs), len(plan.outputs)] == [2, 7]
    assert plan.metadata.samples * plan.metadata.channels == 64
    assert twin.failed_vector() is None
    for window in golden:
        expected = truth.run_all(window, 2, 7)
        for ours, theirs in zip(twin.run_all(window), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs.reshape(ours.shape))
    summary = describe(payload)
    assert (summary.inputs, summary.outputs) == (2, 7)
    assert summary.peak_bytes <= summary.arena_bytes
    wrong = bytearray(payload)
    wrong[-1 - (-sum(plan.tensors[e.tensor].size_bytes for e in plan.outputs) % 4)] ^= 1
    assert Twin(bytes(wrong)).failed_vector() == 2, "the last value of the last output counts too"


def test_too_many_outputs_are_refused() -> None:
    tensors = [T((33, 2), 0.1, 0), *(T((2,), 0.1, 0) for _ in range(33))]
    made = tuple(range(1, 34))
    tflite = write_tflite(tensors, [O(88, (0,), made, options(64, 33, 0))], [0], list(made))
    with pytest.raises(UnsupportedModel, match="the model has 33 outputs"):
        compile_model(tflite, SPEC)
