"""Ops that pick or blend rows and columns: RESIZE_NEAREST_NEIGHBOR, RESIZE_BILINEAR, GATHER, MIRROR_PAD."""

from __future__ import annotations

import math
import struct
from math import prod

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.numerics import round_away
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.wire.artifact_ops import GatherParams, OpCode, ResizeParams

_ONE = 1 << 10
_PICKS_MAX = 2**16


def lower_nearest(builder: Builder, ask: Operands) -> None:
    x, y = _images(ask)
    align, half = bool(ask.option(0, "b")), bool(ask.option(1, "b"))
    rows = [_nearest(i, x.shape[1], y.shape[1], align=align, half=half) for i in range(y.shape[1])]
    columns = [_nearest(i, x.shape[2], y.shape[2], align=align, half=half) for i in range(y.shape[2])]
    _emit_gather(builder, ask, x, y, 1, rows, columns)


def _nearest(at: int, size: int, out: int, *, align: bool, half: bool) -> int:
    """GetNearestNeighbor, in float as there."""
    single = np.float32
    scale = single(size - 1) / single(out - 1) if align and out > 1 else single(size) / single(out)
    place = float((single(at) + single(0.5 if half else 0.0)) * scale)
    return max(min(round_away(place) if align else math.floor(place), size - 1), 0)


def lower_bilinear(builder: Builder, ask: Operands) -> None:
    x, y = _images(ask)
    align, half = bool(ask.option(2, "b")), bool(ask.option(3, "b"))
    if align and half:
        raise ask.refuse("align_corners and half_pixel_centers together; TFLM refuses that too")
    tables = []
    for size, out in zip(x.shape[1:3], y.shape[1:3], strict=True):
        scale = (_ONE * size + out // 2) // out
        if align and out > 1:
            scale = (_ONE * (size - 1) + (out - 1) // 2) // (out - 1)
        taps = [_taps(at * scale + (scale // 2 - 2**9 if half else 0), size) for at in range(out)]
        if any(low >= size for low, _, _ in taps):
            raise ask.refuse(f"{size} stretched to {out}: rounding reads beyond the input, in TFLM too")
        blob = b"".join(struct.pack("<HHhH", *tap, 0) for tap in taps)
        tables.append(builder.blob(blob))
    builder.emit(OpCode.RESIZE_BILINEAR, (x.index,), y.index, ResizeParams(*tables))


def _taps(place: int, size: int) -> tuple[int, int, int]:
    """ComputeInterpolationValuesInteger; C++ divides towards zero."""
    low = max(int(place / _ONE), 0)
    high = min(int((place + _ONE - 1) / _ONE), size - 1)
    return low, high, place - _ONE * low


def _images(ask: Operands) -> tuple[Quantized, Quantized]:
    x, y = ask.activation(0), ask.output()
    size = ask.constant_ints(1)
    if len(x.shape) != 4 or y.shape != (x.shape[0], *size, x.shape[3]):
        raise ask.refuse(f"input {x.shape} resized to {size} is no {y.shape}")
    for dim in (*x.shape[1:3], *y.shape[1:3]):
        ask.positive("size", dim)
    return x, y


def lower_gather(builder: Builder, ask: Operands) -> None:
    x, y = ask.value(0), ask.made()
    axis = ask.axis(ask.option(0, "i"), len(x.shape))
    picks = ask.constant_ints(1)
    if ask.option(1, "i") or min(picks, default=0) < 0 or max(picks, default=0) >= x.shape[axis]:
        raise ask.refuse(f"batch dims, or indices outside 0..{x.shape[axis] - 1}: {picks[:8]}")
    if prod(y.shape) * x.shape[axis] != prod(x.shape) * len(picks):
        raise ask.refuse(f"{len(picks)} of {x.shape} along axis {axis} are no {y.shape}")
    _emit_gather(builder, ask, x, y, axis, picks, None)


def lower_mirror_pad(builder: Builder, ask: Operands) -> None:
    """REFLECT (0) leaves the border out, SYMMETRIC (1) repeats it."""
    x, y = ask.value(0), ask.made()
    padding = ask.constant_ints(1)
    skip = 1 - ask.option(0, "b")
    before, after = padding[0::2], padding[1::2]
    axes = [axis for axis in range(len(before)) if before[axis] or after[axis]]
    fits = len(padding) == 2 * len(x.shape) and min(padding) >= 0 and skip in (0, 1)
    if not fits or y.shape != tuple(d + b + a for d, b, a in zip(x.shape, before, after, strict=True)):
        raise ask.refuse(f"input {x.shape} mirrored by {padding} is no {y.shape}")
    if not axes:
        builder.alias(x.index, y.index)
        return
    if axes[-1] - axes[0] > 1:
        raise ask.refuse(f"axes {axes} are mirrored; only two neighbouring ones are supported")
    picks = []
    for axis in axes:
        size = x.shape[axis]
        if max(before[axis], after[axis]) > size - skip:
            raise ask.refuse(f"axis {axis} of {size} is mirrored by {before[axis]}, {after[axis]}")
        left = [i + skip for i in reversed(range(before[axis]))]
        right = [size - 1 - skip - i for i in range(after[axis])]
        picks.append([*left, *range(size), *right])
    _emit_gather(builder, ask, x, y, axes[0], picks[0], picks[1] if len(axes) > 1 else None)


def _emit_gather(
    builder: Builder,
    ask: Operands,
    x: Quantized,
    y: Quantized,
    axis: int,
    rows: list[int],
    columns: list[int] | None,
) -> None:
    """`rows` picks along `axis`; `columns`, if any, along the next one."""
    if x.dtype is not y.dtype:
        raise ask.refuse(f"{x.dtype.name} does not become {y.dtype.name}")
    behind = axis + 1 if columns is None else axis + 2
    for count in (x.shape[axis], 1 if columns is None else x.shape[axis + 1]):
        ask.positive("size", count, _PICKS_MAX)
    params = GatherParams(
        rows=builder.table(rows, "<u2"),
        columns=builder.table([0] if columns is None else columns, "<u2"),
        outer=prod(x.shape[:axis]),
        input_rows=x.shape[axis],
        output_rows=len(rows),
        input_columns=1 if columns is None else x.shape[axis + 1],
        output_columns=1 if columns is None else len(columns),
        inner=prod(x.shape[behind:]) * x.width,
    )
    builder.emit(OpCode.GATHER, (x.index,), y.index, params)
