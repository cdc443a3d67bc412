"""Functions of one int8 value as 256 answers, worked out as TensorFlow Lite Micro's kernels do it.

Sources under tensorflow/lite/: micro/kernels/{activations,leaky_relu,hard_swish,elu,quantize}*.cc and
kernels/internal/reference/integer_ops/{logistic,tanh}.h over gemmlowp's fixedpoint.h. Values that are float
in C++ are np.float32 here; scales are divided in double (`numerics`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from tinyfleet.model.compiler.errors import UnsupportedModel
from tinyfleet.model.compiler.numerics import (
    INT8_MAX,
    INT8_MIN,
    Multiplier,
    quantize_multiplier,
    rescaled,
    round_away,
    wrapped,
)
from tinyfleet.model.compiler.operands import Quantized

Table = tuple[int, ...]
"""Answers for -128 to 127, in this order."""

IDENTITY: Final[Table] = tuple(range(INT8_MIN, INT8_MAX + 1))
_INTEGER_BITS: Final = 4
_ONE_Q31: Final = 2**31 - 1
# e^-(2^k) for k = -2..4, Q0.31
_EXP_FACTORS: Final = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def requantize(x: Quantized, y: Quantized) -> Table:
    scale = quantize_multiplier(float(x.scale) / float(y.scale))
    return _each(lambda q: _clamped(y.zero + rescaled(q - x.zero, *scale)))


def relu(x: Quantized, y: Quantized) -> Table:
    scale = quantize_multiplier(float(x.scale) / float(y.scale))
    return _each(lambda q: max(_clamped(y.zero + rescaled(q - x.zero, *scale)), y.zero))


def relu6(x: Quantized, y: Quantized) -> Table:
    """In the input's quantisation; the output is taken to have the same."""
    six = _clamped(round_away(float(np.float32(6.0) / x.scale)) + x.zero)
    return _each(lambda q: min(max(q, x.zero), six))


def leaky_relu(x: Quantized, y: Quantized, alpha: np.float32) -> Table:
    slope, slope_shift = quantize_multiplier(float(x.scale) * float(alpha) / float(y.scale))
    identity = quantize_multiplier(float(x.scale) / float(y.scale))

    def one(q: int) -> int:
        value = q - x.zero
        if value >= 0:
            return _clamped(y.zero + rescaled(value, *identity))
        scaled = rescaled(value, abs(slope), slope_shift)
        return _clamped(y.zero + (-scaled if slope < 0 else scaled))

    return _each(one)


def elu(x: Quantized, y: Quantized) -> Table:
    """By a table in TFLM too."""
    inverse = np.float32(1.0) / y.scale

    def one(q: int) -> int:
        value = x.scale * np.float32(q - x.zero)
        changed = _float32(math.exp, value) - np.float32(1.0) if value < 0 else value
        return _clamped(int(np.float32(round_away(float(changed * inverse))) + np.float32(y.zero)))

    return _each(one)


def logistic(x: Quantized, where: str) -> Table:
    scale, radius = _q4_scaling(x, where)

    def one(q: int) -> int:
        value = q - x.zero
        if abs(value) >= radius:
            return INT8_MAX if value > 0 else INT8_MIN
        return _clamped(_divided(_logistic_q4(rescaled(value, *scale)), 31 - 8) + INT8_MIN)

    return _each(one)


def tanh(x: Quantized, where: str) -> Table:
    scale, radius = _q4_scaling(x, where)

    def one(q: int) -> int:
        value = q - x.zero
        if abs(value) >= radius:
            return INT8_MAX if value > 0 else INT8_MIN
        return _clamped(_divided(_tanh_q4(rescaled(value, *scale)), 31 - 7))

    return _each(one)


def hard_swish(x: Quantized, y: Quantized, where: str) -> Table:
    hires = float(x.scale) / 128.0
    out, out_shift = quantize_multiplier(hires / float(y.scale))
    reluish, reluish_shift = quantize_multiplier(hires / (3.0 / 32768.0))
    if out_shift > 0:
        raise UnsupportedModel(f"{where}: input scale / output scale is above 128; quantise the model again")
    out, reluish = _to_int16(out), _to_int16(reluish)

    def one(q: int) -> int:
        value = (q - x.zero) * 128
        gate = value
        if reluish_shift > 0:
            gate = _saturated16(gate << (reluish_shift - 1))
        gate = _high_mul16(gate, reluish)
        if reluish_shift > 0:
            gate = _saturated16(gate << 1)
        elif reluish_shift < 0:
            gate = _divided(gate, -reluish_shift)
        product = ((gate + 2**15) >> 1) * _high_mul16(value, out)
        product = product // 2**15 if product >= 0 else -(-product // 2**15)
        return _clamped(_divided(product, -out_shift) + y.zero)

    return _each(one)


def magnitude(x: Quantized, y: Quantized) -> Table:
    """ABS."""
    scale = quantize_multiplier(float(x.scale) / float(y.scale))
    if x.scale == y.scale:
        return _each(lambda q: _clamped(abs(q - x.zero) + y.zero))
    return _each(lambda q: _clamped(rescaled(abs(q - x.zero), *scale) + y.zero))


def inverse_root(x: Quantized, y: Quantized) -> Table:
    """RSQRT. TFLM stops at values below the zero point; here they give what the zero point gives."""
    scale, shift = quantize_multiplier(1.0 / (math.sqrt(float(x.scale)) * float(y.scale)))
    bits = 20

    def one(q: int) -> int:
        value = q - x.zero
        if value <= 0:
            return INT8_MAX
        root, root_shift = _inverse_root(value)
        data = rescaled(1, root, root_shift + bits)
        return _clamped(rescaled(data, scale, shift - bits) + y.zero)

    return _each(one)


FloatFunction = Callable[[np.float32], np.float32]


def through_floats(x: Quantized, functions: tuple[FloatFunction, ...], y: Quantized) -> Table:
    """DEQUANTIZE, float ops of one value, QUANTIZE."""

    def one(q: int) -> int:
        value = np.float32(float(x.scale) * (q - x.zero))
        for function in functions:
            value = function(value)
        steps = float(value / y.scale)
        if math.isnan(steps):
            return INT8_MIN
        return _clamped(round_away(min(max(steps, -1e6), 1e6)) + y.zero)

    with np.errstate(all="ignore"):
        return _each(one)


def _each(function: Callable[[int], int]) -> Table:
    return tuple(function(q) for q in range(INT8_MIN, INT8_MAX + 1))


def _clamped(value: int) -> int:
    return min(max(value, INT8_MIN), INT8_MAX)


def _float32(function: Callable[[float], float], value: np.float32) -> np.float32:
    return np.float32(function(float(value)))


def _q4_scaling(x: Quantized, where: str) -> tuple[Multiplier, int]:
    """Multiplier to Q4.27, and the magnitude from which the function has saturated."""
    multiplier, shift = quantize_multiplier(float(x.scale) * 2 ** (31 - _INTEGER_BITS))
    if not -31 <= shift <= 30:
        raise UnsupportedModel(f"{where}: input scale {x.scale:g} is out of range; quantise the model again")
    largest = (2**_INTEGER_BITS - 1) * 2 ** (31 - _INTEGER_BITS)
    return (multiplier, shift), math.floor(largest / 2.0**shift)


def _divided(value: int, exponent: int) -> int:
    """RoundingDivideByPOT: halves away from zero."""
    mask = (1 << exponent) - 1
    return (value >> exponent) + ((value & mask) > (mask >> 1) + (value < 0))


def _high_mul(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul, 32 bits."""
    return min((a * b + 2**30) >> 31, _ONE_Q31)


def _high_mul16(a: int, b: int) -> int:
    return min((a * b + 2**14) >> 15, 2**15 - 1)


def _saturated16(value: int) -> int:
    return min(max(value, -(2**15)), 2**15 - 1)


def _shifted(value: int, exponent: int) -> int:
    """SaturatingRoundingMultiplyByPOT, to the left."""
    return min(max(value << exponent, -(2**31)), _ONE_Q31)


def _to_int16(multiplier: int) -> int:
    """DownScaleInt32ToInt16Multiplier."""
    return 2**15 - 1 if multiplier >= 2**31 - 2**15 else (multiplier + 2**15) >> 16


def _exp_negative(a: int, integer_bits: int) -> int:
    """e^a for a <= 0 in Q(integer_bits); the result is Q0.31."""
    if a == 0:
        return _ONE_Q31
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    part = (a & (quarter - 1)) - quarter
    x = wrapped(_shifted(part, integer_bits) + 2**28)
    x2 = _high_mul(x, x)
    x3, x4 = _high_mul(x2, x), _high_mul(x2, x2)
    series = _divided(_high_mul(_divided(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + _high_mul(x + series, 1895147668)
    remainder = part - a
    for k in range(-2, integer_bits):
        if remainder & (1 << (fraction_bits + k)):
            result = _high_mul(result, _EXP_FACTORS[k + 2])
    return result


def _inverse(a: int) -> int:
    """2 / (1 + a) for a in [0, 1), Q2.29: three Newton steps."""
    half = (a + _ONE_Q31 + 1) // 2
    x = 1515870810 + _high_mul(half, -1010580540)
    for _ in range(3):
        x = wrapped(x + _shifted(_high_mul(x, 2**29 - _high_mul(half, x)), 2))
    return x


def _logistic_q4(a: int) -> int:
    if a == 0:
        return 2**30
    positive = _shifted(_inverse(_exp_negative(-abs(a), _INTEGER_BITS)), 1)
    return positive if a > 0 else _ONE_Q31 - positive


def _tanh_q4(a: int) -> int:
    if a == 0:
        return 0
    size = _shifted(_inverse(_exp_negative(-abs(a), _INTEGER_BITS + 1)) - 2**29, 2)
    return size if a > 0 else -size


def _inverse_root(value: int) -> tuple[int, int]:
    """GetInvSqrtQuantizedMultiplierExp for 1 to 255: multiplier and shift of 1 / sqrt(value)."""
    if value == 1:
        return _ONE_Q31, 0
    pairs = (31 - value.bit_length()) // 2 - 1
    half = (value << 2 * pairs) >> 1
    x = 2**28
    for _ in range(5):
        cube = _shifted(_high_mul(_high_mul(x, x), x), 6)
        x = _shifted(_high_mul(2**28 + 2**27, x) - _high_mul(_divided(half, 1), cube), 3)
    right = 11 - pairs
    return _high_mul(x, 1518500250) << max(-right, 0), -max(right, 0)
