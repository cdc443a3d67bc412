"""Ops that keep state of their own: SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM.

Sources under tensorflow/lite/micro/kernels/: svdf_common.cc (PrepareSvdf), lstm_eval_common.cc.
"""

from __future__ import annotations

import math
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.numerics import Multiplier, checked_multiplier, round_away, wrapped
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.schema import Activation, TensorType
from tinyfleet.model.compiler.tflite import TfTensor
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.artifact_params import Eight
from tinyfleet.wire.artifact_recurrent import CELL_CLIP, TIME_MAJOR, LstmParams, SvdfParams

Weights = npt.NDArray[np.int64]

_GATE_SCALE: Final = 2.0**-12
"""What goes into a gate's curve, Q3.12."""
_CURVE_SCALE: Final = 2.0**-15
"""What comes out of one, Q0.15."""
_SIGMOID_STEPS: Final = 24
_CURVE_SHIFT_MAX: Final = 30


def lower_svdf(builder: Builder, ask: Operands) -> None:
    if len(ask.op.inputs) != 5:
        raise ask.refuse(f"{len(ask.op.inputs)} inputs, expected 5")
    x, y, features = ask.activation(0), ask.output(), ask.weights(1)
    times, state = _weights(ask, 2, (TensorType.INT8, TensorType.INT16)), ask.value(4)
    rank = ask.positive("rank", ask.option(0, "i"))
    if len(features.shape) != 2 or len(times.shape) != 2 or len(x.shape) != 2:
        raise ask.refuse(f"shapes {x.shape}, {features.shape}, {times.shape}; expected 2 dims each")
    (filters, inputs), memory = features.shape, times.shape[1]
    units, rest = divmod(filters, rank)
    batches = x.shape[0]
    fits = x.shape == (batches, inputs) and y.shape == (batches, units) and times.shape[0] == filters
    if rest or not fits or prod(state.shape) != batches * filters * memory:
        raise ask.refuse(
            f"input {x.shape}, features {features.shape}, times {times.shape}, state {state.shape}, rank "
            f"{rank} and output {y.shape} do not fit together"
        )
    _check_state(ask, state, times.dtype)
    first = checked_multiplier(float(x.scale) * float(features.scales[0]) / float(state.scale), ask.where)
    second = checked_multiplier(float(state.scale) * float(times.scales[0]) / float(y.scale), ask.where)
    over_time = _values(times).sum(axis=1).reshape(units, rank).sum(axis=1)
    params = SvdfParams(
        features=builder.weights(np.asarray(features.data, np.int8)),
        feature_bias=_sums(builder, -x.zero * _values(features).sum(axis=1)),
        times=builder.blob(np.ascontiguousarray(times.data).tobytes()),
        bias=_sums(builder, ask.bias(3, units) - state.zero * over_time),
        inputs=inputs,
        units=units,
        memory=memory,
        feature_multiplier=first[0],
        feature_shift=first[1],
        output_multiplier=second[0],
        output_shift=second[1],
        rank=rank,
        state_zero=state.zero,
        output_zero=y.zero,
    )
    builder.emit(OpCode.SVDF, (x.index,), (y.index, state.index), params)


def lower_lstm(builder: Builder, ask: Operands) -> None:
    """Inputs as lstm_shared.h numbers them: 0 input; 1-4 input weights; 5-8 recurrent weights; 12-15 biases;
    18 hidden and 19 cell state."""
    if len(ask.op.inputs) != 24:
        raise ask.refuse(f"{len(ask.op.inputs)} inputs, expected 24")
    variants = {"peepholes": range(9, 12), "a projection": range(16, 18), "layer norm": range(20, 24)}
    for what, numbers in variants.items():
        if any(ask.op.inputs[number] >= 0 for number in numbers):
            raise ask.refuse(f"{what}; TFLM has none either")
    x, y, hidden, cell = ask.activation(0), ask.output(), ask.activation(18), ask.value(19)
    time_major = bool(ask.option(3, "b"))
    if len(x.shape) != 3 or len(hidden.shape) != 2:
        raise ask.refuse(f"input {x.shape}, hidden state {hidden.shape}; expected 3 and 2 dims")
    steps, batches = x.shape[:2] if time_major else x.shape[1::-1]
    inputs, units = x.shape[2], hidden.shape[1]
    states = (prod(hidden.shape), prod(cell.shape))
    if y.shape != (*x.shape[:2], units) or states != (batches * units, batches * units):
        raise ask.refuse(
            f"input {x.shape}, states {hidden.shape}, {cell.shape} and output {y.shape} do not fit together"
        )
    _check_state(ask, hidden, TensorType.INT8)
    _check_state(ask, cell, TensorType.INT16)
    of_input = [_gate_weights(ask, number, (units, inputs)) for number in range(1, 5)]
    of_hidden = [_gate_weights(ask, number, (units, units)) for number in range(5, 9)]
    biases = [ask.bias(number, units) for number in range(12, 16)]
    packed = np.stack([np.hstack(pair) for pair in zip(_all(of_input), _all(of_hidden), strict=True)], axis=1)
    sums = [
        (bias - x.zero * one.sum(axis=1), -hidden.zero * two.sum(axis=1))
        for bias, one, two in zip(biases, _all(of_input), _all(of_hidden), strict=True)
    ]
    flags, cell_most = _cell_flags(ask, cell)
    curve_multiplier, curve_shift = _curve(ask, cell)
    params = LstmParams(
        weights=builder.weights(packed.astype(np.int8)),
        bias=_sums(builder, np.stack([np.stack(pair, axis=1) for pair in sums], axis=1).reshape(-1)),
        sigmoid=builder.table(_sigmoid_table(), "<u2"),
        inputs=inputs,
        units=units,
        steps=steps,
        of_input=_gate_scales(ask, x, of_input),
        of_hidden=_gate_scales(ask, hidden, of_hidden),
        forget=checked_multiplier(_CURVE_SCALE * float(cell.scale) / float(cell.scale), ask.where),
        update=checked_multiplier(_CURVE_SCALE * _CURVE_SCALE / float(cell.scale), ask.where),
        output=checked_multiplier(_CURVE_SCALE * _CURVE_SCALE / float(hidden.scale), ask.where),
        flags=flags | (TIME_MAJOR if time_major else 0),
        hidden_zero=hidden.zero,
        cell_most=cell_most,
        curve_multiplier=curve_multiplier,
        curve_shift=curve_shift,
    )
    builder.emit(OpCode.UNIDIRECTIONAL_SEQUENCE_LSTM, (x.index,), (y.index, hidden.index, cell.index), params)


def _cell_flags(ask: Operands, cell: Quantized) -> tuple[int, int]:
    """(flags, largest magnitude of a clipped cell)."""
    activation = ask.choice(0, Activation)
    if activation is not Activation.TANH:
        raise ask.refuse(f"the cell gate's activation is {activation.name}; TFLM has TANH")
    if ask.real_option(2) > 0:
        raise ask.refuse("a projection is clipped, and there is none")
    clip = float(np.float32(ask.real_option(1)))
    if clip <= 0:
        return 0, 0
    return CELL_CLIP, int(min(clip / float(cell.scale), 32767.0))


def _curve(ask: Operands, cell: Quantized) -> tuple[int, int]:
    """(multiplier, right shift) from the cell to the steps of the table: 3 x 2^(12 + its power of two)."""
    power = np.float32(math.log(float(cell.scale))) * np.float32(np.float32(1.0) / np.float32(math.log(2.0)))
    left = 15 + round_away(float(power)) - 3
    if left > 14 or -left > _CURVE_SHIFT_MAX:
        raise ask.refuse(f"the cell state's scale is {float(cell.scale):g}, out of range")
    return (3 << left, 0) if left >= 0 else (3, -left)


def _sigmoid_table() -> list[int]:
    """sigmoid_table_uint16 of kernels/internal/common.h: steps of 1/24 in Q0.16.

    A chord lies below the curve by at most step^2 x |second derivative| / 8; each value is raised by half of
    that, so that the interpolation errs to both sides. The last is 1.
    """
    table = []
    for i in range(255):
        value = 1 / (1 + math.exp(-i / _SIGMOID_STEPS))
        curvature = value * (1 - value) * (2 * value - 1)
        table.append(round_away(2**16 * (value + curvature / (16 * _SIGMOID_STEPS**2))))
    return [*table, 2**16 - 1]


def _weights(ask: Operands, number: int, dtypes: tuple[TensorType, ...]) -> TfTensor:
    tensor = ask.graph.tensors[ask.op.inputs[number]]
    if tensor.data is None or tensor.dtype not in dtypes:
        names = " or ".join(dtype.name for dtype in dtypes)
        raise ask.refuse(f"{tensor} is {tensor.dtype.name}; expected constant {names}")
    if tensor.scales.size != 1 or int(tensor.zero_points[0]) != 0:
        raise ask.refuse(f"{tensor} is not quantised symmetrically with one scale")
    return tensor


def _gate_weights(ask: Operands, number: int, shape: tuple[int, int]) -> TfTensor:
    if ask.op.inputs[number] < 0:
        raise ask.refuse(f"input {number} is missing; TFLM has no coupled gates")
    tensor = _weights(ask, number, (TensorType.INT8,))
    if tensor.shape != shape:
        raise ask.refuse(f"weights {tensor} {tensor.shape}, expected {shape}")
    return tensor


def _check_state(ask: Operands, state: Quantized, dtype: TensorType) -> None:
    if state.dtype is not dtype or not state.tensor.is_variable or state.tensor.scales.size != 1:
        raise ask.refuse(
            f"{state.tensor} is {state.dtype.name}; expected a variable {dtype.name} with one scale"
        )
    if dtype is TensorType.INT16 and state.zero != 0:
        raise ask.refuse(f"{state.tensor} has zero point {state.zero}, expected 0")


def _gate_scales(ask: Operands, source: Quantized, weights: list[TfTensor]) -> Eight:
    scales: list[Multiplier] = [
        checked_multiplier(float(source.scale) * float(one.scales[0]) / _GATE_SCALE, ask.where)
        for one in weights
    ]
    a, b, c, d, e, f, g, h = (number for scale in scales for number in scale)
    return a, b, c, d, e, f, g, h


def _values(tensor: TfTensor) -> Weights:
    return np.asarray(tensor.data).astype(np.int64)


def _all(tensors: list[TfTensor]) -> list[Weights]:
    return [_values(tensor) for tensor in tensors]


def _sums(builder: Builder, values: Weights) -> int:
    return builder.table([wrapped(int(value)) for value in values.reshape(-1)], "<i4")
