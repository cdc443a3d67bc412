"""Ops of one value: all become a TABLE, or nothing where the table changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyfleet.model.compiler import tables
from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.numerics import INT8_MIN
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.wire.artifact_ops import OpCode, TableParams

_PLAIN: dict[int, Callable[[Quantized, Quantized], tables.Table]] = {
    Builtin.ABS: tables.magnitude,
    Builtin.ELU: tables.elu,
    Builtin.QUANTIZE: tables.requantize,
    Builtin.RELU: tables.relu,
    Builtin.RELU6: tables.relu6,
    Builtin.RSQRT: tables.inverse_root,
}


def lower_table(builder: Builder, ask: Operands) -> None:
    ask.count((1,))
    x, y = ask.activation(0), ask.output()
    if np.prod(x.shape) != np.prod(y.shape):
        raise ask.refuse(f"input {x.shape} and output {y.shape}; expected equal shapes")
    table = ask.op.table if ask.op.table is not None else _table(ask, x, y)
    if table == tables.IDENTITY:
        builder.alias(x.index, y.index)
        return
    params = TableParams(builder.table(table, "i1"))
    builder.emit(OpCode.TABLE, (x.index,), y.index, params, in_place=(0,))


def _table(ask: Operands, x: Quantized, y: Quantized) -> tables.Table:
    code = ask.op.code
    if code == Builtin.LOGISTIC:
        if y.zero != INT8_MIN:
            raise ask.refuse(f"output zero point {y.zero}; int8 LOGISTIC has {INT8_MIN}")
        return tables.logistic(x, ask.where)
    if code == Builtin.TANH:
        return tables.tanh(x, ask.where)
    if code == Builtin.HARD_SWISH:
        return tables.hard_swish(x, y, ask.where)
    if code == Builtin.LEAKY_RELU:
        return tables.leaky_relu(x, y, np.float32(ask.real_option(0)))
    return _PLAIN[code](x, y)
