"""Element-wise ops of two operands that are functions of one value: the other is one constant, or the same.

As 256 answers they take a tenth of the time. The arithmetic is that of the kernels, from the same parameters
(firmware/runtime/kernels/portable/add.c and elementwise.c).
"""

from __future__ import annotations

from math import prod
from typing import Final

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.numerics import INT8_MAX, INT8_MIN, rescaled, wrapped
from tinyfleet.model.compiler.operands import Quantized
from tinyfleet.model.compiler.tables import IDENTITY, Table
from tinyfleet.wire.artifact_ops import AddParams, OpCode, TableParams

_ELEMENTS_LEAST: Final = 32
"""Below, the table's 256 bytes are not worth the time."""
_EXTREMES: Final = {OpCode.MAXIMUM: max, OpCode.MINIMUM: min}
_CODES: Final = (OpCode.ADD, OpCode.SUB, OpCode.MUL, OpCode.SQUARED_DIFFERENCE, *_EXTREMES)


def emit_as_table(
    builder: Builder, code: OpCode, a: Quantized, b: Quantized, y: Quantized, params: AddParams
) -> bool:
    """False where the op is no function of one value, or too small."""
    if code not in _CODES or prod(y.shape) < _ELEMENTS_LEAST:
        return False
    values = range(INT8_MIN, INT8_MAX + 1)
    if a.index == b.index:
        source, pairs = a, [(q, q) for q in values]
    elif (one := _constant(b)) is not None and prod(a.shape) == prod(y.shape):
        source, pairs = a, [(q, one) for q in values]
    elif (one := _constant(a)) is not None and prod(b.shape) == prod(y.shape):
        source, pairs = b, [(one, q) for q in values]
    else:
        return False
    if source.tensor.data is not None:
        return False
    table: Table = tuple(_answer(code, params, *pair) for pair in pairs)
    if table == IDENTITY:
        builder.alias(source.index, y.index)
        return True
    builder.emit(
        OpCode.TABLE, (source.index,), y.index, TableParams(builder.table(table, "i1")), in_place=(0,)
    )
    return True


def _constant(operand: Quantized) -> int | None:
    if operand.tensor.data is None or operand.tensor.elements != 1:
        return None
    return int(operand.tensor.data.reshape(-1)[0])


def _answer(code: OpCode, p: AddParams, a: int, b: int) -> int:
    if code in _EXTREMES:
        return _EXTREMES[code](a, b)
    left, right = a - p.a_zero, b - p.b_zero
    if code is OpCode.MUL:
        value = left * right
    else:
        left = rescaled(left << p.left_shift, p.a_multiplier, p.a_shift)
        right = rescaled(right << p.left_shift, p.b_multiplier, p.b_shift)
        value = wrapped(left + right if code is OpCode.ADD else left - right)
        if code is OpCode.SQUARED_DIFFERENCE:
            value = wrapped(value * value)
    scaled = wrapped(rescaled(value, p.out_multiplier, p.out_shift) + p.out_zero)
    return min(max(scaled, p.act_min), p.act_max)
