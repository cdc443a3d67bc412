"""Ops that only move values: each becomes COPYs, views of memory that is there already, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.emitted import Piece
from tinyfleet.model.compiler.lower_other import six
from tinyfleet.model.compiler.numerics import INT8_MAX, INT8_MIN
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.model.compiler.slices import strided_slice
from tinyfleet.wire.artifact_ops import DIMS_MAX, FILL, CopyParams, OpCode

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A walk through both tensors: sizes, strides and starts in values, outermost first."""

    size: Shape
    from_stride: Shape
    to_stride: Shape
    from_first: int = 0
    to_first: int = 0


def strides_of(shape: Shape) -> Shape:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def emit_move(
    builder: Builder,
    ask: Operands,
    x: Quantized,
    y: Quantized,
    move: Move,
    fill: int | None = None,
    pieces: tuple[Piece, ...] = (),
) -> None:
    """The node moves bytes: a value of several is an axis of its own. A move that is a piece of the input as
    it lies there may be left out, and so may one for which there are `pieces`.

    fill: what every byte of the output is first.
    """
    if x.dtype is not y.dtype:
        raise ask.refuse(f"{x.dtype.name} does not become {y.dtype.name}")
    width = x.width
    axes: list[tuple[int, int, int]] = []
    walk = [
        (size, a * width, b * width)
        for size, a, b in zip(move.size, move.from_stride, move.to_stride, strict=True)
    ]
    for size, a, b in (*walk, (width, 1, 1)):
        if size == 1:
            continue
        if axes and axes[-1][1] == a * size and axes[-1][2] == b * size:
            axes[-1] = (axes[-1][0] * size, a, b)
        else:
            axes.append((size, a, b))
    if len(axes) > DIMS_MAX:
        raise ask.refuse(f"it moves values along {len(axes)} axes, at most {DIMS_MAX} are supported")
    plain = not axes or (len(axes) == 1 and axes[0][1:] == (1, 1))
    whole = prod(move.size) == prod(y.shape)
    if fill is None and plain and whole:
        pieces = (*pieces, Piece(y.index, x.index, move.from_first * width))
    params = CopyParams(
        size=six([size for size, _, _ in axes], 1),
        input_stride=six([a for _, a, _ in axes], 0),
        output_stride=six([b for _, _, b in axes], 0),
        input_first=move.from_first * width,
        output_first=move.to_first * width,
        flags=0 if fill is None else FILL,
        fill=0 if fill is None else fill,
    )
    in_one_piece = plain and fill is None
    in_place = (0,) if in_one_piece else ()
    builder.emit(OpCode.COPY, (x.index,), y.index, params, in_place, pieces=pieces)


def lower_alias(builder: Builder, ask: Operands) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the converter has resolved the output's shape."""
    x, y = ask.value(0), ask.made()
    if prod(x.shape) != prod(y.shape) or x.dtype is not y.dtype:
        raise ask.refuse(f"{x.shape} {x.dtype.name} does not become {y.shape} {y.dtype.name}")
    builder.alias(x.index, y.index)


def lower_concatenation(builder: Builder, ask: Operands) -> None:
    if ask.option(1, "b") != 0:
        raise ask.refuse("a fused activation; make it an op of its own")
    parts, y = [ask.value(i) for i in range(len(ask.op.inputs))], ask.made()
    axis = ask.axis(ask.option(0, "i"), len(y.shape))
    for part in parts:
        if not part.fits(y):
            raise ask.refuse(f"{part.tensor} is quantised otherwise than the output; TFLM refuses that too")
        if len(part.shape) != len(y.shape) or _without(part.shape, axis) != _without(y.shape, axis):
            raise ask.refuse(f"{part.tensor} {part.shape} does not fit the output {y.shape}")
    if sum(part.shape[axis] for part in parts) != y.shape[axis]:
        raise ask.refuse(f"the inputs do not add up to {y.shape[axis]} along axis {axis}")
    _join(builder, ask, [(part, part.shape) for part in parts], y.shape, axis)


def lower_pack(builder: Builder, ask: Operands) -> None:
    parts, y = [ask.value(i) for i in range(len(ask.op.inputs))], ask.made()
    axis = ask.axis(ask.option(1, "i"), len(y.shape))
    if y.shape[axis] != len(parts) or any(part.shape != _without(y.shape, axis) for part in parts):
        raise ask.refuse(f"{len(parts)} inputs {parts[0].shape} do not make {y.shape} along axis {axis}")
    slim = (*y.shape[:axis], 1, *y.shape[axis + 1 :])
    _join(builder, ask, [(part, slim) for part in parts], y.shape, axis)


def _join(
    builder: Builder, ask: Operands, parts: Sequence[tuple[Quantized, Shape]], whole: Shape, axis: int
) -> None:
    """Each part along `axis`; one whose maker can write it where it belongs costs nothing."""
    y = ask.made()
    to_stride = strides_of(whole)
    at = 0
    for number, (part, shape) in enumerate(parts):
        first = at * to_stride[axis]
        beside = tuple(other.index for k, (other, _) in enumerate(parts) if k != number)
        in_one_piece = prod(whole[:axis]) == 1
        pieces = (Piece(part.index, y.index, first * y.width, beside),) if in_one_piece else ()
        move = Move(shape, strides_of(shape), to_stride, 0, first)
        emit_move(builder, ask, part, y, move, pieces=pieces)
        at += shape[axis]


def lower_split(builder: Builder, ask: Operands) -> None:
    """SPLIT (axis first) and SPLIT_V (input, sizes, axis): sizes are those of the outputs."""
    number = 1 if ask.op.code == Builtin.SPLIT else 0
    x = ask.value(number)
    axis_value = ask.constant_ints(0 if number else 2)
    axis = ask.axis(axis_value[0] if axis_value else 0, len(x.shape))
    outputs = [ask.made(i) for i in range(len(ask.op.outputs))]
    _part(builder, ask, x, [(y, y.shape) for y in outputs], axis)


def lower_unpack(builder: Builder, ask: Operands) -> None:
    x = ask.value(0)
    axis = ask.axis(ask.option(1, "i"), len(x.shape))
    outputs = [ask.made(i) for i in range(len(ask.op.outputs))]
    slim = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    if any(y.shape != _without(x.shape, axis) for y in outputs):
        raise ask.refuse(f"outputs {outputs[0].shape} of input {x.shape} along axis {axis}")
    _part(builder, ask, x, [(y, slim) for y in outputs], axis)


def _part(
    builder: Builder, ask: Operands, x: Quantized, parts: Sequence[tuple[Quantized, Shape]], axis: int
) -> None:
    at = 0
    stride = strides_of(x.shape)
    fits = all(
        len(shape) == len(x.shape) and _without(shape, axis) == _without(x.shape, axis) for _, shape in parts
    )
    if not fits or sum(shape[axis] for _, shape in parts) != x.shape[axis]:
        raise ask.refuse(f"the outputs are not the parts of {x.shape} along axis {axis}")
    for y, shape in parts:
        move = Move(shape, stride, strides_of(shape), at * stride[axis])
        emit_move(builder, ask, x, y, move)
        at += shape[axis]


def lower_slice(builder: Builder, ask: Operands) -> None:
    x, y = ask.value(0), ask.made()
    begin, size = ask.constant_ints(1), ask.constant_ints(2)
    if len(begin) != len(x.shape) or len(size) != len(x.shape):
        raise ask.refuse(f"begin {begin} and size {size} of an input {x.shape}")
    size = [dim - at if n == -1 else n for dim, at, n in zip(x.shape, begin, size, strict=True)]
    inside = all(at >= 0 and at + n <= dim for dim, at, n in zip(x.shape, begin, size, strict=True))
    if not inside or prod(y.shape) != prod(size):
        raise ask.refuse(f"begin {begin}, size {size} of an input {x.shape} is no {y.shape}")
    stride = strides_of(x.shape)
    first = sum(at * s for at, s in zip(begin, stride, strict=True))
    shape = tuple(size)
    emit_move(builder, ask, x, y, Move(shape, stride, strides_of(shape), first))


def lower_strided_slice(builder: Builder, ask: Operands) -> None:
    x, y = ask.value(0), ask.made()
    picks = strided_slice(ask, x.shape)
    shape = tuple(count for _, count, _ in picks)
    if prod(shape) != prod(y.shape):
        raise ask.refuse(f"the slice of {x.shape} has shape {shape}, the output {y.shape}")
    stride = strides_of(x.shape)
    first = sum(start * s for (start, _, _), s in zip(picks, stride, strict=True))
    steps = tuple(step * s for (_, _, step), s in zip(picks, stride, strict=True))
    emit_move(builder, ask, x, y, Move(shape, steps, strides_of(shape), first))


def lower_transpose(builder: Builder, ask: Operands) -> None:
    x, y = ask.value(0), ask.made()
    order = ask.constant_ints(1)
    if sorted(order) != list(range(len(x.shape))) or y.shape != tuple(x.shape[axis] for axis in order):
        raise ask.refuse(f"input {x.shape} in the order {order} is no {y.shape}")
    stride = strides_of(x.shape)
    steps = tuple(stride[axis] for axis in order)
    emit_move(builder, ask, x, y, Move(y.shape, steps, strides_of(y.shape)))


def lower_pad(builder: Builder, ask: Operands) -> None:
    """PAD with the output's zero point, PADV2 with a constant."""
    x, y = ask.value(0), ask.made()
    padding = ask.constant_ints(1)
    before, after = padding[0::2], padding[1::2]
    fits = len(padding) == 2 * len(x.shape) and min(padding, default=0) >= 0
    if not fits or y.shape != tuple(d + b + a for d, b, a in zip(x.shape, before, after, strict=True)):
        raise ask.refuse(f"input {x.shape} padded by {padding} is no {y.shape}")
    fill = y.zero
    if ask.op.code == Builtin.PADV2:
        value = ask.value(2)
        if value.tensor.data is None or value.tensor.elements != 1:
            raise ask.refuse("the value to pad with is not one constant")
        fill = int(value.tensor.data.reshape(-1)[0])
    fits = INT8_MIN <= fill <= INT8_MAX if y.width == 1 else fill in (0, -1)
    if not fits:
        raise ask.refuse(f"the value to pad with is {fill}")
    to_stride = strides_of(y.shape)
    first = sum(b * s for b, s in zip(before, to_stride, strict=True))
    move = Move(x.shape, strides_of(x.shape), to_stride, 0, first)
    emit_move(builder, ask, x, y, move, fill if max(padding, default=0) else None)


def lower_depth_space(builder: Builder, ask: Operands) -> None:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH, which is the same walk the other way."""
    x, y = ask.value(0), ask.made()
    block = ask.positive("block_size", ask.option(0, "i"))
    deep, wide = (x, y) if ask.op.code == Builtin.DEPTH_TO_SPACE else (y, x)
    if len(deep.shape) != 4 or len(wide.shape) != 4:
        raise ask.refuse(f"shapes {x.shape}, {y.shape}; expected 4 dims")
    n, h, w, c = deep.shape
    if c % (block * block) or wide.shape != (n, h * block, w * block, c // (block * block)):
        raise ask.refuse(f"{x.shape} does not become {y.shape} with blocks of {block}")
    inner = c // (block * block)
    size = (n * h, block, w, block * inner)
    deep_stride = (w * c, block * inner, c, 1)
    wide_stride = (block * w * block * inner, w * block * inner, block * inner, 1)
    strides = (deep_stride, wide_stride) if deep is x else (wide_stride, deep_stride)
    emit_move(builder, ask, x, y, Move(size, *strides))


def lower_reverse(builder: Builder, ask: Operands) -> None:
    x, y = ask.value(0), ask.made()
    axes = {ask.axis(axis, len(x.shape)) for axis in ask.constant_ints(1)}
    if x.shape != y.shape:
        raise ask.refuse(f"shapes {x.shape}, {y.shape}; expected equal ones")
    stride = strides_of(x.shape)
    first = sum((x.shape[axis] - 1) * stride[axis] for axis in axes)
    steps = tuple(-s if axis in axes else s for axis, s in enumerate(stride))
    emit_move(builder, ask, x, y, Move(x.shape, steps, stride, first))


def lower_broadcast_to(builder: Builder, ask: Operands) -> None:
    x, y = ask.value(0), ask.made()
    shape = (1,) * (len(y.shape) - len(x.shape)) + x.shape
    if len(shape) != len(y.shape) or any(a not in (1, b) for a, b in zip(shape, y.shape, strict=True)):
        raise ask.refuse(f"{x.shape} does not broadcast to {y.shape}")
    steps = tuple(0 if dim == 1 else s for dim, s in zip(shape, strides_of(shape), strict=True))
    emit_move(builder, ask, x, y, Move(y.shape, steps, strides_of(y.shape)))


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]
