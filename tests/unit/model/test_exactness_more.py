"""Bit-exact with TensorFlow Lite Micro: ops that move or combine values or are functions of one."""

import numpy as np
import pytest
from tests.unit.model import batch_ops, binary_ops, matrix_ops, moving_ops, plane_ops, value_ops
from tests.unit.model.truth import Truth, wheel

from tinyfleet.model.compiler import ModelSpec, UnsupportedModel, compile_model
from tinyfleet.model.twin import Twin

OPS = {
    **value_ops.OPS,
    **binary_ops.OPS,
    **moving_ops.OPS,
    **plane_ops.OPS,
    **matrix_ops.OPS,
    **batch_ops.OPS,
}
CASES = 250
SPEC = ModelSpec(name="case", version="1")
REFUSED_BY_BOTH = {"hard_swish", "resize_bilinear", "sub"}
"""Scales or sizes that TFLM cannot do either; a few of the random ones are such."""


def windows(rng: np.random.Generator, size: int) -> list[np.ndarray]:
    ramp = np.arange(size) % 256 - 128
    chosen = [rng.integers(-128, 128, size), rng.permutation(ramp), rng.integers(-128, 128, size)]
    return [window.astype(np.int8) for window in chosen]


@pytest.mark.parametrize("name", OPS)
def test_single_op(name: str) -> None:
    wheel()
    informative = refused = 0
    for seed in range(CASES):
        rng = np.random.default_rng([seed, sum(name.encode())])
        tflite = OPS[name](rng)
        try:
            twin = Twin(compile_model(tflite, SPEC))
        except UnsupportedModel:
            refused += 1
            continue
        truth, plan = Truth(tflite), twin.plan
        for window in windows(rng, plan.input_bytes):
            expected = truth.run_all(window, len(plan.inputs), len(plan.outputs))
            for i, (ours, theirs) in enumerate(zip(twin.run_all(window), expected, strict=True)):
                where = f"{name}, seed {seed}, output {i}"
                np.testing.assert_array_equal(ours, theirs.reshape(ours.shape), where)
                informative += np.unique(ours).size > 2
    assert refused == 0 or (name in REFUSED_BY_BOTH and refused < CASES / 4)
    assert informative > CASES / 4, "most answers were saturated: this compared nothing"
