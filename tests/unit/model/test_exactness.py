"""Bit-exact with TensorFlow Lite Micro: each op over random models, every tensor of whole public ones."""

import numpy as np
import pytest
from tests.unit.model.single_ops import OPS
from tests.unit.model.tflite_writer import (
    INT32,
    NONE,
    SAME,
    O,
    T,
    conv_options,
    depthwise_options,
    fully_connected_options,
    write_tflite,
)
from tests.unit.model.truth import Truth, wheel

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.model.compiler.tflite import read_tflite
from tinyfleet.model.twin import Twin
from tinyfleet.wire.enums import CoreVariant

CASES = 300
SPECS = tuple(ModelSpec(name="case", version="1", core=core) for core in CoreVariant)
OWN_KERNELS = {
    CoreVariant.PORTABLE: set(),
    CoreVariant.DSP: {"conv", "depthwise", "fully_connected"},
    CoreVariant.MVE: {
        *("conv", "depthwise", "depthwise_wide", "fully_connected"),
        *("add", "average_pool", "max_pool", "mean"),
    },
}


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
    own = dict.fromkeys(CoreVariant, 0)
    for seed in range(CASES):
        rng = np.random.default_rng([seed, sum(name.encode())])
        tflite = OPS[name](rng)
        truth, twins = Truth(tflite), [Twin(compile_model(tflite, spec)) for spec in SPECS]
        for twin in twins:
            own[twin.plan.core] += any(op.variant for op in twin.plan.ops)
        for window in windows(rng, twins[0].input_shape, 4):
            expected = truth.run(window).reshape(twins[0].output_shape)
            for twin in twins:
                where = f"{name}, seed {seed}, {twin.plan.core.name}"
                np.testing.assert_array_equal(twin.run(window), expected, where)
            informative += np.unique(expected).size > 2
    assert informative > CASES / 4, "most answers were saturated: this compared nothing"
    for core, count in own.items():
        kernels = name in OWN_KERNELS[core]
        assert count > CASES / 8 or not kernels, f"most cases fell back to plain kernels on {core.name}"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.core.name)
def test_every_tensor_of_a_real_model(real_model: bytes, spec: ModelSpec) -> None:
    truth, twin = Truth(real_model), Twin(compile_model(real_model, spec))
    graph = read_tflite(real_model)
    made = [op.outputs[0] for op in graph.ops if op.code != Builtin.RESHAPE]
    rng = np.random.default_rng(7)
    for window in windows(rng, twin.input_shape, 12):
        expected = truth.run(window)
        for i, ours in twin.trace(window):
            np.testing.assert_array_equal(ours, truth.tensor(made[i]).reshape(ours.shape), f"op {i}")
        np.testing.assert_array_equal(twin.run(window), expected.reshape(twin.output_shape))


EDGE_OPS = {
    "conv": (3, (1, 1, 1, 1), lambda n: (n, 1, 1, 1), 0, conv_options(SAME, 1, 1, NONE)),
    "depthwise": (4, (1, 1, 1, 1), lambda n: (1, 1, 1, n), 3, depthwise_options(SAME, 1, 1, 200, NONE)),
    "fully_connected": (9, (1, 1), lambda n: (n, 1), 0, fully_connected_options(NONE)),
}


@pytest.mark.parametrize("name", EDGE_OPS)
def test_sums_at_rounding_edges(name: str) -> None:
    """Scales multiplied in float instead of double differ only in sums at a rounding edge."""
    code, shape, filter_shape, axis, options = EDGE_OPS[name]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        steps = np.float32(10 ** rng.uniform(-4, -2, 2))
        output = np.float32(steps[0] * steps[1]) * np.float32(2.0 ** rng.uniform(22, 24))
        edges = (np.arange(-100, 100) + 0.5) * float(output) / (float(steps[0]) * float(steps[1]))
        bias = np.rint(edges).astype(np.int64) + rng.integers(-30, 31, edges.size)
        weights = np.zeros(filter_shape(bias.size), np.int8)
        tensors = [
            T(shape, steps[0], 0),
            T((*shape[:-1], bias.size), output, 0),
            T(weights.shape, steps[1], 0, data=weights, axis=axis),
            T(bias.shape, steps[0] * steps[1], 0, INT32, bias),
        ]
        tflite = write_tflite(tensors, [O(code, (0, 2, 3), (1,), options)], [0], [1])
        window = np.zeros(shape, np.int8)
        expected = Truth(tflite).run(window)
        for spec in SPECS:
            ours = Twin(compile_model(tflite, spec)).run(window)
            np.testing.assert_array_equal(ours, expected, f"seed {seed}, {spec.core.name}")
