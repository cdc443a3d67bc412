"""Parameter records of ops that keep state of their own: SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tinyfleet.wire.artifact_params import Eight, Params, Two

TIME_MAJOR: Final = 1
CELL_SIGMOID: Final = 2
CELL_CLIP: Final = 4
"""Flags of UNIDIRECTIONAL_SEQUENCE_LSTM."""


@dataclass(frozen=True, slots=True)
class SvdfParams(Params):
    """features, feature_bias, times and bias are offsets into CONSTANTS."""

    LAYOUT = struct.Struct("<7I4iH2h2x")

    features: int
    feature_bias: int
    times: int
    bias: int
    inputs: int
    units: int
    memory: int
    feature_multiplier: int
    feature_shift: int
    output_multiplier: int
    output_shift: int
    rank: int
    state_zero: int
    output_zero: int


@dataclass(frozen=True, slots=True)
class LstmParams(Params):
    """weights, bias and sigmoid are offsets into CONSTANTS. Scales are (multiplier, shift), those of gates in
    the order input, forget, cell, output."""

    LAYOUT = struct.Struct("<6I22iH2hHI")

    weights: int
    bias: int
    sigmoid: int
    inputs: int
    units: int
    steps: int
    of_input: Eight
    of_hidden: Eight
    forget: Two
    update: Two
    output: Two
    flags: int
    hidden_zero: int
    cell_most: int
    curve_multiplier: int
    curve_shift: int
