"""Ops of a plan: codes and parameter records (ARTIFACT.md sections 3 and 4).

A record is a frozen dataclass and its struct layout side by side; `../firmware/runtime/plan.h` has the same
in C.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tinyfleet.wire.artifact_params import DIMS_MAX as DIMS_MAX  # for whoever asks for ops
from tinyfleet.wire.artifact_params import Params as Params
from tinyfleet.wire.artifact_params import Six, Three
from tinyfleet.wire.artifact_recurrent import LstmParams, SvdfParams
from tinyfleet.wire.artifact_signal import (
    ArithmeticParams,
    DelayParams,
    EnergyParams,
    FftParams,
    FilterBankParams,
    FramerParams,
    LogParams,
    NoParams,
    OverlapAddParams,
    PcanParams,
    StackerParams,
    SubtractionParams,
    WindowParams,
)
from tinyfleet.wire.enums import CoreVariant

SOFTMAX_DEPTH_MAX: Final = 4095
SHIFT_MIN: Final = -31
SHIFT_MAX: Final = 30
PER_TENSOR: Final = 1
"""Flag of conv-like ops: one multiplier and one shift for all output channels."""
COLUMNS_FIRST: Final = 2
"""Flag of a DEPTHWISE_CONV_2D packed for MVE: a word holds taps of a kernel row (ARTIFACT.md section 10)."""
DIV_SHIFT_MAX: Final = 22
NO_CONSTANTS: Final = 2**32 - 1
"""An offset into CONSTANTS of what is absent."""
L2_DEPTH_MAX: Final = 33025
"""More values could overflow the sum of their squares."""
FILL: Final = 1
"""Flag of COPY: the whole output is set to `fill` first."""


class OpCode(IntEnum):
    """TensorFlow Lite's BuiltinOperator numbers, 220 and above ours; birth's `ops` bitmap uses them too."""

    ADD = 0
    AVERAGE_POOL_2D = 1
    CONV_2D = 3
    DEPTHWISE_CONV_2D = 4
    FULLY_CONNECTED = 9
    L2_NORMALIZATION = 11
    MAX_POOL_2D = 17
    MUL = 18
    RESIZE_BILINEAR = 23
    SOFTMAX = 25
    SVDF = 27
    MEAN = 40
    SUB = 41
    DIV = 42
    UNIDIRECTIONAL_SEQUENCE_LSTM = 44
    LOG_SOFTMAX = 50
    CAST = 53
    PRELU = 54
    MAXIMUM = 55
    ARG_MAX = 56
    MINIMUM = 57
    TRANSPOSE_CONV = 67
    ARG_MIN = 79
    REDUCE_MAX = 82
    REDUCE_MIN = 89
    SQUARED_DIFFERENCE = 99
    BATCH_MATMUL = 126
    QUANTIZE = 114
    TABLE = 220
    COPY = 221
    GATHER = 222
    WINDOW = 223
    AUTO_SCALE = 224
    RFFT = 225
    IRFFT = 226
    ENERGY = 227
    FILTER_BANK = 228
    SQUARE_ROOT = 229
    SPECTRAL_SUBTRACTION = 230
    PCAN = 231
    LOG = 232
    FRAMER = 233
    STACKER = 234
    DELAY = 235
    OVERLAP_ADD = 236
    ARITHMETIC = 237


@dataclass(frozen=True, slots=True)
class ConvParams(Params):
    """Convolutions. weights, bias, multiplier, shift are offsets into CONSTANTS."""

    LAYOUT = struct.Struct("<4I8H2H4h4x")

    weights: int
    bias: int
    multiplier: int
    shift: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int
    depth: int
    flags: int
    input_zero: int
    output_zero: int
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class FullyConnectedParams(Params):
    LAYOUT = struct.Struct("<4IIH4h2x")

    weights: int
    bias: int
    multiplier: int
    shift: int
    depth: int
    flags: int
    input_zero: int
    output_zero: int
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class PoolParams(Params):
    LAYOUT = struct.Struct("<6H2h")

    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class MeanParams(Params):
    """MEAN, REDUCE_MAX, REDUCE_MIN. Sizes and strides in elements, outermost first."""

    LAYOUT = struct.Struct("<12I3ih2x")

    kept_size: Three
    kept_stride: Three
    reduced_size: Three
    reduced_stride: Three
    first: int
    multiplier: int
    shift: int
    output_zero: int


@dataclass(frozen=True, slots=True)
class SoftmaxParams(Params):
    LAYOUT = struct.Struct("<I3i")

    depth: int
    multiplier: int
    left_shift: int
    diff_min: int


@dataclass(frozen=True, slots=True)
class LogSoftmaxParams(Params):
    LAYOUT = struct.Struct("<I5i")

    depth: int
    multiplier: int
    left_shift: int
    diff_min: int
    reverse_multiplier: int
    reverse_shift: int


@dataclass(frozen=True, slots=True)
class QuantizeParams(Params):
    LAYOUT = struct.Struct("<4i")

    multiplier: int
    shift: int
    input_zero: int
    output_zero: int


@dataclass(frozen=True, slots=True)
class AddParams(Params):
    """ADD and the other element-wise ops of two operands."""

    LAYOUT = struct.Struct("<18I7i5h2x")

    size: Six
    a_stride: Six
    b_stride: Six
    a_multiplier: int
    a_shift: int
    b_multiplier: int
    b_shift: int
    out_multiplier: int
    out_shift: int
    left_shift: int
    a_zero: int
    b_zero: int
    out_zero: int
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class MatmulParams(Params):
    """Sizes and strides in elements, outermost first; stride 0 broadcasts. bias: offset of i32[columns], or
    NO_CONSTANTS."""

    LAYOUT = struct.Struct("<17I2i5h2x")

    batch: Three
    a_batch: Three
    b_batch: Three
    rows: int
    columns: int
    depth: int
    a_row: int
    a_depth: int
    b_column: int
    b_depth: int
    bias: int
    multiplier: int
    shift: int
    a_zero: int
    b_zero: int
    out_zero: int
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class L2NormalizationParams(Params):
    LAYOUT = struct.Struct("<Ih2x")

    depth: int
    input_zero: int


@dataclass(frozen=True, slots=True)
class ArgExtremeParams(Params):
    """[outer, size, inner]; the answers are places along `size`."""

    LAYOUT = struct.Struct("<3I")

    outer: int
    size: int
    inner: int


@dataclass(frozen=True, slots=True)
class TableParams(Params):
    """Offset of 256 answers, for -128 to 127."""

    LAYOUT = struct.Struct("<I")

    table: int


@dataclass(frozen=True, slots=True)
class CopyParams(Params):
    """Sizes and strides in bytes, outermost first; an input stride may be negative."""

    LAYOUT = struct.Struct("<6I6i6I2IHh")

    size: Six
    input_stride: Six
    output_stride: Six
    input_first: int
    output_first: int
    flags: int
    fill: int


@dataclass(frozen=True, slots=True)
class GatherParams(Params):
    """[outer, rows, columns, inner]; rows and columns: offsets of u16 tables that pick. `inner` in bytes."""

    LAYOUT = struct.Struct("<8I")

    rows: int
    columns: int
    outer: int
    input_rows: int
    output_rows: int
    input_columns: int
    output_columns: int
    inner: int


@dataclass(frozen=True, slots=True)
class ResizeParams(Params):
    """Offsets of tables of (low u16, high u16, weight i16, 0), one record an output row or column."""

    LAYOUT = struct.Struct("<2I")

    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class OpForm:
    """How many tensors an op takes, and its parameters."""

    inputs: int
    outputs: int
    temps: int
    params: type[Params]


OP_FORMS: Final[dict[OpCode, OpForm]] = {
    OpCode.ADD: OpForm(2, 1, 0, AddParams),
    OpCode.ARG_MAX: OpForm(1, 1, 0, ArgExtremeParams),
    OpCode.ARG_MIN: OpForm(1, 1, 0, ArgExtremeParams),
    OpCode.AVERAGE_POOL_2D: OpForm(1, 1, 0, PoolParams),
    OpCode.BATCH_MATMUL: OpForm(2, 1, 0, MatmulParams),
    OpCode.CONV_2D: OpForm(1, 1, 1, ConvParams),
    OpCode.DEPTHWISE_CONV_2D: OpForm(1, 1, 1, ConvParams),
    OpCode.DIV: OpForm(2, 1, 0, AddParams),
    OpCode.FULLY_CONNECTED: OpForm(1, 1, 0, FullyConnectedParams),
    OpCode.L2_NORMALIZATION: OpForm(1, 1, 0, L2NormalizationParams),
    OpCode.MAX_POOL_2D: OpForm(1, 1, 0, PoolParams),
    OpCode.SOFTMAX: OpForm(1, 1, 0, SoftmaxParams),
    OpCode.LOG_SOFTMAX: OpForm(1, 1, 0, LogSoftmaxParams),
    OpCode.QUANTIZE: OpForm(1, 1, 0, QuantizeParams),
    OpCode.SVDF: OpForm(1, 2, 0, SvdfParams),
    OpCode.UNIDIRECTIONAL_SEQUENCE_LSTM: OpForm(1, 3, 0, LstmParams),
    OpCode.MEAN: OpForm(1, 1, 0, MeanParams),
    OpCode.MUL: OpForm(2, 1, 0, AddParams),
    OpCode.SUB: OpForm(2, 1, 0, AddParams),
    OpCode.PRELU: OpForm(2, 1, 0, AddParams),
    OpCode.MAXIMUM: OpForm(2, 1, 0, AddParams),
    OpCode.MINIMUM: OpForm(2, 1, 0, AddParams),
    OpCode.SQUARED_DIFFERENCE: OpForm(2, 1, 0, AddParams),
    OpCode.TRANSPOSE_CONV: OpForm(1, 1, 0, ConvParams),
    OpCode.REDUCE_MAX: OpForm(1, 1, 0, MeanParams),
    OpCode.REDUCE_MIN: OpForm(1, 1, 0, MeanParams),
    OpCode.RESIZE_BILINEAR: OpForm(1, 1, 0, ResizeParams),
    OpCode.TABLE: OpForm(1, 1, 0, TableParams),
    OpCode.COPY: OpForm(1, 1, 0, CopyParams),
    OpCode.GATHER: OpForm(1, 1, 0, GatherParams),
    OpCode.WINDOW: OpForm(2, 1, 0, WindowParams),
    OpCode.AUTO_SCALE: OpForm(1, 2, 0, NoParams),
    OpCode.RFFT: OpForm(1, 1, 0, FftParams),
    OpCode.IRFFT: OpForm(1, 1, 0, FftParams),
    OpCode.ENERGY: OpForm(1, 1, 0, EnergyParams),
    OpCode.FILTER_BANK: OpForm(1, 1, 0, FilterBankParams),
    OpCode.SQUARE_ROOT: OpForm(2, 1, 0, NoParams),
    OpCode.SPECTRAL_SUBTRACTION: OpForm(1, 2, 0, SubtractionParams),
    OpCode.PCAN: OpForm(2, 1, 0, PcanParams),
    OpCode.LOG: OpForm(1, 1, 0, LogParams),
    OpCode.FRAMER: OpForm(1, 4, 0, FramerParams),
    OpCode.STACKER: OpForm(1, 4, 0, StackerParams),
    OpCode.DELAY: OpForm(1, 2, 0, DelayParams),
    OpCode.OVERLAP_ADD: OpForm(1, 2, 0, OverlapAddParams),
    OpCode.ARITHMETIC: OpForm(2, 1, 0, ArithmeticParams),
    OpCode.CAST: OpForm(1, 1, 0, NoParams),
}

PLAIN: Final = 0
"""Variant of an op: plain layouts. Any other is the plan's CoreVariant (ARTIFACT.md sections 8 and 10)."""

_PACKED: Final[dict[OpCode, OpForm]] = {
    OpCode.CONV_2D: OpForm(1, 1, 1, ConvParams),
    OpCode.DEPTHWISE_CONV_2D: OpForm(1, 1, 1, ConvParams),
    OpCode.FULLY_CONNECTED: OpForm(1, 1, 0, FullyConnectedParams),
}
_AS_PLAIN: Final = (OpCode.ADD, OpCode.AVERAGE_POOL_2D, OpCode.MAX_POOL_2D, OpCode.MEAN)

PACKED_FORMS: Final[dict[CoreVariant, dict[OpCode, OpForm]]] = {
    CoreVariant.PORTABLE: {},
    CoreVariant.DSP: _PACKED,
    CoreVariant.MVE: _PACKED | {code: OP_FORMS[code] for code in _AS_PLAIN},
}


def op_form(code: OpCode, variant: int, core: CoreVariant) -> OpForm | None:
    """None: plans for this core have no such variant of this op."""
    if variant == PLAIN:
        return OP_FORMS[code]
    return PACKED_FORMS[core].get(code) if variant == core else None
