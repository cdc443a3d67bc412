"""Bit-exact with TensorFlow Lite Micro: each op over random models, every tensor of whole public ones."""

import numpy as np
import pytest
from single_ops import OPS
from truth import Truth, wheel

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.model.compiler.tflite import read_tflite
from tinyfleet.model.twin import Twin

CASES = 300
SPEC = ModelSpec(name="case", version="1")


def windows(rng: np.random.Generator, shape: tuple[int, ...], count: int) -> list[np.ndarray]:
    """Random ones, and the extremes."""
    chosen = [rng.integers(-128, 128, shape), rng.normal(0, 40, shape).clip(-128, 127)]
    chosen += [np.full(shape, -128), np.full(shape, 127)]
    chosen += [rng.integers(-128, 128, shape) for _ in range(count - 4)]
    return [window.astype(np.int8) for window in chosen[:count]]


@pytest.mark.parametrize("name", OPS)
def test_single_op(name: str) -> None:
    wheel()
    informative = 0
    for seed in range(CASES):
        rng = np.random.default_rng([seed, sum(name.encode())])
        tflite = OPS[name](rng)
        truth, twin = Truth(tflite), Twin(compile_model(tflite, SPEC))
        for window in windows(rng, twin.input_shape, 4):
            expected = truth.run(window).reshape(twin.output_shape)
            np.testing.assert_array_equal(twin.run(window), expected, f"{name}, seed {seed}")
            informative += np.unique(expected).size > 2
    assert informative > CASES / 4, "most answers were saturated: this compared nothing"


def test_every_tensor_of_a_real_model(real_model: bytes) -> None:
    truth, twin = Truth(real_model), Twin(compile_model(real_model, SPEC))
    graph = read_tflite(real_model)
    made = [op.outputs[0] for op in graph.ops if op.code != Builtin.RESHAPE]
    rng = np.random.default_rng(7)
    for window in windows(rng, twin.input_shape, 12):
        expected = truth.run(window)
        for i, ours in twin.trace(window):
            np.testing.assert_array_equal(ours, truth.tensor(made[i]).reshape(ours.shape), f"op {i}")
        np.testing.assert_array_equal(twin.run(window), expected.reshape(twin.output_shape))
