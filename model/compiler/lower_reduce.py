"""Reductions that keep more than their mean: SUM, REDUCE_MAX and REDUCE_MIN."""

from __future__ import annotations

from math import prod

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.lower_other import split_axes
from tinyfleet.model.compiler.numerics import checked_multiplier, wrapped
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.wire.artifact_ops import MeanParams, OpCode

_CODES = {
    Builtin.SUM: OpCode.MEAN,
    Builtin.REDUCE_MAX: OpCode.REDUCE_MAX,
    Builtin.REDUCE_MIN: OpCode.REDUCE_MIN,
}


def lower_reduce(builder: Builder, ask: Operands) -> None:
    """A SUM is a MEAN whose multiplier has no 1 / count in it."""
    ask.count((2,))
    x, y = ask.activation(0), ask.output()
    rank = len(x.shape)
    axes = {axis + rank if axis < 0 else axis for axis in ask.constant_ints(1)}
    if not axes <= set(range(rank)):
        raise ask.refuse(f"axes {sorted(axes)} of {rank} dims")
    count = prod(x.shape[axis] for axis in axes)
    if prod(y.shape) * count != prod(x.shape):
        raise ask.refuse(f"output {y.shape} from input {x.shape} over axes {sorted(axes)}")
    code = _CODES[Builtin(ask.op.code)]
    multiplier, shift, first = 0, 0, 0
    if code is OpCode.MEAN:
        multiplier, shift = checked_multiplier(float(x.scale) / float(y.scale), ask.where)
        first = wrapped(-x.zero * count)
    elif (x.scale, x.zero) != (y.scale, y.zero):
        raise ask.refuse("input and output are quantised differently; a largest value keeps its scale")
    kept, reduced = split_axes(x.shape, axes)
    if len(kept) > 3 or len(reduced) > 3:
        raise ask.refuse(f"axes {sorted(axes)} of {x.shape}: more than 3 runs of dims are kept or reduced")
    kept, reduced = [(1, 0)] * (3 - len(kept)) + kept, [(1, 0)] * (3 - len(reduced)) + reduced
    params = MeanParams(
        kept_size=(kept[0][0], kept[1][0], kept[2][0]),
        kept_stride=(kept[0][1], kept[1][1], kept[2][1]),
        reduced_size=(reduced[0][0], reduced[1][0], reduced[2][0]),
        reduced_stride=(reduced[0][1], reduced[1][1], reduced[2][1]),
        first=first,
        multiplier=multiplier,
        shift=shift,
        output_zero=y.zero,
    )
    builder.emit(code, (x.index,), y.index, params)
