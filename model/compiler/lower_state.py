"""READ_VARIABLE and ASSIGN_VARIABLE: copies, which are left out where that is safe (state_moves.py)."""

from __future__ import annotations

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.operands import Operands


def lower_variable(builder: Builder, ask: Operands) -> None:
    ask.count((1,))
    x, y = ask.value(0), ask.made()
    if x.tensor.elements * x.width != y.tensor.elements * y.width or x.dtype is not y.dtype:
        raise ask.refuse(f"{x.shape} {x.dtype.name} is not of the size of {y.shape} {y.dtype.name}")
    builder.emit_copy(x.index, y.index)
