"""TFLM's signal ops: custom ops whose options are a FlexBuffers map. Sources: signal/micro/kernels in
tensorflow/tflite-micro; fft tables, kissfft v130."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.flexbuffer import read_map
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import TensorType
from tinyfleet.model.compiler.tflite import TfTensor
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.artifact_signal import (
    FFT_LENGTH_MAX,
    FFT_STAGES,
    LOG_BENDS,
    PCAN_GAINS,
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

_I16: Final = TensorType.INT16
_I32: Final = TensorType.INT32
_U32: Final = TensorType.UINT32
_U64: Final = TensorType.UINT64
_BOOL: Final = TensorType.BOOL

_LENGTH_MAX: Final = 2**20
"""Of anything counted in samples: far above what a tensor holds, and no sum of a few overflows."""


@dataclass(frozen=True, slots=True)
class _Signal:
    """One signal op, asked for its tensors and options."""

    ask: Operands
    options: dict[str, int]

    def option(self, name: str, least: int = 0, most: int = _LENGTH_MAX) -> int:
        value = self.options.get(name)
        if value is None or not least <= value <= most:
            raise self.ask.refuse(f"option {name} is {value}, expected {least} to {most}")
        return value

    def bits32(self, name: str) -> int:
        """An int32 that the kernel takes for a uint32."""
        return self.option(name, -(2**31), 2**32 - 1) % 2**32

    def count(self, inputs: int, outputs: int) -> None:
        op = self.ask.op
        if len(op.inputs) != inputs or len(op.outputs) != outputs or min(op.inputs) < 0:
            raise self.ask.refuse(
                f"{len(op.inputs)} inputs and {len(op.outputs)} outputs, expected {inputs} and {outputs}"
            )

    def input(self, number: int, dtype: TensorType) -> TfTensor:
        return self._of_type(self.ask.op.inputs[number], dtype)

    def output(self, number: int, dtype: TensorType) -> TfTensor:
        return self._of_type(self.ask.op.outputs[number], dtype)

    def constant(self, number: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The values of a constant int16 tensor."""
        tensor = self.input(number, _I16)
        if tensor.data is None:
            raise self.ask.refuse(f"{tensor} is computed, expected a constant")
        return tensor.data.reshape(-1).astype(np.int64)

    def expect(self, tensor: TfTensor, elements: int) -> None:
        if tensor.elements != elements:
            raise self.ask.refuse(f"{tensor} has shape {tensor.shape}, expected {elements} values")

    def _of_type(self, index: int, dtype: TensorType) -> TfTensor:
        tensor = self.ask.graph.tensors[index]
        if tensor.dtype is not dtype:
            floats = tensor.dtype is TensorType.FLOAT32
            hint = "; build the front end with its integer ops" if floats else ""
            raise self.ask.refuse(f"{tensor} is {tensor.dtype.name}, expected {dtype.name}{hint}")
        return tensor


def _row(tensor: TfTensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def _window(builder: Builder, op: _Signal) -> None:
    op.count(2, 1)
    x, weights, y = op.input(0, _I16), op.input(1, _I16), op.output(0, _I16)
    if x.elements % weights.elements:
        raise op.ask.refuse(f"{x} {x.shape} is no number of windows of {weights.elements}")
    op.expect(y, x.elements)
    params = WindowParams(weights.elements, op.option("shift", 0, 31))
    builder.emit(OpCode.WINDOW, (x.index, weights.index), y.index, params, in_place=(0,))


def _auto_scale(builder: Builder, op: _Signal) -> None:
    op.count(1, 2)
    x, y, bits = op.input(0, _I16), op.output(0, _I16), op.output(1, _I32)
    op.expect(y, x.elements)
    op.expect(bits, 1)
    builder.emit(OpCode.AUTO_SCALE, (x.index,), (y.index, bits.index), NoParams(), in_place=(0,))


def _rfft(builder: Builder, op: _Signal) -> None:
    op.count(1, 1)
    dtype = _width(op)
    x, y = op.input(0, dtype), op.output(0, dtype)
    params = _fft_params(builder, op, dtype, inverse=False)
    if _row(x) > params.length or _row(y) != params.length + 2:
        raise op.ask.refuse(
            f"{x.shape} to {y.shape} with an FFT of {params.length}; "
            f"expected rows of at most {params.length} and of {params.length + 2}"
        )
    op.expect(y, x.elements // _row(x) * _row(y))
    builder.emit(OpCode.RFFT, (x.index,), y.index, params)


def _irfft(builder: Builder, op: _Signal) -> None:
    op.count(1, 1)
    dtype = _width(op)
    x, y = op.input(0, dtype), op.output(0, dtype)
    params = _fft_params(builder, op, dtype, inverse=True)
    if _row(x) != params.length + 2 or _row(y) != params.length:
        raise op.ask.refuse(
            f"{x.shape} to {y.shape} with an FFT of {params.length}; "
            f"expected rows of {params.length + 2} and of {params.length}"
        )
    op.expect(y, x.elements // _row(x) * _row(y))
    builder.emit(OpCode.IRFFT, (x.index,), y.index, params)


def _width(op: _Signal) -> TensorType:
    """The T of an FFT, which is that of its tensors."""
    kind = op.options.get("T", -1)
    if kind not in (_I16, _I32):
        name = TensorType(kind).name if kind in TensorType.__members__.values() else str(kind)
        raise op.ask.refuse(f"it works on {name}, expected INT16 or INT32")
    return TensorType(kind)


def _fft_params(builder: Builder, op: _Signal, dtype: TensorType, *, inverse: bool) -> FftParams:
    length = op.option("fft_length", 4, FFT_LENGTH_MAX)
    if length % 2:
        raise op.ask.refuse(f"an FFT of {length}; its length must be even")
    size = length // 2
    radices = _radices(op, size)
    turn = 1 if inverse else -1
    twiddles = [turn * 2 * math.pi * i / size for i in range(size)]
    halves = [turn * math.pi * ((i + 1) / size + 0.5) for i in range(size // 2)]
    largest, kind = (32767, "<i2") if dtype is _I16 else (2**31 - 1, "<i4")
    return FftParams(
        length,
        builder.table(_points(twiddles, largest), kind),
        builder.table(_points(halves, largest), kind),
        (*radices, *(0,) * (FFT_STAGES - len(radices))),  # type: ignore[arg-type]  # sixteen of them
    )


def _radices(op: _Signal, size: int) -> list[int]:
    """kf_factor: fours, then a two, then odd numbers."""
    radices = []
    for radix in (4, 2, 3, 5):
        while size % radix == 0:
            radices.append(radix)
            size //= radix
    if size != 1:
        raise op.ask.refuse(
            f"half its FFT length has the factor {size}; kissfft in TFLM takes 2, 3 and 5. Use a power of two"
        )
    return radices


def _points(angles: list[float], largest: int) -> list[int]:
    """Complex numbers on the unit circle, in fixed point: kf_cexp."""
    return [math.floor(0.5 + largest * part(angle)) for angle in angles for part in (math.cos, math.sin)]


def _energy(builder: Builder, op: _Signal) -> None:
    op.count(1, 1)
    x, y = op.input(0, _I16), op.output(0, _U32)
    bins = min(x.elements // 2, y.elements)
    end = op.option("end_index", 0, bins)
    params = EnergyParams(op.option("start_index", 0, end), end)
    builder.emit(OpCode.ENERGY, (x.index,), y.index, params)


def _filter_bank(builder: Builder, op: _Signal) -> None:
    op.count(6, 1)
    x, y = op.input(0, _U32), op.output(0, _U64)
    channels = op.option("num_channels", 1)
    op.expect(y, channels)
    rising, falling, starts, places, widths = (op.constant(i) for i in range(1, 6))
    if min(starts.size, places.size, widths.size) <= channels or rising.size != falling.size:
        raise op.ask.refuse(
            f"tables of {starts.size}, {places.size}, {widths.size} bands and {rising.size}, {falling.size} "
            f"weights; expected {channels + 1} bands, and as many weights as unweights"
        )
    weights = np.stack([rising, falling], 1)
    bands: list[int] = []
    shares: list[int] = []
    for i in range(channels + 1):
        first, at, width = int(starts[i]), int(places[i]), max(int(widths[i]), 0)
        fits = first >= 0 and first + width <= x.elements and at >= 0 and at + width <= rising.size
        if width and not fits:
            raise op.ask.refuse(
                f"band {i} takes {width} energies from {first} of {x.elements}, with weights from {at} of "
                f"{rising.size}"
            )
        used = np.flatnonzero(
            weights[at : at + width].any(1)
        )  # aligned tables have fillers, which weigh nothing
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        bands += [first + low if used.size else 0, high - low]
        shares += weights[at + low : at + high].reshape(-1).tolist() if used.size else []
    params = FilterBankParams(builder.table(bands, "<u2"), builder.table(shares, "<i2"))
    builder.emit(OpCode.FILTER_BANK, (x.index,), y.index, params)


def _square_root(builder: Builder, op: _Signal) -> None:
    op.count(2, 1)
    x, bits, y = op.input(0, _U64), op.input(1, _I32), op.output(0, _U32)
    op.expect(bits, 1)
    op.expect(y, x.elements)
    builder.emit(OpCode.SQUARE_ROOT, (x.index, bits.index), y.index, NoParams())


def _spectral_subtraction(builder: Builder, op: _Signal) -> None:
    op.count(1, 2)
    x, y, noise = op.input(0, _U32), op.output(0, _U32), op.output(1, _U32)
    for tensor in (x, y, noise):
        op.expect(tensor, op.option("num_channels", 1))
    params = SubtractionParams(
        (op.bits32("smoothing"), op.bits32("alternate_smoothing")),
        (op.bits32("one_minus_smoothing"), op.bits32("alternate_one_minus_smoothing")),
        op.bits32("min_signal_remaining"),
        op.option("smoothing_bits", 0, 31),
        op.option("spectral_subtraction_bits", 0, 63),
        min(op.option("clamping"), 1),
    )
    builder.keep(noise.index)
    builder.emit(OpCode.SPECTRAL_SUBTRACTION, (x.index,), (y.index, noise.index), params, in_place=(0,))


def _pcan(builder: Builder, op: _Signal) -> None:
    op.count(3, 1)
    x, noise, y = op.input(0, _U32), op.input(1, _U32), op.output(0, _U32)
    op.expect(noise, x.elements)
    op.expect(y, x.elements)
    gains = op.constant(2)
    if gains.size < PCAN_GAINS:
        raise op.ask.refuse(f"a table of {gains.size} gains, expected {PCAN_GAINS}")
    table = builder.table(gains[:PCAN_GAINS].tolist(), "<i2")
    params = PcanParams(table, op.option("snr_shift", 0, 63))
    builder.emit(OpCode.PCAN, (x.index, noise.index), y.index, params, in_place=(0,))


def _log(builder: Builder, op: _Signal) -> None:
    op.count(1, 1)
    x, y = op.input(0, _U32), op.output(0, _I16)
    op.expect(y, x.elements)
    params = LogParams(
        builder.table(_log_bends(), "<u2"),
        op.bits32("output_scale"),
        op.option("input_correction_bits", 0, 31),
    )
    builder.emit(OpCode.LOG, (x.index,), y.index, params)


def _log_bends() -> list[int]:
    """How far log2(1 + i / 128) lies above its chord, in 1/65536: kLogLut of signal/src/log.cc."""
    last = LOG_BENDS - 1
    return [math.floor(65536 * (math.log2(1 + i / last) - i / last) + 0.5) for i in range(LOG_BENDS)]


def _framer(builder: Builder, op: _Signal) -> None:
    op.count(1, 2)
    x, y, valid = op.input(0, _I16), op.output(0, _I16), op.output(1, _BOOL)
    size, step = op.option("frame_size", 1), op.option("frame_step", 1)
    if _row(x) % step:
        raise op.ask.refuse(f"rows of {_row(x)} samples are no number of steps of {step}")
    rows = x.elements // _row(x)
    steps = -(-size // step)
    prefill = bool(op.option("prefill")) and steps > 1
    kept = size - step if prefill else (steps - 1) * step
    op.expect(y, rows * (_row(x) // step) * size)
    op.expect(valid, 1)
    samples = _state(builder, _I16, max(rows * kept, 1))
    seen = _state(builder, _I32, 1)
    params = FramerParams(size, step, kept, 1 if prefill else steps)
    builder.emit(OpCode.FRAMER, (x.index,), (y.index, valid.index, samples, seen), params)


def _stacker(builder: Builder, op: _Signal) -> None:
    op.count(1, 2)
    x, y, valid = op.input(0, _I16), op.output(0, _I16), op.output(1, _BOOL)
    left = op.option("stacker_left_context")
    rows = left + op.option("stacker_right_context") + 1
    op.expect(x, op.option("num_channels", 1))
    op.expect(y, rows * x.elements)
    op.expect(valid, 1)
    params = StackerParams(rows, left, op.option("stacker_step", 1, rows))
    stack = _state(builder, _I16, rows * x.elements)
    level = _state(builder, _I32, 1)
    builder.emit(OpCode.STACKER, (x.index,), (y.index, valid.index, stack, level), params)


def _delay(builder: Builder, op: _Signal) -> None:
    op.count(1, 1)
    x, y = op.input(0, _I16), op.output(0, _I16)
    op.expect(y, x.elements)
    length = op.option("delay_length")
    if length == 0:
        builder.alias(x.index, y.index)
        return
    kept = _state(builder, _I16, x.elements // _row(x) * length)
    builder.emit(OpCode.DELAY, (x.index,), (y.index, kept), DelayParams(length))


def _overlap_add(builder: Builder, op: _Signal) -> None:
    op.count(1, 1)
    if op.options.get("T") != _I16:
        raise op.ask.refuse("it does not work on INT16; build the front end with its integer ops")
    x, y = op.input(0, _I16), op.output(0, _I16)
    if len(x.shape) < 2:
        raise op.ask.refuse(f"input {x.shape}, expected frames of samples")
    frames, size = x.shape[-2:]
    step = op.option("frame_step", 1, size)
    op.expect(y, prod(x.shape[:-1]) * step)
    kept = _state(builder, _I16, prod(x.shape[:-2]) * size)
    builder.emit(OpCode.OVERLAP_ADD, (x.index,), (y.index, kept), OverlapAddParams(step, frames))


def _state(builder: Builder, dtype: TensorType, elements: int) -> int:
    """Zeros at first."""
    index = builder.new(dtype, (elements,))
    builder.keep(index)
    return index


_LOWER: Final[dict[str, Callable[[Builder, _Signal], None]]] = {
    "SignalDelay": _delay,
    "SignalEnergy": _energy,
    "SignalFftAutoScale": _auto_scale,
    "SignalFilterBank": _filter_bank,
    "SignalFilterBankLog": _log,
    "SignalFilterBankSpectralSubtraction": _spectral_subtraction,
    "SignalFilterBankSquareRoot": _square_root,
    "SignalFramer": _framer,
    "SignalIrfft": _irfft,
    "SignalOverlapAdd": _overlap_add,
    "SignalPCAN": _pcan,
    "SignalRfft": _rfft,
    "SignalStacker": _stacker,
    "SignalWindow": _window,
}

SIGNAL_OPS: Final = frozenset(_LOWER)
"""Names of the custom ops that `lower_signal` takes."""

_WITHOUT_OPTIONS: Final = ("SignalFftAutoScale", "SignalFilterBankSquareRoot")


def lower_signal(builder: Builder, ask: Operands) -> None:
    """UnsupportedModel where tensors and options do not fit, TfliteError for options that cannot be read."""
    name = ask.op.custom
    options = {} if name in _WITHOUT_OPTIONS else read_map(ask.op.custom_options, ask.where)
    _LOWER[name](builder, _Signal(ask, options))
