"""CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED: weights, folded biases, multiplier tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler import packing_dsp, packing_mve
from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.emitted import Scratch
from tinyfleet.model.compiler.lower_matrix import lower_computed_weights
from tinyfleet.model.compiler.numerics import Multiplier, checked_multiplier, window, wrapped
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.packing import Channels, Filters, Packed
from tinyfleet.model.compiler.schema import Padding
from tinyfleet.model.compiler.tflite import TfTensor
from tinyfleet.wire.artifact import Dtype
from tinyfleet.wire.artifact_ops import PER_TENSOR, ConvParams, FullyConnectedParams, OpCode
from tinyfleet.wire.enums import CoreVariant


def lower_conv(builder: Builder, ask: Operands) -> None:
    ask.count((2, 3))
    x, y, filters = ask.activation(0), ask.output(), ask.weights(1)
    if len(x.shape) != 4 or len(y.shape) != 4 or len(filters.shape) != 4:
        raise ask.refuse(f"shapes {x.shape}, {filters.shape}, {y.shape}; expected 4 dims each")
    channels, _, _, depth = filters.shape
    groups, rest = divmod(x.shape[3], depth)
    if rest or groups == 0 or channels % groups:
        raise ask.refuse(f"filters {filters.shape} do not divide the {x.shape[3]} input channels into groups")
    _emit_conv(builder, ask, OpCode.CONV_2D, filters, channels_axis=0, depth=depth, options=(3, 4, 5))


def lower_depthwise_conv(builder: Builder, ask: Operands) -> None:
    ask.count((2, 3))
    x, y, filters = ask.activation(0), ask.output(), ask.weights(1)
    if len(x.shape) != 4 or len(y.shape) != 4 or len(filters.shape) != 4 or filters.shape[0] != 1:
        raise ask.refuse(
            f"shapes {x.shape}, {filters.shape}, {y.shape}; expected 4 dims and filters [1, h, w, c]"
        )
    depth, rest = divmod(filters.shape[3], x.shape[3])
    if rest or depth == 0:
        raise ask.refuse(f"{filters.shape[3]} output channels are no multiple of {x.shape[3]} input channels")
    if x.tensor.data is not None:
        raise ask.refuse(f"its input {x.tensor} is constant; compute its output before converting")
    _emit_conv(
        builder, ask, OpCode.DEPTHWISE_CONV_2D, filters, channels_axis=3, depth=depth, options=(4, 5, 6)
    )


def lower_fully_connected(builder: Builder, ask: Operands) -> None:
    ask.count((2, 3))
    if not ask.is_symmetric_constant(1):
        lower_computed_weights(builder, ask)
        return
    x, y, filters = ask.activation(0), ask.output(), ask.weights(1)
    if len(filters.shape) != 2 or not y.shape or y.shape[-1] != filters.shape[0]:
        raise ask.refuse(f"weights {filters.shape} do not fit the output {y.shape}")
    channels, depth = filters.shape
    rows = prod(y.shape) // channels
    if rows * depth != prod(x.shape):
        raise ask.refuse(f"input {x.shape} is not {rows} rows of {depth}")
    if ask.option(1, "b") != 0:
        raise ask.refuse("shuffled weights; convert without them")
    act_min, act_max = ask.clamp(0, y)
    scales = channel_scales(ask, x, y, filters, channels_axis=0)
    bias = _folded_bias(ask, x, filters, channels_axis=0)
    params = FullyConnectedParams(
        weights=0,
        bias=0,
        multiplier=0,
        shift=0,
        depth=depth,
        flags=0,
        input_zero=x.zero,
        output_zero=y.zero,
        act_min=act_min,
        act_max=act_max,
    )
    _emit(
        builder,
        OpCode.FULLY_CONNECTED,
        (x.index, y.index),
        params,
        Filters(_values(filters), 0, bias, scales, y.zero, x.shape, y.shape),
    )


def _emit_conv(
    builder: Builder,
    ask: Operands,
    code: OpCode,
    filters: TfTensor,
    *,
    channels_axis: int,
    depth: int,
    options: tuple[int, int, int],
) -> None:
    """`options`: field numbers of activation, dilation_w and dilation_h, which differ between the two ops."""
    x, y = ask.activation(0), ask.output()
    padding = ask.choice(0, Padding)
    stride_w = ask.positive("stride_w", ask.option(1, "i"))
    stride_h = ask.positive("stride_h", ask.option(2, "i"))
    dilation_w = ask.positive("dilation_w", ask.option(options[1], "i", 1))
    dilation_h = ask.positive("dilation_h", ask.option(options[2], "i", 1))
    _, kernel_h, kernel_w, _ = filters.shape
    out_h, pad_top = window(padding, x.shape[1], kernel_h, stride_h, dilation_h)
    out_w, pad_left = window(padding, x.shape[2], kernel_w, stride_w, dilation_w)
    folded = ask.op.dilation
    if folded is not None:
        dilation_h, dilation_w = folded.height, folded.width
        (out_h, out_w), pad_top, pad_left = y.shape[1:3], folded.pad_top, folded.pad_left
    expected = (x.shape[0], out_h, out_w, filters.shape[channels_axis])
    if y.shape != expected:
        raise ask.refuse(
            f"output {y.shape}, expected {expected} from input {x.shape} and filters {filters.shape}"
        )
    act_min, act_max = ask.clamp(options[0], y)
    scales = channel_scales(ask, x, y, filters, channels_axis)
    bias = _folded_bias(ask, x, filters, channels_axis)
    params = ConvParams(
        weights=0,
        bias=0,
        multiplier=0,
        shift=0,
        kernel_h=ask.positive("kernel_h", kernel_h),
        kernel_w=ask.positive("kernel_w", kernel_w),
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=dilation_h,
        dilation_w=dilation_w,
        pad_top=pad_top,
        pad_left=pad_left,
        depth=ask.positive("depth", depth),
        flags=0,
        input_zero=x.zero,
        output_zero=y.zero,
        act_min=act_min,
        act_max=act_max,
    )
    _emit(
        builder,
        code,
        (x.index, y.index),
        params,
        Filters(_values(filters), channels_axis, bias, scales, y.zero, x.shape, y.shape),
        can_pack=code is OpCode.DEPTHWISE_CONV_2D or depth == x.shape[3],
    )


def _values(filters: TfTensor) -> npt.NDArray[np.int8]:
    return np.asarray(filters.data, np.int8)


_PACK: Final[
    dict[CoreVariant, Callable[[OpCode, ConvParams | FullyConnectedParams, Filters], Packed | None]]
] = {
    CoreVariant.DSP: packing_dsp.pack,
    CoreVariant.MVE: packing_mve.pack,
}


def _emit(
    builder: Builder,
    code: OpCode,
    tensors: tuple[int, int],
    params: ConvParams | FullyConnectedParams,
    filters: Filters,
    *,
    can_pack: bool = True,
) -> None:
    """In the packing of the plan's core where it has one and that holds what these sums can be, else plain.

    `tensors`: input and output; params: without offsets of tables.
    """
    pack = _PACK.get(builder.core)
    packed = pack(code, params, filters) if pack is not None and can_pack else None
    if packed is None:
        _emit_plain(builder, code, tensors, params, filters)
        return
    tables = {"weights": builder.weights(packed.weights), "bias": builder.records(packed.records)}
    builder.emit_packed(
        code, *tensors, _with_tables(packed.params, tables), packed.scratch_bytes, packed.scratch_most
    )


def _emit_plain(
    builder: Builder,
    code: OpCode,
    tensors: tuple[int, int],
    params: ConvParams | FullyConnectedParams,
    filters: Filters,
) -> None:
    """A depthwise op with several outputs an input is a convolution whose groups have one channel."""
    scratch: tuple[Scratch, ...] = ()
    if isinstance(params, ConvParams):
        taps = params.kernel_h * params.kernel_w
        if code is OpCode.DEPTHWISE_CONV_2D and params.depth > 1:
            code, params = OpCode.CONV_2D, replace(params, depth=1)
            filters = replace(filters, values=filters.values.transpose(3, 1, 2, 0), channels_axis=0)
        needed = taps * params.depth if code is OpCode.CONV_2D else 4 * taps + filters.source[3]
        scratch = (Scratch(Dtype.INT8, needed),)
    params = _with_tables(params, _plain_tables(builder, filters))
    builder.emit(code, tensors[:1], tensors[1], params, scratch=scratch)


def _with_tables(
    params: ConvParams | FullyConnectedParams, tables: dict[str, int]
) -> ConvParams | FullyConnectedParams:
    if isinstance(params, ConvParams):  # one call each: `replace` takes no union
        return replace(params, **tables)
    return replace(params, **tables)


def _plain_tables(builder: Builder, filters: Filters) -> dict[str, int]:
    return {
        "multiplier": builder.table([m for m, _ in filters.scales], "<i4"),
        "shift": builder.table([s for _, s in filters.scales], "i1"),
        "weights": builder.weights(filters.values),
        "bias": builder.table([wrapped(int(value)) for value in filters.bias], "<i4"),
        "flags": PER_TENSOR if len(filters.scales) == 1 else 0,
    }


def channel_multipliers(
    builder: Builder, ask: Operands, x: Quantized, y: Quantized, filters: TfTensor, channels_axis: int
) -> tuple[int, int, int]:
    """(offset of multipliers, offset of shifts, flags)."""
    scales = channel_scales(ask, x, y, filters, channels_axis)
    multiplier = builder.table([m for m, _ in scales], "<i4")
    shift = builder.table([s for _, s in scales], "i1")
    return multiplier, shift, PER_TENSOR if filters.scales.size == 1 else 0


def channel_scales(
    ask: Operands, x: Quantized, y: Quantized, filters: TfTensor, channels_axis: int
) -> list[Multiplier]:
    """One for all channels, or one each."""
    channels = filters.shape[channels_axis]
    per_tensor = filters.scales.size == 1
    if not per_tensor and (filters.scales.size != channels or filters.quantized_dimension != channels_axis):
        raise ask.refuse(
            f"weights {filters} have {filters.scales.size} scales along dim {filters.quantized_dimension}, "
            f"expected {channels} along {channels_axis}"
        )
    products = [float(x.scale) * float(scale) for scale in filters.scales]
    return [checked_multiplier(product / float(y.scale), ask.where) for product in products]


def _folded_bias(ask: Operands, x: Quantized, filters: TfTensor, channels_axis: int) -> Channels:
    """Bias minus what the input's zero point contributes, so that kernels accumulate raw products."""
    channels = filters.shape[channels_axis]
    axes = tuple(axis for axis in range(len(filters.shape)) if axis != channels_axis)
    sums = _values(filters).sum(axis=axes, dtype=np.int64)
    folded: Channels = ask.bias(2, channels) - x.zero * sums
    return folded
