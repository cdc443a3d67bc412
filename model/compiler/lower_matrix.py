"""Ops over matrices or lines of which nothing is constant: BATCH_MATMUL, FULLY_CONNECTED of computed weights,
L2_NORMALIZATION, ARG_MAX and ARG_MIN. Sources: micro/kernels/{batch_matmul,fully_connected,l2norm,
arg_min_max}.cc."""

from __future__ import annotations

from math import prod

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.numerics import INT8_MAX, INT8_MIN, checked_multiplier, wrapped
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.schema import Builtin, TensorType
from tinyfleet.wire.artifact_ops import (
    L2_DEPTH_MAX,
    NO_CONSTANTS,
    ArgExtremeParams,
    L2NormalizationParams,
    MatmulParams,
    OpCode,
)

_BATCH_AXES = 3
_INDEX_TYPES = (TensorType.INT32,)


def lower_batch_matmul(builder: Builder, ask: Operands) -> None:
    """Options 0 and 1, adj_x and adj_y: the operand's last two dims are swapped."""
    ask.count((2,))
    a, b, y = ask.activation(0), ask.activation(1), ask.output()
    if min(len(a.shape), len(b.shape)) < 2:
        raise ask.refuse(f"shapes {a.shape} and {b.shape}; matrices have 2 dims")
    swap_a, swap_b = bool(ask.option(0, "b")), bool(ask.option(1, "b"))
    rows, depth = a.shape[-2:][::-1] if swap_a else a.shape[-2:]
    b_depth, columns = b.shape[-2:][::-1] if swap_b else b.shape[-2:]
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise ask.refuse(f"shapes {a.shape} and {b.shape} do not broadcast") from error
    if depth != b_depth or y.shape != (*batch, rows, columns):
        raise ask.refuse(f"{a.shape} x {b.shape} is no {y.shape}")
    if len(batch) > _BATCH_AXES:
        raise ask.refuse(f"{len(batch)} batch dims, at most {_BATCH_AXES} are supported")
    _emit(
        builder,
        ask,
        (a, b, y),
        batch=(tuple(batch), _steps(a.shape, batch), _steps(b.shape, batch)),
        sizes=(rows, columns, depth),
        a_steps=(1, a.shape[-1]) if swap_a else (a.shape[-1], 1),
        b_steps=(b.shape[-1], 1) if swap_b else (1, b.shape[-1]),
        bias=NO_CONSTANTS,
        clamp=(INT8_MIN, INT8_MAX),
    )


def lower_computed_weights(builder: Builder, ask: Operands) -> None:
    """FULLY_CONNECTED whose weights are computed, or have a zero point."""
    x, weights, y = ask.activation(0), ask.activation(1), ask.output()
    if len(weights.shape) != 2 or not y.shape or y.shape[-1] != weights.shape[0]:
        raise ask.refuse(f"weights {weights.shape} do not fit the output {y.shape}")
    channels, depth = weights.shape
    rows = prod(y.shape) // channels
    if rows * depth != prod(x.shape):
        raise ask.refuse(f"input {x.shape} is not {rows} rows of {depth}")
    bias = NO_CONSTANTS
    if len(ask.op.inputs) > 2 and ask.op.inputs[2] >= 0:
        bias = builder.table([wrapped(int(value)) for value in ask.bias(2, channels)], "<i4")
    _emit(
        builder,
        ask,
        (x, weights, y),
        batch=((), (), ()),
        sizes=(rows, channels, depth),
        a_steps=(depth, 1),
        b_steps=(depth, 1),
        bias=bias,
        clamp=ask.clamp(0, y),
    )


def _steps(shape: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an operand along the batch dims; 0 where it has but one."""
    lead = (1,) * (len(batch) + 2 - len(shape)) + shape[:-2]
    whole = (*lead, *shape[-2:])
    return tuple(0 if size == 1 else prod(whole[axis + 1 :]) for axis, size in enumerate(lead))


def _emit(
    builder: Builder,
    ask: Operands,
    operands: tuple[Quantized, Quantized, Quantized],
    *,
    batch: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    sizes: tuple[int, int, int],
    a_steps: tuple[int, int],
    b_steps: tuple[int, int],
    bias: int,
    clamp: tuple[int, int],
) -> None:
    a, b, y = operands
    multiplier, shift = checked_multiplier(float(a.scale) * float(b.scale) / float(y.scale), ask.where)
    params = MatmulParams(
        _three(batch[0], 1),
        _three(batch[1], 0),
        _three(batch[2], 0),
        *sizes,
        *a_steps,
        *b_steps,
        bias=bias,
        multiplier=multiplier,
        shift=shift,
        a_zero=a.zero,
        b_zero=b.zero,
        out_zero=y.zero,
        act_min=clamp[0],
        act_max=clamp[1],
    )
    builder.emit(OpCode.BATCH_MATMUL, (a.index, b.index), y.index, params)


def _three(values: tuple[int, ...], fill: int) -> tuple[int, int, int]:
    a, b, c = (fill,) * (_BATCH_AXES - len(values)) + values
    return a, b, c


def lower_l2_normalization(builder: Builder, ask: Operands) -> None:
    ask.count((1,))
    x, y = ask.activation(0), ask.output()
    if not x.shape or x.shape != y.shape:
        raise ask.refuse(f"shapes {x.shape}, {y.shape}; expected equal ones")
    if ask.option(0, "b"):
        raise ask.refuse("a fused activation; make it an op of its own")
    depth = ask.positive("last dim", x.shape[-1], L2_DEPTH_MAX)
    params = L2NormalizationParams(depth, x.zero)
    builder.emit(OpCode.L2_NORMALIZATION, (x.index,), y.index, params, in_place=(0,))


def lower_arg_extreme(builder: Builder, ask: Operands) -> None:
    """ARG_MAX and ARG_MIN."""
    ask.count((2,))
    x, y = ask.activation(0), ask.graph.tensors[ask.op.outputs[0]]
    if y.dtype not in _INDEX_TYPES:
        raise ask.refuse(f"{y} is {y.dtype.name}; TFLM makes int32: convert with output_type int32")
    axes = ask.constant_ints(1)
    if len(axes) != 1:
        raise ask.refuse(f"axes {axes}; expected one")
    axis = ask.axis(axes[0], len(x.shape))
    params = ArgExtremeParams(prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :]))
    if params.outer * params.inner != y.elements:
        raise ask.refuse(f"{x.shape} along axis {axis} is no {y.shape}")
    code = OpCode.ARG_MAX if ask.op.code == Builtin.ARG_MAX else OpCode.ARG_MIN
    builder.emit(code, (x.index,), y.index, params)
