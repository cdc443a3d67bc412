"""Integers of 16 and 32 bits at a model's edges and inside it."""

import numpy as np
import pytest
from tests.unit.model.quantize_ops import OPS
from tests.unit.model.tflite_writer import FLOAT32, INT16, INT32, O, T, ints, write_tflite
from tests.unit.model.truth import Truth, wheel

from tinyfleet.model.compiler import InputSpec, ModelSpec, UnsupportedModel, compile_model, describe
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import Dtype

CASES = 300
SPEC = ModelSpec(name="case", version="1")
LIMITS = {Dtype.INT8: 2**7, Dtype.INT16: 2**15, Dtype.INT32: 2**28}
KINDS = {Dtype.INT8: np.int8, Dtype.INT16: np.int16, Dtype.INT32: np.int32}


@pytest.mark.parametrize("name", OPS)
def test_single_op(name: str) -> None:
    wheel()
    informative = 0
    for seed in range(CASES):
        rng = np.random.default_rng([seed, sum(name.encode())])
        tflite = OPS[name](rng)
        truth, twin = Truth(tflite), Twin(compile_model(tflite, SPEC))
        source = twin.plan.tensors[twin.plan.input.tensor]
        limit = LIMITS[source.dtype]
        for spread in (limit, limit // 4):
            window = rng.integers(-spread, spread, source.shape).astype(KINDS[source.dtype])
            expected, ours = truth.run(window), twin.run(window)
            np.testing.assert_array_equal(ours, expected.reshape(ours.shape), f"{name}, seed {seed}")
            informative += np.unique(ours).size > 2
    assert informative > CASES / 2, "most answers were saturated: this compared nothing"


def wide(edge: int) -> bytes:
    """In and out by 16 bits (or by floats that are quantised to 16 bits); int8 in the middle."""
    tensors = [
        T((1, 64), None if edge == FLOAT32 else 2**-10, 0, edge),
        T((1, 64), 2**-10, 0, INT16),
        T((1, 64), 0.25, -7),
        T((1, 64), 2**-9, 0, INT16),
        T((1, 64), None, dtype=FLOAT32),
    ]
    ops = [O(114, (1,), (2,)), O(114, (2,), (3,))]
    if edge != FLOAT32:
        return write_tflite(tensors, ops, [1], [3])
    return write_tflite(tensors, [O(114, (0,), (1,)), *ops, O(6, (3,), (4,))], [0], [4])


def test_float_edges_may_stand_for_16_bits() -> None:
    twin, truth = Twin(compile_model(wide(FLOAT32), SPEC)), Truth(wide(FLOAT32))
    assert [twin.plan.tensors[end.tensor].dtype for end in (twin.plan.input, twin.plan.output)] == [
        *(Dtype.INT16, Dtype.INT16)
    ]
    window = np.random.default_rng(1).integers(-32768, 32768, (1, 64)).astype(np.int16)
    real = truth.run(window.astype(np.float32) * np.float32(2**-10))
    np.testing.assert_array_equal(twin.run(window).astype(np.float32) * np.float32(2**-9), real)


def test_raw_values_classes_and_scores_of_16_bits() -> None:
    """A raw step is worth half an input step; an output step 1/512."""
    spec = ModelSpec("m", "1", InputSpec(raw_scale=2**-11), golden_inputs=[np.arange(64, dtype=np.int16)])
    twin = Twin(compile_model(wide(INT16), spec))
    raw = np.array([-32768, -3, -2, -1, 0, 1, 2, 3, 32767, *range(55)], np.int16)
    halves = twin.quantize(raw)
    assert halves.dtype == np.int16
    np.testing.assert_array_equal(halves, (raw.astype(int) + 1) // 2)
    np.testing.assert_array_equal(
        twin.scores(np.array([-32768, 0, 1, 2, 255, 511, 512, 32767], np.int16)),
        [0, 0, 1, 1, 128, 255, 255, 255],
    )
    assert twin.failed_vector() is None
    with pytest.raises(ValueError, match="a window of m is int16, not int8"):
        twin.run(np.zeros(64, np.int8))


def test_a_float_input_may_be_quantised_twice_and_reshaped_before() -> None:
    """RESHAPE of floats, then QUANTIZE; and QUANTIZE of the same input, to the same scale."""
    tensors = [
        T((2, 8), None, dtype=FLOAT32),
        T((4, 4), None, dtype=FLOAT32),
        T((4, 4), 0.1, 3),
        T((2, 8), 0.1, 3),
        T((4, 4), 0.2, 0),
        T((2, 8), 0.3, 0),
        T((2,), None, dtype=INT32, data=[4, 4]),
        T((2, 8), None, dtype=FLOAT32),
        T((16,), None, dtype=FLOAT32),
        T((1,), None, dtype=INT32, data=[16]),
    ]
    reshape = (17, {0: ints([4, 4])})
    ops = [
        O(22, (0, 6), (1,), reshape),
        O(114, (1,), (2,)),
        O(114, (0,), (3,)),
        O(114, (2,), (4,)),
        O(114, (3,), (5,)),
        O(6, (5,), (7,)),
        O(22, (7, 9), (8,), (17, {0: ints([16])})),
    ]
    tflite = write_tflite(tensors, ops, [0], [4, 8])
    assert [op.name for op in describe(compile_model(tflite, SPEC)).ops] == ["TABLE", "TABLE"]
    window = np.random.default_rng(2).integers(-128, 128, (2, 8)).astype(np.int8)
    twin, truth = Twin(compile_model(tflite, SPEC)), Truth(tflite)
    left, right = truth.run_each([(window.astype(np.float32) - 3) * np.float32(0.1)], 2)
    ours = twin.run_all(window)
    np.testing.assert_array_equal(ours[0], left)
    np.testing.assert_array_equal(ours[1].astype(np.float32) * np.float32(0.3), right)
    tensors[3] = T((2, 8), 0.2, 3)
    with pytest.raises(
        UnsupportedModel, match=r"tensor 0 't0', an input .*, is quantised in 2 ways \(INT8 x 0.1"
    ):
        compile_model(write_tflite(tensors, ops, [0], [4, 8]), SPEC)
