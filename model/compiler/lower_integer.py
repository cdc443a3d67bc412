"""Plain integers, which have no scale: arithmetic of int32, and CAST. Sources: the int32 cases of
micro/kernels/{add,sub,mul,div,maximum_minimum,cast}.cc."""

from __future__ import annotations

from math import prod
from typing import Final

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.lower_other import broadcast, six
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Activation, Builtin, TensorType
from tinyfleet.model.compiler.tflite import TfGraph, TfOp, TfTensor
from tinyfleet.wire.artifact_ops import DIMS_MAX, OpCode
from tinyfleet.wire.artifact_signal import Arithmetic, ArithmeticParams, NoParams

_INT32: Final = (-(2**31), 2**31 - 1)
_KINDS: Final = {
    Builtin.ADD: Arithmetic.SUM,
    Builtin.DIV: Arithmetic.QUOTIENT,
    Builtin.MAXIMUM: Arithmetic.MAXIMUM,
    Builtin.MINIMUM: Arithmetic.MINIMUM,
    Builtin.MUL: Arithmetic.PRODUCT,
    Builtin.SUB: Arithmetic.DIFFERENCE,
}
_RANGES: Final = {
    Activation.NONE: _INT32,
    Activation.RELU: (0, _INT32[1]),
    Activation.RELU6: (0, 6),
    Activation.RELU_N1_TO_1: (-1, 1),
}
_WITH_ACTIVATION: Final = (Builtin.DIV, Builtin.MUL, Builtin.SUB)
"""TFLM's int32 ADD does not look at its activation."""

_CASTABLE: Final = {
    TensorType.BOOL: 1,
    TensorType.INT8: 1,
    TensorType.INT16: 2,
    TensorType.INT32: 4,
    TensorType.UINT32: 4,
}
"""Bytes of what TFLM's CAST takes, floats left out; all but BOOL can be made, too."""


def is_arithmetic(graph: TfGraph, op: TfOp) -> bool:
    """Whether it is plain int32 arithmetic, where the same op of int8 has scales."""
    return op.code in _KINDS and any(graph.tensors[i].dtype is TensorType.INT32 for i in op.outputs)


def lower_arithmetic(builder: Builder, ask: Operands) -> None:
    ask.count((2,))
    a, b = (_int32(ask, i) for i in ask.op.inputs)
    y = _int32(ask, ask.op.outputs[0])
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise ask.refuse(f"shapes {a.shape} and {b.shape} do not broadcast") from error
    if y.shape != shape or len(shape) > DIMS_MAX:
        raise ask.refuse(f"output {y.shape}, expected {shape} of at most {DIMS_MAX} dims")
    if ask.op.code == Builtin.DIV and b.data is not None and not b.data.all():
        raise ask.refuse(f"{b} holds 0, and it divides by it")
    size, a_stride, b_stride = broadcast(shape, a.shape, b.shape)
    kind = _KINDS[Builtin(ask.op.code)]
    params = ArithmeticParams(six(size, 1), six(a_stride, 0), six(b_stride, 0), *_range(ask), kind)
    whole = tuple(i for i, operand in enumerate((a, b)) if prod(operand.shape) == prod(y.shape))
    builder.emit(OpCode.ARITHMETIC, (a.index, b.index), y.index, params, in_place=whole)


def _int32(ask: Operands, index: int) -> TfTensor:
    tensor = ask.graph.tensors[index] if index >= 0 else None
    if tensor is None or tensor.dtype is not TensorType.INT32 or tensor.scales.size:
        raise ask.refuse(f"{tensor}: expected int32 without a scale")
    return tensor


def _range(ask: Operands) -> tuple[int, int]:
    if ask.op.code not in _WITH_ACTIVATION:
        return _INT32
    activation = ask.choice(0, Activation)
    if activation not in _RANGES:
        raise ask.refuse(f"fused activation {activation.name}; make it an op of its own")
    return _RANGES[activation]


def lower_cast(builder: Builder, ask: Operands) -> None:
    """Between integers. Of the same width it costs nothing."""
    ask.count((1,))
    x, y = ask.graph.tensors[ask.op.inputs[0]], ask.graph.tensors[ask.op.outputs[0]]
    if x.dtype not in _CASTABLE or y.dtype not in _CASTABLE or y.dtype is TensorType.BOOL:
        raise ask.refuse(f"from {x.dtype.name} to {y.dtype.name}; expected integers of 8 to 32 bits")
    if x.elements != y.elements:
        raise ask.refuse(f"{x.shape} does not become {y.shape}")
    if _CASTABLE[x.dtype] == _CASTABLE[y.dtype]:
        builder.alias(x.index, y.index)
    else:
        builder.emit(OpCode.CAST, (x.index,), y.index, NoParams())
