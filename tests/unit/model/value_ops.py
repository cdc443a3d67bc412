"""Random models of one op that is a function of one value."""

import numpy as np
from tests.unit.model.op_parts import dims, single
from tests.unit.model.single_ops import scale, zero_point
from tests.unit.model.tflite_writer import FLOAT32, UINT8, O, T, options, write_tflite


def unary(code, output=None, opts=lambda rng: (0, None), steps=(-3, 0)):
    """A function of one value; `output`: its fixed (scale, zero point)."""

    def make(rng):
        shape = (int(rng.integers(1, 4)), int(rng.choice([64, 256, 300])))
        step = float(np.float32(10 ** rng.uniform(*steps)))
        made = output or (step * float(10 ** rng.uniform(-0.7, 0.9)), zero_point(rng))
        return single(code, T(shape, step, zero_point(rng)), T(shape, *made), opts(rng))

    return make


def relu6(rng):
    step, zero = scale(rng) / 4, zero_point(rng)
    return single(21, T((2, 256), step, zero), T((2, 256), step, zero))


def quantize_uint8(rng):
    """uint8 in, int8 in the middle, uint8 out; often only the top bit differs."""
    step, zero = scale(rng), int(rng.integers(0, 256))
    shape, plain = dims(rng), rng.random() < 0.5
    middle = (step, zero - 128) if plain else (step * rng.uniform(0.5, 2), zero_point(rng))
    last = (middle[0] * rng.uniform(0.5, 2), int(rng.integers(0, 256)))
    tensors = [T(shape, step, zero, UINT8), T(shape, *middle), T(shape, *last, UINT8)]
    return write_tflite(tensors, [O(114, (0,), (1,)), O(114, (1,), (2,))], [0], [2])


FUNCTIONS = {
    "ABS": 101,
    "CEIL": 104,
    "COS": 108,
    "ELU": 111,
    "EXP": 47,
    "FLOOR": 8,
    "HARD_SWISH": 117,
    "LEAKY_RELU": 98,
    "LOGISTIC": 14,
    "NEG": 59,
    "RELU": 19,
    "RELU6": 21,
    "ROUND": 116,
    "SIN": 66,
    "SQUARE": 92,
    "TANH": 28,
}
OF_POSITIVE = {"LOG": 73, "RSQRT": 76, "SQRT": 75}
"""They follow an EXP: what they make of others is not a number."""


def function_chain(rng):
    """One or two functions, by code."""
    if rng.random() < 0.25:
        return [FUNCTIONS["EXP"], int(rng.choice(list(OF_POSITIVE.values())))]
    codes = [int(rng.choice(list(FUNCTIONS.values())))]
    if rng.random() < 0.5 and codes[0] not in (FUNCTIONS["EXP"], FUNCTIONS["SQUARE"]):
        codes.append(int(rng.choice(list(FUNCTIONS.values()))))
    return codes


def through_floats(rng):
    """DEQUANTIZE, one or two float functions, QUANTIZE."""
    codes = function_chain(rng)
    # Not beyond e^12: TFLM casts any float to an int, and what is too large is another number on each core.
    step = float(np.float32(10 ** rng.uniform(-2.5, -1.4)))
    tensors = [T((256,), step, zero_point(rng)), *(T((256,), dtype=FLOAT32) for _ in range(len(codes) + 1))]
    tensors.append(T((256,), float(10 ** rng.uniform(-2.5, -1)), zero_point(rng)))
    ops = [O(6, (0,), (1,))]
    for i, code in enumerate(codes):
        leaky = options(75, ("f", float(rng.choice([0.1, 0.3, -0.2, 1.5]))))
        ops.append(O(code, (i + 1,), (i + 2,), leaky if code == FUNCTIONS["LEAKY_RELU"] else (0, None)))
    ops.append(O(114, (len(codes) + 1,), (len(codes) + 2,)))
    return write_tflite(tensors, ops, [0], [len(tensors) - 1])


def inverse_root(rng):
    """Only of what is not below the zero point: a RELU in the input's own scale comes first."""
    step, zero = float(np.float32(10 ** rng.uniform(-3, 0))), int(rng.integers(-128, -60))
    tensors = [T((2, 256), step, zero), T((2, 256), step, zero)]
    tensors.append(
        T((2, 256), float(np.float32(step**-0.5 * 10 ** rng.uniform(-2.3, -0.9))), zero_point(rng))
    )
    return write_tflite(tensors, [O(19, (0,), (1,)), O(76, (1,), (2,))], [0], [2])


OPS = {
    "abs": unary(101),
    "elu": unary(111),
    "hard_swish": unary(117, steps=(-2.5, -0.5)),
    "leaky_relu": unary(98, opts=lambda rng: options(75, ("f", float(rng.choice([0.1, 0.3, -0.2, 1.5]))))),
    "logistic": unary(14, (1 / 256, -128)),
    "tanh": unary(28, (1 / 128, 0)),
    "relu": unary(19),
    "relu6": relu6,
    "quantize": unary(114),
    "quantize_uint8": quantize_uint8,
    "rsqrt": inverse_root,
    "through_floats": through_floats,
}
