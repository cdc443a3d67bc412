"""Element-wise ops of two operands, with broadcasting."""

from __future__ import annotations

from math import prod

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.lower_other import broadcast, six
from tinyfleet.model.compiler.numerics import INT8_MAX, INT8_MIN, Multiplier, checked_multiplier
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.scalar import emit_as_table
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.wire.artifact_ops import DIMS_MAX, DIV_SHIFT_MAX, AddParams, OpCode

_SUB_LEFT_SHIFT = 20
_SQUARE_LEFT_SHIFT = 7
_NOTHING: Multiplier = (0, 0)


def lower_sub(builder: Builder, ask: Operands) -> None:
    a, b, y = _operands(ask)
    twice_largest = 2 * float(max(a.scale, b.scale))
    scales = (
        _below_one(ask, float(a.scale) / twice_largest),
        _below_one(ask, float(b.scale) / twice_largest),
        _below_one(ask, twice_largest / (2**_SUB_LEFT_SHIFT * float(y.scale))),
    )
    _emit(builder, ask, OpCode.SUB, scales, _SUB_LEFT_SHIFT, ask.clamp(0, y))


def lower_squared_difference(builder: Builder, ask: Operands) -> None:
    a, b, y = _operands(ask)
    twice_largest = 2 * float(max(a.scale, b.scale))
    out = twice_largest * twice_largest / (2 ** (2 * _SQUARE_LEFT_SHIFT) * float(y.scale))
    scales = (
        _below_one(ask, float(a.scale) / twice_largest),
        _below_one(ask, float(b.scale) / twice_largest),
        checked_multiplier(out, ask.where),
    )
    _emit(builder, ask, OpCode.SQUARED_DIFFERENCE, scales, _SQUARE_LEFT_SHIFT, (INT8_MIN, INT8_MAX))


def lower_mul(builder: Builder, ask: Operands) -> None:
    a, b, y = _operands(ask)
    out = checked_multiplier(float(a.scale) * float(b.scale) / float(y.scale), ask.where)
    _emit(builder, ask, OpCode.MUL, (_NOTHING, _NOTHING, out), 0, ask.clamp(0, y))


def lower_div(builder: Builder, ask: Operands) -> None:
    a, b, y = _operands(ask)
    if b.tensor.data is not None and bool(np.any(b.tensor.data == b.zero)):
        raise ask.refuse(f"the divisor {b.tensor} has zeros")
    out = checked_multiplier(float(a.scale) / (float(b.scale) * float(y.scale)), ask.where)
    if abs(out[1]) > DIV_SHIFT_MAX:
        raise ask.refuse(f"scales {a.scale} / {b.scale} are too far from the output's, {y.scale}")
    _emit(builder, ask, OpCode.DIV, (_NOTHING, _NOTHING, out), 0, ask.clamp(0, y))


def lower_extreme(builder: Builder, ask: Operands) -> None:
    """MAXIMUM and MINIMUM compare bytes, whatever their scales."""
    _operands(ask)
    code = OpCode.MAXIMUM if ask.op.code == Builtin.MAXIMUM else OpCode.MINIMUM
    _emit(builder, ask, code, (_NOTHING, _NOTHING, _NOTHING), 0, (INT8_MIN, INT8_MAX))


def lower_prelu(builder: Builder, ask: Operands) -> None:
    x, slope, y = _operands(ask)
    if x.shape != y.shape:
        raise ask.refuse(f"the slopes {slope.shape} are larger than the input {x.shape}")
    positive = checked_multiplier(float(x.scale) / float(y.scale), ask.where)
    negative = checked_multiplier(float(x.scale) * float(slope.scale) / float(y.scale), ask.where)
    _emit(builder, ask, OpCode.PRELU, (positive, _NOTHING, negative), 0, (INT8_MIN, INT8_MAX))


def _operands(ask: Operands) -> tuple[Quantized, Quantized, Quantized]:
    ask.count((2,))
    return ask.activation(0), ask.activation(1), ask.output()


def _below_one(ask: Operands, real: float) -> Multiplier:
    if real >= 1.0:
        raise ask.refuse("input scales are too large for the output's; quantise the model again")
    return checked_multiplier(real, ask.where)


def _emit(
    builder: Builder,
    ask: Operands,
    code: OpCode,
    scales: tuple[Multiplier, Multiplier, Multiplier],
    left_shift: int,
    clamp: tuple[int, int],
) -> None:
    a, b, y = _operands(ask)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise ask.refuse(f"shapes {a.shape} and {b.shape} do not broadcast") from error
    if y.shape != shape or len(shape) > DIMS_MAX:
        raise ask.refuse(f"output {y.shape}, expected {shape} of at most {DIMS_MAX} dims")
    size, a_stride, b_stride = broadcast(shape, a.shape, b.shape)
    params = AddParams(
        six(size, 1),
        six(a_stride, 0),
        six(b_stride, 0),
        *scales[0],
        *scales[1],
        *scales[2],
        left_shift=left_shift,
        a_zero=a.zero,
        b_zero=b.zero,
        out_zero=y.zero,
        act_min=clamp[0],
        act_max=clamp[1],
    )
    if emit_as_table(builder, code, a, b, y, params):
        return
    whole = tuple(i for i, operand in enumerate((a, b)) if prod(operand.shape) == prod(y.shape))
    builder.emit(code, (a.index, b.index), y.index, params, in_place=whole)
