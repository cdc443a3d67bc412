"""Weights and channel records as the MVE kernels take them (wire/ARTIFACT.md section 10).

`../../firmware/runtime/kernels/mve` reads what is written here; nothing is rearranged at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.packing import Channels, Filters, Packed, up
from tinyfleet.wire.artifact_ops import (
    COLUMNS_FIRST,
    AddParams,
    ConvParams,
    FullyConnectedParams,
    MeanParams,
    OpCode,
    Params,
    PoolParams,
)
from tinyfleet.wire.enums import CoreVariant

HALF: Final = (2**30, 0)
"""Multiplier and shift of the larger of an ADD's scales."""
QUAD: Final = 4
"""Output channels that are worked on at once."""
RECORD_BYTES: Final = 12
"""Of a channel."""
VECTOR: Final = 16
WORD: Final = 4
"""Taps of a depthwise convolution that lie in one word, and words of a chunk."""
COLUMN_BYTES: Final = VECTOR * WORD
SCRATCH_BYTES: Final = 1024
"""That a convolution may take to work on more than one output at a time …"""
SCRATCH_SHARE: Final = 10
"""… where it is no more than this part of its input and output; a longer run takes what is free."""
ALL: Final = 2**24
"""As many bytes as a tensor may have."""


def pack(code: OpCode, params: ConvParams | FullyConnectedParams, filters: Filters) -> Packed | None:
    """None where a scale or a shape is out of the kernels' range."""
    records = quad_records(filters)
    if records is None:
        return None
    if isinstance(params, FullyConnectedParams):
        return Packed(params, pack_windows(filters.rows), records, 0)
    if code is OpCode.CONV_2D:
        return Packed(params, pack_windows(filters.rows), records, window_scratch(params, filters))
    across = replace(params, flags=COLUMNS_FIRST)
    choices = [choice for choice in (params, across) if axes_of(choice, filters).dilation == 1]
    if not choices:
        return None
    params = min(choices, key=lambda choice: depthwise_cost(choice, filters))
    axes = axes_of(params, filters)
    least, most = (axes.scratch_bytes(axes.columns(spare)) for spare in (spare_scratch(filters), ALL))
    return Packed(params, pack_taps(filters.values, params), records, least, most)


def takes_as_is(core: CoreVariant, code: OpCode, params: Params) -> bool:
    """Whether a kernel for MVE runs this op with its plain parameters."""
    if core is not CoreVariant.MVE:
        return False
    if isinstance(params, AddParams) and code is OpCode.ADD:
        p = params
        shifts = (p.a_shift, p.b_shift)
        halves = ((p.a_multiplier, p.a_shift) == HALF, (p.b_multiplier, p.b_shift) == HALF)
        whole = is_plain(p.size, p.a_stride) and is_plain(p.size, p.b_stride)
        scaled = all(half or shift < 0 for half, shift in zip(halves, shifts, strict=True))
        return whole and any(halves) and scaled and p.out_shift < 0
    if isinstance(params, MeanParams):
        return code is OpCode.MEAN and params.kept_stride[2] == 1 and params.reduced_size[0] == 1
    return isinstance(params, PoolParams)


def is_plain(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """From a tensor's first element to its last."""
    plain = 1
    for length, step in zip(reversed(size), reversed(stride), strict=True):
        if length != 1 and step != plain:
            return False
        plain *= length
    return True


def quad_records(filters: Filters) -> Channels | None:
    """[channels / 4][bias, multiplier, shift][4], shifts negative; None where a scale is 1/2 or more."""
    records = np.zeros((3, up(filters.bias.size, QUAD)), np.int64)
    records[2] = -1
    for channel, (multiplier, shift) in enumerate(filters.channel_scales):
        right = 1 if multiplier == 0 else -shift
        if not 1 <= right <= 31:
            return None
        wrapped = (int(filters.bias[channel]) + 2**31) % 2**32 - 2**31
        records[:, channel] = (wrapped, multiplier, -right)
    return records.reshape(3, -1, QUAD).transpose(1, 0, 2)


def pack_windows(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """[oc][taps]: 16 taps of each of four channels in turn; the last taps, filled to 16, come first."""
    channels, taps = rows.shape
    head = (taps - 1) % VECTOR + 1
    last = np.pad(rows[:, taps - head :], ((0, 0), (0, VECTOR - head)))
    ordered = np.concatenate([last, rows[:, : taps - head]], axis=1)
    ordered = np.pad(ordered, ((0, -channels % QUAD), (0, 0)))
    return ordered.reshape(len(ordered) // QUAD, QUAD, -1, VECTOR).transpose(0, 2, 1, 3)


def spare_scratch(filters: Filters) -> int:
    return min(SCRATCH_BYTES, (prod(filters.source) + prod(filters.output)) // SCRATCH_SHARE)


def window_scratch(params: ConvParams, filters: Filters) -> int:
    """Bytes: two windows or more. One of a single tap is never copied; an op has its temp all the same."""
    if params.kernel_h == params.kernel_w == 1:
        return VECTOR
    window = up(params.kernel_h * params.kernel_w * params.depth, VECTOR)
    most = up(prod(filters.output[:3]), 2)
    return min(most, max(2, spare_scratch(filters) // (2 * window) * 2)) * window


def pack_taps(filters: npt.NDArray[np.int8], params: ConvParams) -> npt.NDArray[np.int8]:
    """DEPTHWISE_CONV_2D [1][kh][kw][oc]: chunks of four words of each of four channels in turn.

    A word is four taps of one axis; words follow that axis, then the other, the walked one.
    """
    taps = filters[0].transpose(2, 0, 1) if params.flags & COLUMNS_FIRST else filters[0].transpose(2, 1, 0)
    channels, _, packed = taps.shape
    taps = np.pad(taps, ((0, -channels % QUAD), (0, 0), (0, -packed % WORD)))
    window = taps.reshape(len(taps), -1)
    window = np.pad(window, ((0, 0), (0, -window.shape[1] % VECTOR)))
    return window.reshape(len(window) // QUAD, QUAD, -1, VECTOR).transpose(0, 2, 1, 3)


@dataclass(frozen=True, slots=True)
class Axes:
    """Of a depthwise convolution.

    words: of a column; lines, outputs: of runs; the rest: of the walked axis.
    """

    words: int
    lines: int
    kernel: int
    stride: int
    dilation: int
    outputs: int

    @property
    def chunks(self) -> int:
        return chunks_of(self.words, self.kernel)

    def columns(self, spare_bytes: int) -> int:
        """That the scratch holds: a run of as many outputs as fit, at least one."""
        most = (self.outputs - 1) * self.stride + self.kernel
        return min(most, max(self.kernel, (spare_bytes - self.slack_bytes) // (self.words * COLUMN_BYTES)))

    def scratch_bytes(self, columns: int) -> int:
        return columns * self.words * COLUMN_BYTES + self.slack_bytes

    @property
    def slack_bytes(self) -> int:
        """Behind the last column: read, and multiplied with zeros."""
        return (self.chunks * WORD - self.words * self.kernel) * COLUMN_BYTES


def axes_of(params: ConvParams, filters: Filters) -> Axes:
    n, out_h, out_w, _ = filters.output
    words, lines, outputs = words_of(params.kernel_h), n * out_h, out_w
    kernel, stride, dilation = params.kernel_w, params.stride_w, params.dilation_w
    if params.flags & COLUMNS_FIRST:
        words, lines, outputs = words_of(params.kernel_w), n * out_w, out_h
        kernel, stride, dilation = params.kernel_h, params.stride_h, params.dilation_h
    if kernel == 1:  # runs go along the packed axis
        lines, outputs, stride = n * outputs, lines // n, 1
    return Axes(words, lines, kernel, stride, dilation, outputs)


def words_of(kernel: int) -> int:
    return up(kernel, WORD) // WORD


def chunks_of(words: int, kernel: int) -> int:
    return up(words * kernel, WORD) // WORD


def depthwise_cost(params: ConvParams, filters: Filters) -> int:
    """Instructions, roughly: of a run of 16 channels, of its columns and of its outputs.

    Most ops find room for a run of some length in the arena.
    """
    axes = axes_of(params, filters)
    columns = axes.columns(SCRATCH_BYTES)
    outputs = (columns - axes.kernel) // axes.stride + 1
    runs = axes.lines * (up(axes.outputs, outputs) // outputs)
    output = 27 if axes.chunks == 1 else 24 + 15 * axes.chunks
    return runs * (400 + 15 * columns * axes.words + 4 * outputs * output)


def packed_bytes(
    code: OpCode, params: ConvParams | FullyConnectedParams, channels: int, source: tuple[int, ...]
) -> int:
    """Weights and channel records of a packed op."""
    if isinstance(params, FullyConnectedParams):
        taps = up(params.depth, VECTOR)
    elif code is OpCode.CONV_2D:
        taps = up(params.kernel_h * params.kernel_w * params.depth, VECTOR)
    elif params.flags & COLUMNS_FIRST:
        taps = chunks_of(words_of(params.kernel_w), params.kernel_h) * VECTOR
    else:
        taps = chunks_of(words_of(params.kernel_h), params.kernel_w) * VECTOR
    return up(channels, QUAD) * (taps + RECORD_BYTES)
