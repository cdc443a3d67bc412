"""Weights and channel records as the DSP kernels take them (wire/ARTIFACT.md section 8).

`../../firmware/runtime/kernels/dsp` reads what is written here; nothing is rearranged at run time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.packing import Channels, Filters, Packed, up
from tinyfleet.wire.artifact_ops import ConvParams, FullyConnectedParams, OpCode

SUM_LIMIT: Final = 2**30
"""A sum is doubled before it is scaled."""
RECORD_BYTES: Final = 16
BAND_BYTES: Final = 768
"""Scratch that a depthwise convolution may take for more than one output row at a time."""
_SLACK_VALUES: Final = 4


def pack(code: OpCode, params: ConvParams | FullyConnectedParams, filters: Filters) -> Packed | None:
    """None where a sum, a scale or a shape is out of the kernels' range."""
    records = channel_records(filters)
    if records is None:
        return None
    if isinstance(params, FullyConnectedParams):
        return Packed(params, pack_rows(filters.values), filled(records, 4), 0)
    if params.dilation_h != 1 or params.dilation_w != 1:
        return None
    if code is OpCode.CONV_2D:
        return Packed(params, pack_windows(filters.values), filled(records, 2), window_scratch(params))
    _, out_h, out_w, _ = filters.output
    if is_column(params, filters.source[2], out_w):
        weights = pack_taps(filters.values.swapaxes(1, 2))
        return Packed(params, weights, records, band_scratch(as_row(params), 1, out_h))
    return Packed(params, pack_taps(filters.values), records, band_scratch(params, out_h, out_w))


def channel_records(filters: Filters) -> Channels | None:
    """[channels][bias, multiplier, round, shift], or None where a sum or a scale is out of a kernel's range.

    The kernel rounds as `MultiplyByQuantizedMultiplier` does: (x + 2^(shift - 1) - (x < 0)) >> shift, x =
    high half of 2 x sum x multiplier. A sum may stand for x in the comparison: where they differ x is 0 and
    both answers are 0. The output zero point is added before the shift.
    """
    bias = filters.bias
    wide = filters.rows.astype(np.int64)
    highest = bias + np.maximum(wide * 127, wide * -128).sum(axis=1)
    lowest = bias + np.minimum(wide * 127, wide * -128).sum(axis=1)
    if max(int(highest.max()), -int(lowest.min())) >= SUM_LIMIT:
        return None
    records = np.empty((bias.size, 4), np.int64)
    for channel, (multiplier, shift) in enumerate(filters.channel_scales):
        right = 1 if multiplier == 0 else -shift
        start = (1 << (right - 1)) + (filters.output_zero << right) if right >= 1 else 0
        if not 1 <= right <= 31 or abs(start) >= SUM_LIMIT:
            return None
        records[channel] = (bias[channel], multiplier, start, right)
    return records


def filled(records: Channels, multiple: int) -> Channels:
    """Filled up to a multiple of what a kernel takes at once."""
    filler = np.zeros((-len(records) % multiple, 4), np.int64)
    filler[:, 3] = 1
    return np.concatenate([records, filler])


def pack_windows(filters: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """CONV_2D [oc][kh][kw][ic]: kernel rows filled to 4 taps, windows to 8; two channels take turns by 4."""
    channels, height, _, _ = filters.shape
    lines = filters.reshape(channels, height, -1)
    lines = np.pad(lines, ((0, -channels % 2), (0, 0), (0, -lines.shape[2] % 4)))
    windows = lines.reshape(len(lines), -1)
    windows = np.pad(windows, ((0, 0), (0, -windows.shape[1] % 8)))
    return windows.reshape(len(windows) // 2, 2, -1, 4).transpose(0, 2, 1, 3)


def window_scratch(params: ConvParams) -> int:
    """Bytes: two windows as int16, and one kernel row."""
    row = up(params.kernel_w * params.depth, 4)
    return up(params.kernel_h * row, 8) * 2 * 2 + row


def pack_rows(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """FULLY_CONNECTED [oc][depth]: four channels take turns by 4."""
    channels, depth = weights.shape
    rows = np.pad(weights, ((0, -channels % 4), (0, -depth % 4)))
    return rows.reshape(len(rows) // 4, 4, -1, 4).transpose(0, 2, 1, 3)


def pack_taps(filters: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """DEPTHWISE_CONV_2D [1][kh][kw][oc]: by channel; bytes 0, 2 of a word are taps beside one another, so are
    bytes 1, 3: taps 0 1 and 1 2 of a 3 x 3 kernel, taps 0 1 and 2 3 of any other.
    """
    taps = filters[0].transpose(2, 0, 1)
    if taps.shape[1:] == (3, 3):
        return np.take(taps, (0, 1, 1, 2), axis=2)
    taps = np.pad(taps, ((0, 0), (0, 0), (0, -taps.shape[2] % 4)))
    return np.take(taps.reshape(*taps.shape[:2], -1, 4), (0, 2, 1, 3), axis=3)


def is_column(params: ConvParams, in_w: int, out_w: int) -> bool:
    """One value wide: lies in memory as a row does, and is worked on as one."""
    return in_w == out_w == params.kernel_w == 1


def as_row(params: ConvParams) -> ConvParams:
    """A column's parameters with height and width exchanged."""
    return replace(
        params,
        kernel_h=params.kernel_w,
        kernel_w=params.kernel_h,
        stride_h=params.stride_w,
        stride_w=params.stride_h,
        pad_top=params.pad_left,
        pad_left=params.pad_top,
    )


def band_scratch(params: ConvParams, out_h: int, out_w: int) -> int:
    """Bytes: as many input rows of one channel, as int16, as make one output row, or more where they fit."""
    width = up((out_w - 1) * params.stride_w + params.kernel_w, 2)
    most = (out_h - 1) * params.stride_h + params.kernel_h
    rows = min(most, max(params.kernel_h, BAND_BYTES // (2 * width)))
    return 2 * (rows * width + _SLACK_VALUES)


def packed_bytes(
    code: OpCode, params: ConvParams | FullyConnectedParams, channels: int, source: tuple[int, ...]
) -> int:
    """Weights and channel records of a packed op; `source`: its input's shape."""
    if isinstance(params, FullyConnectedParams):
        channels = up(channels, 4)
        return channels * (up(params.depth, 4) + RECORD_BYTES)
    if code is OpCode.CONV_2D:
        row = up(params.kernel_w * params.depth, 4)
        return up(channels, 2) * (up(params.kernel_h * row, 8) + RECORD_BYTES)
    if is_column(params, source[2], 1):
        params = as_row(params)
    return channels * (params.kernel_h * up(params.kernel_w, 4) + RECORD_BYTES)
