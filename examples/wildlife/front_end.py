"""The model's own front end: from 25 ms of samples to one second of log-mel features, as TFLM's signal ops.

    samples int16 [400] -> FRAMER [512] -> WINDOW (Hann) -> FFT_AUTO_SCALE -> RFFT -> ENERGY -> FILTER_BANK
    (32 mel channels) -> SQUARE_ROOT -> SPECTRAL_SUBTRACTION -> LOG int16 [32] -> integers to -128..127 ->
    STACKER int16 [40 x 32] -> int8 [1, 40, 32, 1]

What it remembers from run to run (the samples that frames share, the noise estimate, 39 rows of features)
is state of the plan: a changed front end is a changed model, and ships as one.

Spectral subtraction is slow (a time constant of 5 s) and leaves a quarter of what it takes for noise: wind
becomes faint, a cicada does not vanish. PCAN is left out for the same reason: it would level the cicada
away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from examples.wildlife.generate import RATE_HZ
from numpy.typing import NDArray
from tests.unit.model.signal_ops import custom
from tests.unit.model.tflite_writer import BOOL, INT8, INT16, INT32, UINT32, UINT64, O, T

HOP = 400
FRAME = 512
CHANNELS = 32
ROWS = 40
BINS = FRAME // 2 + 1
LOW_HZ, HIGH_HZ = 200.0, 7600.0
WINDOW_BITS = 12
WEIGHT_BITS = 12
NOISE_BITS = 14
SMOOTHING = 0.005
SIGNAL_LEFT = 0.25
LOG_SCALE = 256
STEPS_A_VALUE = 13
FEATURE_SCALE = STEPS_A_VALUE / LOG_SCALE
"""Nat a step of a feature; its zero point is -128, the log of 1."""

ADD, CAST, DIV, RESHAPE, MAXIMUM, MINIMUM = 0, 53, 42, 22, 55, 57


@dataclass
class Graph:
    """Tensors and ops of a `.tflite` in the making."""

    tensors: list[Any] = field(default_factory=list)
    ops: list[Any] = field(default_factory=list)

    def tensor(self, shape: tuple[int, ...], dtype: int = INT8, **more: Any) -> int:
        self.tensors.append(T(shape, dtype=dtype, **more))
        return len(self.tensors) - 1

    def constant(self, values: Any, dtype: int, **more: Any) -> int:
        return self.tensor(np.shape(values), dtype, data=values, **more)

    def signal(
        self, name: str, inputs: tuple[int, ...], *made: tuple[tuple[int, ...], int], **options: int
    ) -> Any:
        """Outputs of a custom op: shape and dtype of each. The index of the first, or all."""
        outputs = tuple(self.tensor(shape, dtype) for shape, dtype in made)
        self.ops.append(custom(name, inputs, outputs, **options))
        return outputs[0] if len(outputs) == 1 else outputs

    def op(self, code: int, inputs: tuple[int, ...], output: int, options: Any = (0, None)) -> int:
        self.ops.append(O(code, inputs, (output,), options))
        return output


def hann() -> NDArray[np.int64]:
    angle = 2.0 * np.pi * (np.arange(FRAME) + 0.5) / FRAME
    return np.round((0.5 - 0.5 * np.cos(angle)) * 2**WINDOW_BITS).astype(np.int64)


def _mel(hertz: float) -> float:
    return 1127.0 * math.log1p(hertz / 700.0)


@dataclass
class FilterBank:
    """Triangles that overlap by half: each bin rises towards one channel and falls from the one before."""

    first_bin: int
    end_bin: int
    starts: list[int]
    widths: list[int]
    rising: list[int]
    falling: list[int]


def filter_bank() -> FilterBank:
    low, high = _mel(LOW_HZ), _mel(HIGH_HZ)
    centres = [low + (high - low) * (i + 1) / (CHANNELS + 1) for i in range(CHANNELS + 1)]
    hertz_a_bin = RATE_HZ / FRAME
    first = round(1 + LOW_HZ / hertz_a_bin)
    bank = FilterBank(first, first, [], [], [], [])
    for i, centre in enumerate(centres):
        before = centres[i - 1] if i else low
        bank.starts.append(bank.end_bin)
        while _mel(bank.end_bin * hertz_a_bin) <= centre:
            share = (centre - _mel(bank.end_bin * hertz_a_bin)) / (centre - before)
            bank.rising.append(int(share * 2**WEIGHT_BITS))
            bank.falling.append(int((1.0 - share) * 2**WEIGHT_BITS))
            bank.end_bin += 1
        bank.widths.append(bank.end_bin - bank.starts[-1])
    return bank


def add_front_end(graph: Graph, samples: int) -> int:
    """Adds it behind the tensor `samples`, int16 [HOP]; the index of int8 [1, ROWS, CHANNELS, 1]."""
    frame, _ = graph.signal(
        "SignalFramer",
        (samples,),
        ((1, FRAME), INT16),
        ((), BOOL),
        frame_size=FRAME,
        frame_step=HOP,
        prefill=True,
    )
    weights = graph.constant(hann(), INT16)
    windowed = graph.signal("SignalWindow", (frame, weights), ((1, FRAME), INT16), shift=WINDOW_BITS)
    flat = graph.op(RESHAPE, (windowed, graph.constant([FRAME], INT32)), graph.tensor((FRAME,), INT16))
    scaled, bits = graph.signal("SignalFftAutoScale", (flat,), ((FRAME,), INT16), ((), INT32))
    spectrum = graph.signal("SignalRfft", (scaled,), ((2 * BINS,), INT16), T=INT16, fft_length=FRAME)
    channels = _add_channels(graph, spectrum, bits)
    smoothing = int(SMOOTHING * 2**NOISE_BITS)
    signal, _ = graph.signal(
        "SignalFilterBankSpectralSubtraction",
        (channels,),
        ((CHANNELS,), UINT32),
        ((CHANNELS,), UINT32),
        num_channels=CHANNELS,
        smoothing=smoothing,
        one_minus_smoothing=2**NOISE_BITS - smoothing,
        alternate_smoothing=smoothing,
        alternate_one_minus_smoothing=2**NOISE_BITS - smoothing,
        smoothing_bits=10,
        min_signal_remaining=int(SIGNAL_LEFT * 2**NOISE_BITS),
        clamping=False,
        spectral_subtraction_bits=NOISE_BITS,
    )
    log = graph.signal(
        "SignalFilterBankLog",
        (signal,),
        ((CHANNELS,), INT16),
        input_correction_bits=0,
        output_scale=LOG_SCALE,
    )
    return _add_stack(graph, _add_rounding(graph, log))


def _add_channels(graph: Graph, spectrum: int, bits: int) -> int:
    bank = filter_bank()
    energy = graph.signal(
        "SignalEnergy", (spectrum,), ((BINS,), UINT32), start_index=bank.first_bin, end_index=bank.end_bin
    )
    places = np.concatenate([[0], np.cumsum(bank.widths)[:-1]])
    tables = (bank.rising, bank.falling, bank.starts, places, bank.widths)
    operands = (energy, *(graph.constant(values, INT16) for values in tables))
    sums = graph.signal("SignalFilterBank", operands, ((CHANNELS,), UINT64), num_channels=CHANNELS)
    return int(graph.signal("SignalFilterBankSquareRoot", (sums, bits), ((CHANNELS,), UINT32)))


def _add_rounding(graph: Graph, log: int) -> int:
    """(log + half a step) / a step - 128, held in -128..127, as int16."""
    value = graph.op(CAST, (log,), graph.tensor((CHANNELS,), INT32))
    for code, number in (
        (ADD, STEPS_A_VALUE // 2),
        (DIV, STEPS_A_VALUE),
        (ADD, -128),
        (MINIMUM, 127),
        (MAXIMUM, -128),
    ):
        value = graph.op(code, (value, graph.constant(number, INT32)), graph.tensor((CHANNELS,), INT32))
    return graph.op(CAST, (value,), graph.tensor((CHANNELS,), INT16))


def _add_stack(graph: Graph, row: int) -> int:
    stack, _ = graph.signal(
        "SignalStacker",
        (row,),
        ((ROWS * CHANNELS,), INT16),
        ((), BOOL),
        num_channels=CHANNELS,
        stacker_left_context=ROWS - 1,
        stacker_right_context=0,
        stacker_step=1,
    )
    quantised = {"scale": FEATURE_SCALE, "zero": -128}
    features = graph.op(CAST, (stack,), graph.tensor((ROWS * CHANNELS,), INT8, **quantised))
    shape = (1, ROWS, CHANNELS, 1)
    return graph.op(RESHAPE, (features, graph.constant(shape, INT32)), graph.tensor(shape, INT8, **quantised))
