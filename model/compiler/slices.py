"""STRIDED_SLICE's masks and negative numbers, resolved. Source: tensorflow/lite/kernels/internal/
strided_slice_logic.h."""

from __future__ import annotations

from tinyfleet.model.compiler.operands import Operands


def strided_slice(ask: Operands, shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(start, count, step) for each dim of an input of `shape`."""
    begin, end, steps = (ask.constant_ints(i) for i in (1, 2, 3))
    masks = [ask.option(i, "i") for i in range(5)]
    begin_mask, end_mask, ellipsis, new_axis, shrink = masks
    if ellipsis or new_axis or ask.option(5, "b"):
        raise ask.refuse("an ellipsis, a new axis or offsets in a slice; TFLM has none of them")
    if not len(begin) == len(end) == len(steps) == len(shape) or 0 in steps:
        raise ask.refuse(f"begin {begin}, end {end}, strides {steps} of an input {shape}")
    picks = []
    for axis, (dim, start, stop, step) in enumerate(zip(shape, begin, end, steps, strict=True)):
        bit = 1 << axis
        low, high = (0, dim) if step > 0 else (-1, dim - 1)
        start = min(max(start + dim if start < 0 else start, low), high)
        stop = min(max(stop + dim if stop < 0 else stop, low), high)
        if begin_mask & bit:
            start = 0 if step > 0 else dim - 1
        if end_mask & bit:
            stop = dim if step > 0 else -1
        if shrink & bit:
            stop, step = start + 1, 1
        count = len(range(start, stop, step))
        if count == 0 or not 0 <= start < dim:
            raise ask.refuse(f"axis {axis}: nothing lies between {begin} and {end}")
        picks.append((start, count, step))
    return picks
