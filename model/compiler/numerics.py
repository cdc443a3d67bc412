"""Scales to integers, as TensorFlow Lite Micro's Prepare functions do it.

Sources under tensorflow/lite/: kernels/internal/quantization_util.cc (QuantizeMultiplier,
PreprocessSoftmaxScaling, CalculateInputRadius), kernels/kernel_util.cc (activation ranges, convolution
multipliers), kernels/padding.h. A value that is float in C++ is np.float32 here and one that is double is a
Python float: the last bit shows in the answers. What becomes a multiplier is worked out in double throughout:
TFLM's sources of August 2026 divide some scales in float (SUB, RELU, SVDF), the wheel that is our truth does
not (test_exactness_scales.py).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tinyfleet.model.compiler.errors import UnsupportedModel
from tinyfleet.model.compiler.schema import Activation, Padding
from tinyfleet.wire.artifact_ops import SHIFT_MAX

INT8_MIN: Final = -128
INT8_MAX: Final = 127
SOFTMAX_INTEGER_BITS: Final = 5

Multiplier = tuple[int, int]
"""(multiplier, shift): value = multiplier / 2^31 x 2^shift."""


def round_away(value: float) -> int:
    """std::round: to nearest, halves away from zero."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(0.5 - value)


def quantize_multiplier(real: float) -> Multiplier:
    """QuantizeMultiplier. Too small a number becomes 0, as there; one above 2^30 is refused by `checked`."""
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    fixed = round_away(fraction * 2**31)
    if fixed == 2**31:
        fixed //= 2
        shift += 1
    return (0, 0) if shift < -31 else (fixed, shift)


def checked_multiplier(real: float, where: str) -> Multiplier:
    """A multiplier that the runtime's 32-bit shift can carry."""
    multiplier, shift = quantize_multiplier(real)
    if shift > SHIFT_MAX:
        raise UnsupportedModel(
            f"{where}: input scale x weight scale / output scale is {real:g}, above 2^{SHIFT_MAX}; "
            "the scales are broken: quantise the model again"
        )
    return multiplier, shift


def activation_range(activation: Activation, scale: np.float32, zero_point: int) -> tuple[int, int]:
    """CalculateActivationRangeQuantized for int8: smallest and largest output value."""

    def quantized(value: float) -> int:
        return zero_point + round_away(float(np.float32(value) / scale))

    if activation is Activation.RELU:
        return max(INT8_MIN, zero_point), INT8_MAX
    if activation is Activation.RELU6:
        return max(INT8_MIN, zero_point), min(INT8_MAX, quantized(6.0))
    if activation is Activation.RELU_N1_TO_1:
        return max(INT8_MIN, quantized(-1.0)), min(INT8_MAX, quantized(1.0))
    return INT8_MIN, INT8_MAX


def window(padding: Padding, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """(output size, padding before the first value) along one axis. ComputePaddingHeightWidth."""
    reach = (kernel - 1) * dilation + 1
    out = (size + stride - 1) // stride if padding is Padding.SAME else (size + stride - reach) // stride
    return out, max((out - 1) * stride + reach - size, 0) // 2


def mean_multiplier(real: float, count: int) -> Multiplier:
    """Multiplier of a MEAN over `count` values: QuantizedMeanOrSum folds 1 / count into it."""
    multiplier, shift = quantize_multiplier(real)
    down = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << down) // count, shift - down


def softmax_scaling(beta: float, scale: float, where: str) -> tuple[int, int, int]:
    """(multiplier, left shift, smallest difference that counts)."""
    real = min(beta * scale * 2 ** (31 - SOFTMAX_INTEGER_BITS), 2.0**31 - 1.0)
    if real <= 1.0:
        raise UnsupportedModel(f"{where}: beta x input scale is {beta * scale:g}, too small for int8 SOFTMAX")
    multiplier, left_shift = quantize_multiplier(real)
    largest = (2**SOFTMAX_INTEGER_BITS - 1) * 2 ** (31 - SOFTMAX_INTEGER_BITS)
    return multiplier, left_shift, -math.floor(largest / 2**left_shift)


def wrapped(value: int) -> int:
    """To int32, modulo 2^32: how the kernels' sums wrap."""
    return (value + 2**31) % 2**32 - 2**31


def rescaled(value: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier, as `tf_rescale` in the runtime: multiplier >= 0."""
    left, right = max(shift, 0), max(-shift, 0)
    high = (wrapped(value << left) * multiplier + 2**30) >> 31
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))
