"""Parameter records of the signal ops and of plain integer arithmetic (ARTIFACT.md, section 4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tinyfleet.wire.artifact_params import Params, Six, Sixteen, Two

FFT_LENGTH_MAX: Final = 32768
FFT_STAGES: Final = 16
PCAN_GAINS: Final = 125
LOG_BENDS: Final = 129


@dataclass(frozen=True, slots=True)
class WindowParams(Params):
    """Samples of a frame, and how far products are shifted down."""

    LAYOUT = struct.Struct("<2I")

    size: int
    shift: int


@dataclass(frozen=True, slots=True)
class FftParams(Params):
    """twiddles, halves: offsets of complex tables. radix: of each stage, outermost first, then zeros."""

    LAYOUT = struct.Struct("<3I16B")

    length: int
    twiddles: int
    halves: int
    radix: Sixteen


@dataclass(frozen=True, slots=True)
class EnergyParams(Params):
    LAYOUT = struct.Struct("<2I")

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FilterBankParams(Params):
    """Offsets: bands (first u16, count u16), one more than channels; shares (rising i16, falling i16)."""

    LAYOUT = struct.Struct("<2I")

    bands: int
    shares: int


@dataclass(frozen=True, slots=True)
class SubtractionParams(Params):
    """Pairs are for even and odd channels; all but the bits are in 1 / 2^bits."""

    LAYOUT = struct.Struct("<5I3Bx")

    smoothing: Two
    one_minus_smoothing: Two
    min_signal_remaining: int
    smoothing_bits: int
    bits: int
    clamping: int


@dataclass(frozen=True, slots=True)
class PcanParams(Params):
    """gains: offset of PCAN_GAINS i16."""

    LAYOUT = struct.Struct("<2I")

    gains: int
    snr_shift: int


@dataclass(frozen=True, slots=True)
class LogParams(Params):
    """bends: offset of LOG_BENDS u16."""

    LAYOUT = struct.Struct("<3I")

    bends: int
    scale: int
    correction_bits: int


@dataclass(frozen=True, slots=True)
class FramerParams(Params):
    """In samples, but for warm_up: steps until the first frame is whole."""

    LAYOUT = struct.Struct("<4I")

    size: int
    step: int
    kept: int
    warm_up: int


@dataclass(frozen=True, slots=True)
class StackerParams(Params):
    """rows: of a stack. left: how often the first one is repeated. step: rows that leave after a stack."""

    LAYOUT = struct.Struct("<3I")

    rows: int
    left: int
    step: int


@dataclass(frozen=True, slots=True)
class DelayParams(Params):
    LAYOUT = struct.Struct("<I")

    length: int


@dataclass(frozen=True, slots=True)
class OverlapAddParams(Params):
    LAYOUT = struct.Struct("<2I")

    step: int
    frames: int


class Arithmetic(IntEnum):
    """What ARITHMETIC does with two int32."""

    SUM = 0
    DIFFERENCE = 1
    PRODUCT = 2
    QUOTIENT = 3
    MINIMUM = 4
    MAXIMUM = 5


@dataclass(frozen=True, slots=True)
class ArithmeticParams(Params):
    """Sizes and strides in elements, outermost first."""

    LAYOUT = struct.Struct("<18I2iI")

    size: Six
    a_stride: Six
    b_stride: Six
    act_min: int
    act_max: int
    kind: int


@dataclass(frozen=True, slots=True)
class NoParams(Params):
    LAYOUT = struct.Struct("<")
