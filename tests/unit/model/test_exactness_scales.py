"""Bit-exact with TensorFlow Lite Micro where single and double precision of a scale show in an answer.

One pair of scales in some ten thousand has such an answer: random models hardly ever meet one, so these were
searched for. The wheel divides in double.
"""

import numpy as np
import pytest
from tests.unit.model.tflite_writer import INT16, INT32, NONE, O, T, options, write_tflite
from tests.unit.model.truth import Truth

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.twin import Twin

EVERY = np.arange(-128, 128).astype(np.int8)
SPEC = ModelSpec("scales", "1")

# Op and options; then input scale, output scale, input zero point, output zero point.
ONE = {
    "relu": (19, (0, None)),
    "abs": (101, (0, None)),
    "leaky_relu": (98, options(75, ("f", 0.3))),
    "hard_swish": (117, (0, None)),
    "quantize": (114, (0, None)),
    "rsqrt": (76, (0, None)),
}
ONE_CASES = {
    "relu": [
        ("0x1.5dead8p-1", "0x1.b6284ap-2", -5, -19),
        ("0x1.4ffa4ep-4", "0x1.219a76p-4", -54, -94),
        ("0x1.226dep-2", "0x1.1fa9c8p-4", 103, -78),
    ],
    "abs": [("0x1.5dead8p-1", "0x1.b6284ap-2", -5, -19), ("0x1.4ffa4ep-4", "0x1.219a76p-4", -54, -94)],
    "leaky_relu": [("0x1.d8d60cp-8", "0x1.0b30ap-9", 49, -25), ("0x1.4ffa4ep-4", "0x1.219a76p-4", -54, -94)],
    "hard_swish": [
        ("0x1.4be678p-7", "0x1.e8153cp-10", 123, 111),
        ("0x1.855f34p-6", "0x1.294b18p-4", -38, 97),
        ("0x1.d243d6p-2", "0x1.546c8ep-2", -51, 29),
    ],
    "quantize": [("0x1.5dead8p-1", "0x1.b6284ap-2", -5, -19), ("0x1.b2f676p-1", "0x1.5290cap+0", 114, 81)],
    "rsqrt": [("0x1.906b58p-10", "0x1.1d3cacp-2", -128, 0), ("0x1.870d86p-8", "0x1.229c16p-3", -128, 0)],
}

TWO = {
    "sub": (41, options(28, ("b", NONE))),
    "squared_difference": (99, (0, None)),
    "mul": (18, options(21, ("b", NONE))),
    "div": (42, options(29, ("b", NONE))),
}
# Scales of both inputs and the output, then their zero points.
TWO_CASES = {
    "sub": [
        ("0x1.521466p-3", "0x1.2c4ca6p-7", "0x1.fb09dcp-4", -95, 117, -88),
        ("0x1.110b42p-3", "0x1.a1d71ap-3", "0x1.12e776p-2", 117, -36, -48),
        ("0x1.8f1178p-10", "0x1.c510a8p-9", "0x1.93adcp-7", -27, 104, -85),
    ],
    "squared_difference": [
        ("0x1.352604p-2", "0x1.3cccap-2", "0x1.d2eb78p+2", -36, 33, 13),
        ("0x1.b9524cp-5", "0x1.2150b6p-5", "0x1.6ae8a8p-2", -17, -63, 88),
    ],
    "mul": [
        ("0x1.2ca24cp-6", "0x1.8c81b8p-7", "0x1.d1064cp-6", 4, 90, 86),
        ("0x1.30c10ep-1", "0x1.10d5ep-9", "0x1.9e8ca2p-4", -6, 86, 79),
    ],
    "div": [
        ("0x1.894782p-1", "0x1.7f3d7ap-1", "0x1.ce931ep-7", 62, -128, -8),
        ("0x1.928d16p-9", "0x1.150336p-9", "0x1.49621p-5", -23, -128, -113),
    ],
}


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_value(name: str) -> None:
    code, opts = ONE[name]
    for x, y, x_zero, y_zero in ONE_CASES[name]:
        tensors = [T((256,), float.fromhex(x), x_zero), T((256,), float.fromhex(y), y_zero)]
        tflite = write_tflite(tensors, [O(code, (0,), (1,), opts)], [0], [1])
        # RSQRT has no answer below its zero point.
        window = EVERY if name != "rsqrt" else np.maximum(EVERY, -127).astype(np.int8)
        expected = Truth(tflite).run(window).reshape(-1)
        np.testing.assert_array_equal(Twin(compile_model(tflite, SPEC)).run(window).reshape(-1), expected, x)


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_values(name: str) -> None:
    """Every pair of bytes."""
    code, opts = TWO[name]
    left, right = np.repeat(EVERY, 256), np.tile(EVERY, 256)
    for a, b, y, *zeros in TWO_CASES[name]:
        scales = [float.fromhex(text) for text in (a, b, y)]
        if name == "div":
            right = np.where(right == zeros[1], right + np.int8(1), right).astype(np.int8)
        tensors = [T((left.size,), scale, zero) for scale, zero in zip(scales, zeros, strict=True)]
        tflite = write_tflite(tensors, [O(code, (0, 1), (2,), opts)], [0, 1], [2])
        expected = Truth(tflite).run_each([left, right], 1)[0].reshape(-1)
        ours = Twin(compile_model(tflite, SPEC)).run(np.concatenate([left, right])).reshape(-1)
        np.testing.assert_array_equal(ours, expected, a)


def test_sums_of_svdf_at_rounding_edges() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        state, times = (np.float32(step) for step in 10 ** rng.uniform(-4, -2, 2))
        output = np.float32(state * times) * np.float32(2.0 ** rng.uniform(22, 24))
        edges = (np.arange(-100, 100) + 0.5) * float(output) / (float(state) * float(times))
        bias = np.rint(edges).astype(np.int64) + rng.integers(-30, 31, edges.size)
        zeros = np.zeros((bias.size, 1), np.int64)
        tensors = [
            T((1, 1), 1.0, 0),
            T((1, bias.size), output, 0),
            T(zeros.shape, 1.0, data=zeros),
            T(zeros.shape, times, dtype=INT16, data=zeros),
            T(bias.shape, state * times, dtype=INT32, data=bias),
            T((1, bias.size), state, 0, INT16, variable=True),
        ]
        opts = options(6, 1, ("b", NONE))
        tflite = write_tflite(tensors, [O(27, (0, 2, 3, 4, 5), (1,), opts)], [0], [1])
        window = np.zeros((1, 1), np.int8)
        expected = Truth(tflite).run(window).reshape(-1)
        np.testing.assert_array_equal(Twin(compile_model(tflite, SPEC)).run(window).reshape(-1), expected)
