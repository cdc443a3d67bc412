"""TRANSPOSE_CONV: a convolution backwards, as in decoders."""

from __future__ import annotations

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.lower_conv import channel_multipliers
from tinyfleet.model.compiler.numerics import window, wrapped
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Padding
from tinyfleet.wire.artifact_ops import ConvParams, OpCode


def lower_transpose_conv(builder: Builder, ask: Operands) -> None:
    """The bias is as in the model, without the input's zero point: outputs differ in their taps."""
    ask.count((3, 4))
    filters, x, y = ask.weights(1), ask.activation(2), ask.output()
    if len(x.shape) != 4 or len(y.shape) != 4 or len(filters.shape) != 4:
        raise ask.refuse(f"shapes {x.shape}, {filters.shape}, {y.shape}; expected 4 dims each")
    channels, kernel_h, kernel_w, depth = filters.shape
    padding = ask.choice(0, Padding)
    stride_w = ask.positive("stride_w", ask.option(1, "i"))
    stride_h = ask.positive("stride_h", ask.option(2, "i"))
    if (x.shape[0], x.shape[3]) != (y.shape[0], depth) or y.shape[3] != channels:
        raise ask.refuse(f"input {x.shape} and filters {filters.shape} do not make {y.shape}")
    # TFLM takes an output of any height and width: what falls outside is lost, what is not reached has the
    # bias alone. The padding is that of a convolution from the output.
    _, pad_top = window(padding, y.shape[1], kernel_h, stride_h, 1)
    _, pad_left = window(padding, y.shape[2], kernel_w, stride_w, 1)
    multiplier, shift, flags = channel_multipliers(builder, ask, x, y, filters, 0)
    act_min, act_max = ask.clamp(3, y)
    params = ConvParams(
        weights=builder.weights(np.asarray(filters.data, np.int8)),
        bias=builder.table([wrapped(int(value)) for value in ask.bias(3, channels)], "<i4"),
        multiplier=multiplier,
        shift=shift,
        kernel_h=ask.positive("kernel_h", kernel_h),
        kernel_w=ask.positive("kernel_w", kernel_w),
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=1,
        dilation_w=1,
        pad_top=pad_top,
        pad_left=pad_left,
        depth=ask.positive("depth", depth),
        flags=flags,
        input_zero=x.zero,
        output_zero=y.zero,
        act_min=act_min,
        act_max=act_max,
    )
    builder.emit(OpCode.TRANSPOSE_CONV, (x.index,), y.index, params)
