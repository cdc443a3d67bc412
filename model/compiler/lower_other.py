"""Pools, SOFTMAX and ADD."""

from __future__ import annotations

from math import prod

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.numerics import (
    INT8_MAX,
    INT8_MIN,
    quantize_multiplier,
    softmax_scaling,
    window,
)
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.scalar import emit_as_table
from tinyfleet.model.compiler.schema import Padding, TensorType
from tinyfleet.wire.artifact_ops import (
    DIMS_MAX,
    SOFTMAX_DEPTH_MAX,
    AddParams,
    LogSoftmaxParams,
    OpCode,
    PoolParams,
    SoftmaxParams,
)

_ADD_LEFT_SHIFT = 20
_POOL_SCALE_TOLERANCE = 1e-6
_SOFTMAX_TOLERANCE = 1e-3


def lower_pool(builder: Builder, ask: Operands) -> None:
    ask.count((1,))
    x, y = ask.activation(0), ask.output()
    if len(x.shape) != 4 or len(y.shape) != 4:
        raise ask.refuse(f"shapes {x.shape}, {y.shape}; expected 4 dims")
    if abs(float(x.scale) - float(y.scale)) > _POOL_SCALE_TOLERANCE or x.zero != y.zero:
        raise ask.refuse("input and output are quantised differently; a pool keeps scale and zero point")
    padding = ask.choice(0, Padding)
    stride_w = ask.positive("stride_w", ask.option(1, "i"))
    stride_h = ask.positive("stride_h", ask.option(2, "i"))
    kernel_w = ask.positive("filter_width", ask.option(3, "i"))
    kernel_h = ask.positive("filter_height", ask.option(4, "i"))
    out_h, pad_top = window(padding, x.shape[1], kernel_h, stride_h, 1)
    out_w, pad_left = window(padding, x.shape[2], kernel_w, stride_w, 1)
    expected = (x.shape[0], out_h, out_w, x.shape[3])
    if y.shape != expected:
        raise ask.refuse(f"output {y.shape}, expected {expected} from input {x.shape}")
    act_min, act_max = ask.clamp(5, y)
    params = PoolParams(kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, act_min, act_max)
    builder.emit(OpCode(ask.op.code), (x.index,), y.index, params)


def lower_softmax(builder: Builder, ask: Operands) -> None:
    """From int8 to int8, or to int16 of twice as many bits."""
    ask.count((1,))
    x, y = ask.activation(0), ask.made()
    if not x.shape or x.shape != y.shape:
        raise ask.refuse(f"shapes {x.shape}, {y.shape}; expected equal ones")
    if y.dtype is TensorType.INT16:
        fits = y.zero == -(2**15) and abs(float(y.scale) * 2**16 - 1) <= _SOFTMAX_TOLERANCE
        wanted = f"1/65536 and {-(2**15)}"
    else:
        y = ask.output()
        fits, wanted = y.zero == INT8_MIN and float(y.scale) == 1 / 256, f"1/256 and {INT8_MIN}"
    if not fits:
        raise ask.refuse(
            f"output scale {y.scale}, zero point {y.zero}; {y.dtype.name.lower()} SOFTMAX has {wanted}"
        )
    depth = ask.positive("last dim", x.shape[-1], SOFTMAX_DEPTH_MAX)
    multiplier, left_shift, diff_min = softmax_scaling(ask.real_option(0), float(x.scale), ask.where)
    params = SoftmaxParams(depth, multiplier, left_shift, diff_min)
    in_place = (0,) if y.dtype is TensorType.INT8 else ()
    builder.emit(OpCode.SOFTMAX, (x.index,), y.index, params, in_place=in_place)


def lower_log_softmax(builder: Builder, ask: Operands) -> None:
    ask.count((1,))
    x, y = ask.activation(0), ask.output()
    if not x.shape or x.shape != y.shape:
        raise ask.refuse(f"shapes {x.shape}, {y.shape}; expected equal ones")
    if y.zero != INT8_MAX or float(y.scale) != 16 / 256:
        raise ask.refuse(
            f"output scale {y.scale}, zero point {y.zero}; int8 LOG_SOFTMAX has 1/16 and {INT8_MAX}"
        )
    depth = ask.positive("last dim", x.shape[-1], SOFTMAX_DEPTH_MAX)
    multiplier, left_shift, diff_min = softmax_scaling(1.0, float(x.scale), ask.where)
    reverse = quantize_multiplier(2 ** (31 - left_shift) / multiplier)
    params = LogSoftmaxParams(depth, multiplier, left_shift, diff_min, *reverse)
    builder.emit(OpCode.LOG_SOFTMAX, (x.index,), y.index, params, in_place=(0,))


def lower_add(builder: Builder, ask: Operands) -> None:
    ask.count((2,))
    a, b, y = ask.activation(0), ask.activation(1), ask.output()
    try:
        expected = np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise ask.refuse(f"shapes {a.shape} and {b.shape} do not broadcast") from error
    if y.shape != expected or len(expected) > DIMS_MAX:
        raise ask.refuse(f"output {y.shape}, expected {expected} of at most {DIMS_MAX} dims")
    twice_largest = 2 * float(max(a.scale, b.scale))
    out_real = twice_largest / (2**_ADD_LEFT_SHIFT * float(y.scale))
    if out_real >= 1.0:
        raise ask.refuse(f"input scales {a.scale}, {b.scale} are too large for output scale {y.scale}")
    a_multiplier, a_shift = quantize_multiplier(float(a.scale) / twice_largest)
    b_multiplier, b_shift = quantize_multiplier(float(b.scale) / twice_largest)
    out_multiplier, out_shift = quantize_multiplier(out_real)
    act_min, act_max = ask.clamp(0, y)
    size, a_stride, b_stride = broadcast(expected, a.shape, b.shape)
    params = AddParams(
        size=six(size, 1),
        a_stride=six(a_stride, 0),
        b_stride=six(b_stride, 0),
        a_multiplier=a_multiplier,
        a_shift=a_shift,
        b_multiplier=b_multiplier,
        b_shift=b_shift,
        out_multiplier=out_multiplier,
        out_shift=out_shift,
        left_shift=_ADD_LEFT_SHIFT,
        a_zero=a.zero,
        b_zero=b.zero,
        out_zero=y.zero,
        act_min=act_min,
        act_max=act_max,
    )
    if emit_as_table(builder, OpCode.ADD, a, b, y, params):
        return
    whole = tuple(i for i, operand in enumerate((a, b)) if prod(operand.shape) == prod(y.shape))
    builder.emit(OpCode.ADD, (a.index, b.index), y.index, params, in_place=whole)


def broadcast(
    shape: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]
) -> tuple[list[int], list[int], list[int]]:
    """Sizes and strides of both operands, outermost first; dims that walk on evenly are merged."""
    size: list[int] = []
    strides: list[tuple[int, int]] = []
    steps = [1, 1]
    for axis in range(1, len(shape) + 1):
        if shape[-axis] == 1:
            continue
        dims = [operand[-axis] if axis <= len(operand) else 1 for operand in (a, b)]
        stride = tuple(0 if dim == 1 else step for dim, step in zip(dims, steps, strict=True))
        even = size and all(
            outer == inner * size[-1] for outer, inner in zip(stride, strides[-1], strict=True)
        )
        if even:
            size[-1] *= shape[-axis]
        else:
            size.append(shape[-axis])
            strides.append((stride[0], stride[1]))
        steps = [step * dim for step, dim in zip(steps, dims, strict=True)]
    return size[::-1], [s[0] for s in strides[::-1]], [s[1] for s in strides[::-1]]


def six(values: list[int], fill: int) -> tuple[int, int, int, int, int, int]:
    a, b, c, d, e, f = [fill] * (DIMS_MAX - len(values)) + values
    return a, b, c, d, e, f
