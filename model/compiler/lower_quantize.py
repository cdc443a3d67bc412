"""QUANTIZE: from int8 to int8 a table, between other widths an op."""

from __future__ import annotations

from typing import Final

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.lower_table import lower_table
from tinyfleet.model.compiler.numerics import checked_multiplier
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import TensorType
from tinyfleet.wire.artifact_ops import OpCode, QuantizeParams

_PAIRS: Final = {
    TensorType.INT8: (TensorType.INT16, TensorType.INT32),
    TensorType.INT16: (TensorType.INT8, TensorType.INT16, TensorType.INT32),
    TensorType.INT32: (TensorType.INT8, TensorType.INT16),
}
"""What micro/kernels/quantize_common.cc can do, uint8 left out."""


def lower_quantize(builder: Builder, ask: Operands) -> None:
    ask.count((1,))
    x, y = ask.value(0), ask.made()
    if x.dtype is TensorType.INT8 and y.dtype is TensorType.INT8:
        lower_table(builder, ask)
        return
    if y.dtype not in _PAIRS.get(x.dtype, ()):
        raise ask.refuse(f"from {x.dtype.name} to {y.dtype.name}; TFLM has no such QUANTIZE either")
    if x.tensor.scales.size != 1 or y.tensor.scales.size != 1:
        raise ask.refuse(f"{x.tensor} or {y.tensor} has no scale")
    if x.tensor.elements != y.tensor.elements:
        raise ask.refuse(f"input {x.shape} and output {y.shape}; expected equal shapes")
    multiplier, shift = checked_multiplier(float(x.scale) / float(y.scale), ask.where)
    params = QuantizeParams(multiplier, shift, x.zero, y.zero)
    builder.emit(OpCode.QUANTIZE, (x.index,), y.index, params, in_place=(0,) if x.width == y.width else ())
