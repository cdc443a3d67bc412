"""Reductions: MEAN, SUM, REDUCE_MAX and REDUCE_MIN."""

from __future__ import annotations

from math import prod

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.numerics import checked_multiplier, mean_multiplier, wrapped
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.wire.artifact_ops import MeanParams, OpCode

_CODES = {
    Builtin.MEAN: OpCode.MEAN,
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
    kept, reduced = _split(x.shape, axes)
    if len(kept) > 3 or len(reduced) > 3:
        raise ask.refuse(f"axes {sorted(axes)} of {x.shape}: more than 3 runs of dims are kept or reduced")
    kind = Builtin(ask.op.code)
    ratio = float(x.scale) / float(y.scale)
    multiplier, shift, first = 0, 0, 0
    if kind is Builtin.MEAN:
        multiplier, shift = mean_multiplier(ratio, count)
        if not -31 <= shift <= 30:
            raise ask.refuse(
                f"input scale {x.scale} / output scale {y.scale} is out of range; quantise it again"
            )
    elif kind is Builtin.SUM:
        multiplier, shift = checked_multiplier(ratio, ask.where)
    elif (x.scale, x.zero) != (y.scale, y.zero):
        raise ask.refuse("input and output are quantised differently; a largest value keeps its scale")
    if _CODES[kind] is OpCode.MEAN:
        first = wrapped(-x.zero * count)
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
    builder.emit(_CODES[kind], (x.index,), y.index, params)


def _split(shape: tuple[int, ...], axes: set[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(size, stride) of kept and of reduced dims, outermost first; neighbours of one kind become one."""
    runs: list[tuple[bool, int, int]] = []
    stride = 1
    for axis in reversed(range(len(shape))):
        size, is_reduced = shape[axis], axis in axes
        if size > 1 and runs and runs[-1][0] == is_reduced:
            runs[-1] = (is_reduced, runs[-1][1] * size, runs[-1][2])
        elif size > 1:
            runs.append((is_reduced, size, stride))
        stride *= size
    runs.reverse()
    return [(n, s) for r, n, s in runs if not r], [(n, s) for r, n, s in runs if r]
