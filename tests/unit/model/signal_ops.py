"""Random models of one signal op, or of plain integer arithmetic, and inputs for a stream of runs.

Models take and give int16 and int32 (what a node's inputs and outputs are); where an op wants unsigned
ones, a CAST stands before it and behind it.
"""

from dataclasses import dataclass, field

import numpy as np
from tests.unit.model.tflite_writer import (
    BOOL,
    INT8,
    INT16,
    INT32,
    UINT32,
    UINT64,
    O,
    T,
    ints,
    options,
    write_tflite,
)

CUSTOM, CAST = 32, 53
STEPS = 4


@dataclass
class Case:
    """A model, the inputs of each step of a stream, and outputs that say whether others hold anything yet."""

    tflite: bytes
    steps: list[list[np.ndarray]]
    valid: dict[int, int] = field(default_factory=dict)  # output -> the output that says so


def flexbuffer(**values):
    """A FlexBuffers map of integers and booleans, as TensorFlow's converter writes it (flatbuffers.dev)."""
    names = sorted(values)
    out, starts = bytearray(), []
    for name in names:
        starts.append(len(out))
        out += name.encode() + b"\0"
    numbers = [int(values[name]) for name in names]
    width = next(w for w in (1, 2, 4, 8) if _fits(len(out) + (len(names) + 3) * 8, numbers, w))
    out += bytes(-len(out) % width)

    def number(value):
        out.extend(int(value).to_bytes(width, "little", signed=value < 0))

    number(len(names))
    keys = len(out)
    for start in starts:
        number(len(out) - start)
    number(len(out) - keys)
    number(width)
    number(len(names))
    at = len(out)
    for value in numbers:
        number(value)
    shift = width.bit_length() - 1
    for name in names:
        out.append((26 if isinstance(values[name], bool) else 1) << 2 | shift)
    root = len(out)
    return bytes(out) + (root - at).to_bytes(1, "little") + bytes([9 << 2 | shift, 1])


def _fits(size, numbers, width):
    most = 1 << (8 * width - 1)
    return size < most and all(-most <= n < most for n in numbers)


def custom(name, inputs, outputs, **values):
    return O(CUSTOM, inputs, outputs, custom=name, custom_options=flexbuffer(**values))


def cast(source, made):
    return O(CAST, (source,), (made,))


def audio(rng, shape, dtype=np.int16):
    """Silence, a tone, noise, everything at its limits: samples as a microphone gives them, and worse."""
    info = np.iinfo(dtype)
    kind = rng.integers(0, 5)
    if kind == 0:
        return np.zeros(shape, dtype)
    if kind == 1:
        return rng.choice(np.array([info.min, info.max, 0, -1], dtype), shape)
    loud = float(10 ** rng.uniform(0, np.log10(float(info.max))))
    if kind == 2:
        phase = np.cumsum(np.full(shape, rng.uniform(0.01, 3.0)), axis=-1)
        return np.clip(loud * np.sin(phase), info.min, info.max).astype(dtype)
    return np.clip(rng.normal(0, loud, shape), info.min, info.max).astype(dtype)


def levels(rng, count):
    """uint32 values of every size, as the bits of int32."""
    bits = rng.integers(0, 33, count) if rng.random() < 0.7 else np.full(count, rng.integers(1, 33))
    values = rng.integers(0, 2**32, count, dtype=np.uint64) & (
        (np.uint64(1) << bits.astype(np.uint64)) - np.uint64(1)
    )
    if rng.random() < 0.1:
        values = rng.choice(np.array([0, 1, 2, 3, 4, 2**32 - 1, 2**31, 65535, 65536], np.uint64), count)
    return values.astype(np.uint32).view(np.int32)


def streamed(rng, tensors, ops, draws, outputs, valid=None):
    """`draws`: one function a model input."""
    tflite = write_tflite(tensors, ops, list(range(len(draws))), outputs)
    return Case(tflite, [[draw(rng) for draw in draws] for _ in range(STEPS)], valid or {})


def window(rng):
    size, rows = int(rng.integers(1, 300)), int(rng.integers(1, 4))
    shape = (rows, size) if rows > 1 or rng.random() < 0.5 else (size,)
    weights = rng.integers(-32768, 32768, size) if rng.random() < 0.3 else rng.integers(0, 4097, size)
    tensors = [T(shape, dtype=INT16), T((size,), dtype=INT16, data=weights), T(shape, dtype=INT16)]
    op = custom("SignalWindow", (0, 1), (2,), shift=int(rng.choice([12, 0, 1, 8, 15, 31])))
    return streamed(rng, tensors, [op], [lambda rng: audio(rng, shape)], [2])


def auto_scale(rng):
    size = int(rng.integers(1, 500))
    tensors = [T((size,), dtype=INT16), T((size,), dtype=INT16), T((), dtype=INT32)]
    op = custom("SignalFftAutoScale", (0,), (1, 2))
    return streamed(rng, tensors, [op], [lambda rng: audio(rng, (size,))], [1, 2])


def fft_length(rng):
    """Powers of two as models have them, and all that is twice a product of 2, 3 and 5."""
    if rng.random() < 0.5:
        return int(2 ** rng.integers(2, 12))
    while True:
        length = 2 * int(2 ** rng.integers(0, 4) * 3 ** rng.integers(0, 4) * 5 ** rng.integers(0, 3))
        if 4 <= length <= 2000:
            return length


def _rfft(rng, dtype, numpy_type):
    length = fft_length(rng)
    given = length if rng.random() < 0.5 else int(rng.integers(1, length + 1))
    rows = int(rng.choice([1, 1, 1, 3]))
    lead = (rows,) if rows > 1 or rng.random() < 0.3 else ()
    shape = (*lead, given)
    tensors = [T(shape, dtype=dtype), T((*lead, length + 2), dtype=dtype)]
    op = custom("SignalRfft", (0,), (1,), T=dtype, fft_length=length)
    return streamed(rng, tensors, [op], [lambda rng: audio(rng, shape, numpy_type)], [1])


def rfft(rng):
    return _rfft(rng, INT16, np.int16)


def rfft32(rng):
    return _rfft(rng, INT32, np.int32)


def _irfft(rng, dtype, numpy_type):
    length = fft_length(rng)
    rows = int(rng.choice([1, 1, 1, 3]))
    lead = (rows,) if rows > 1 or rng.random() < 0.3 else ()
    shape = (*lead, length + 2)
    tensors = [T(shape, dtype=dtype), T((*lead, length), dtype=dtype)]
    op = custom("SignalIrfft", (0,), (1,), T=dtype, fft_length=length)
    return streamed(rng, tensors, [op], [lambda rng: audio(rng, shape, numpy_type)], [1])


def irfft(rng):
    return _irfft(rng, INT16, np.int16)


def irfft32(rng):
    return _irfft(rng, INT32, np.int32)


def energy(rng):
    """TFLM leaves what is outside start..end as it was: a slice takes the rest."""
    bins = int(rng.integers(1, 300))
    start = int(rng.integers(0, bins))
    end = int(rng.integers(start + 1, bins + 1))
    tensors = [
        T((2 * bins,), dtype=INT16),
        T((bins,), dtype=UINT32),
        T((bins,), dtype=INT32),
        *(T((1,), dtype=INT32, data=[n]) for n in (start, end, 1)),
        T((end - start,), dtype=INT32),
    ]
    ops = [
        custom("SignalEnergy", (0,), (1,), start_index=start, end_index=end),
        cast(1, 2),
        O(45, (2, 3, 4, 5), (6,), options(32, 0, 0, 0, 0, 0)),
    ]
    return streamed(rng, tensors, ops, [lambda rng: audio(rng, (2 * bins,))], [6])


def filter_bank(rng):
    """FILTER_BANK and SQUARE_ROOT: what is between them has 64 bits."""
    if rng.random() < 0.2:
        return rounded_roots(rng)
    bins, channels = int(rng.integers(4, 260)), int(rng.integers(1, 45))
    widths = rng.integers(0, 9, channels + 1)
    starts = np.array([rng.integers(0, bins - min(w, bins) + 1) for w in widths])
    widths = np.minimum(widths, bins)
    weights = max(int(widths.sum()), 1)
    places = np.concatenate([[0], np.cumsum(widths)[:-1]])
    if rng.random() < 0.3:  # bands may share weights
        places = np.array([rng.integers(0, weights - w + 1) for w in widths])
    if rng.random() < 0.2:
        rising, falling = rng.integers(-32768, 32768, (2, weights))
    else:
        rising = rng.integers(0, 4097, weights) * rng.integers(0, 2, weights)
        falling = 4096 - rising
    return banked(rng, bins, (rising, falling), (starts, places, widths), lambda rng: levels(rng, bins))


def rounded_roots(rng):
    """Sums at which a square root is rounded up or just not, and at which it has no room to be."""
    channels, step = 40, 32767
    rising = np.tile([step, 1], channels)
    places = np.concatenate([[0], 2 * np.arange(channels)])
    widths = np.concatenate([[0], np.full(channels, 2)])

    def energies(rng):
        roots = (2.0 ** rng.uniform(0, 23, channels)).astype(np.int64)
        sums = roots * roots + roots + rng.integers(-1, 2, channels)
        ends = rng.choice([2**32 - 1, 2**32 - 2**16, 2**32 - 2**16 - 1, 2**32], channels)
        sums = np.where(rng.random(channels) < 0.2, ends, sums)
        return np.stack([sums // step, sums % step], 1).reshape(-1).astype(np.uint32).view(np.int32)

    return banked(rng, 2 * channels, (rising, 0 * rising), (places, places, widths), energies, 1)


def banked(rng, bins, weights, bands, energies, shifts=16):
    """FILTER_BANK with (rising, falling) weights and (starts, places, widths) of bands, then SQUARE_ROOT."""
    channels = len(bands[0]) - 1
    tensors = [
        T((bins,), dtype=INT32),
        T((), dtype=INT32),
        *(T((len(values),), dtype=INT16, data=values) for values in (*weights, *bands)),
        T((bins,), dtype=UINT32),
        T((channels,), dtype=UINT64),
        T((channels,), dtype=UINT32),
        T((channels,), dtype=INT32),
    ]
    ops = [
        cast(0, 7),
        custom("SignalFilterBank", (7, 2, 3, 4, 5, 6), (8,), num_channels=channels),
        custom("SignalFilterBankSquareRoot", (8, 1), (9,)),
        cast(9, 10),
    ]
    draws = [energies, lambda rng: rng.integers(0, shifts, ()).astype(np.int32)]
    return streamed(rng, tensors, ops, draws, [10])


def spectral_subtraction(rng):
    channels, bits = int(rng.integers(1, 50)), int(rng.choice([14, 14, 8, 16]))
    one = 1 << bits
    smoothing, alternate = (int(rng.integers(0, one + 1)) for _ in range(2))
    tensors = [
        T((channels,), dtype=INT32),
        *(T((channels,), dtype=UINT32) for _ in range(3)),
        *(T((channels,), dtype=INT32) for _ in range(2)),
    ]
    op = custom(
        "SignalFilterBankSpectralSubtraction",
        (1,),
        (2, 3),
        num_channels=channels,
        smoothing=smoothing,
        one_minus_smoothing=one - smoothing,
        alternate_smoothing=alternate,
        alternate_one_minus_smoothing=one - alternate,
        smoothing_bits=int(rng.choice([10, 0, 4, 16])),
        min_signal_remaining=int(rng.integers(0, one + 1)),
        clamping=bool(rng.random() < 0.5),
        spectral_subtraction_bits=bits,
    )
    ops = [cast(0, 1), op, cast(2, 4), cast(3, 5)]
    return streamed(rng, tensors, ops, [lambda rng: levels(rng, channels)], [4, 5])


def pcan(rng):
    channels = int(rng.integers(1, 50))
    gains = rng.integers(-32768, 32768, 125)
    if rng.random() < 0.7:
        gains = np.clip(np.sort(rng.integers(0, 32768, 125))[::-1], 0, 32767)
        gains[5::4] //= -64
        gains[6::4] = 0
    tensors = [
        *(T((channels,), dtype=INT32) for _ in range(2)),
        T((125,), dtype=INT16, data=gains),
        *(T((channels,), dtype=UINT32) for _ in range(3)),
        T((channels,), dtype=INT32),
    ]
    op = custom("SignalPCAN", (3, 4, 2), (5,), snr_shift=int(rng.choice([6, 6, 1, 12, 40])))
    ops = [cast(0, 3), cast(1, 4), op, cast(5, 6)]
    return streamed(rng, tensors, ops, [lambda rng: levels(rng, channels)] * 2, [6])


def log(rng):
    channels = int(rng.integers(1, 80))
    tensors = [
        T((channels,), dtype=INT32),
        T((channels,), dtype=UINT32),
        T((channels,), dtype=INT16),
    ]
    scale = int(rng.choice([64, 1600, 1, 65536, 2**31 - 1, -1]))
    op = custom(
        "SignalFilterBankLog",
        (1,),
        (2,),
        input_correction_bits=int(rng.choice([3, 0, 1, 20])),
        output_scale=scale,
    )
    return streamed(rng, tensors, [cast(0, 1), op], [lambda rng: levels(rng, channels)], [2])


def framer(rng):
    step, frames, rows = int(rng.integers(1, 60)), int(rng.integers(1, 4)), int(rng.choice([1, 1, 2]))
    size = step + int(rng.integers(0, 3 * step))
    lead = (rows,) if rows > 1 or rng.random() < 0.5 else ()
    shape = (*lead, frames * step)
    tensors = [T(shape, dtype=INT16), T((*lead, frames, size), dtype=INT16), T((), dtype=BOOL)]
    op = custom(
        "SignalFramer", (0,), (1, 2), frame_size=size, frame_step=step, prefill=bool(rng.random() < 0.5)
    )
    return streamed(rng, tensors, [op], [lambda rng: audio(rng, shape)], [1, 2], {0: 1})


def stacker(rng):
    channels, left, right = int(rng.integers(1, 40)), int(rng.integers(0, 4)), int(rng.integers(0, 3))
    rows = left + right + 1
    tensors = [T((channels,), dtype=INT16), T((rows * channels,), dtype=INT16), T((), dtype=BOOL)]
    op = custom(
        "SignalStacker",
        (0,),
        (1, 2),
        num_channels=channels,
        stacker_left_context=left,
        stacker_right_context=right,
        stacker_step=int(rng.integers(1, rows + 1)),
    )
    case = streamed(rng, tensors, [op], [lambda rng: audio(rng, (channels,))], [1, 2], {0: 1})
    case.steps = [*case.steps, *([audio(rng, (channels,))] for _ in range(6))]
    return case


def delay(rng):
    size, rows = int(rng.integers(1, 60)), int(rng.choice([1, 1, 3]))
    shape = (rows, size) if rows > 1 or rng.random() < 0.5 else (size,)
    tensors = [T(shape, dtype=INT16), T(shape, dtype=INT16)]
    op = custom("SignalDelay", (0,), (1,), delay_length=int(rng.integers(0, 3 * size)))
    return streamed(rng, tensors, [op], [lambda rng: audio(rng, shape)], [1])


def circular_buffer(rng):
    """TFLM's own op of streaming models: its output is a variable. Behind it something that reads it all."""
    rows, columns, depth = int(rng.integers(1, 12)), int(rng.integers(1, 4)), int(rng.integers(1, 20))
    zero = int(rng.integers(-128, 128))
    row, shape = (1, 1, columns, depth), (1, rows, columns, depth)
    tensors = [
        T(row, 0.5, zero),
        T(shape, 0.5, zero, variable=True),
        T((4,), dtype=INT32, data=[1, rows, columns * depth, 1]),
        T((1, rows, columns * depth, 1), 0.5, zero),
    ]
    ops = [
        O(CUSTOM, (0,), (1,), custom="CIRCULAR_BUFFER", custom_options=flexbuffer(cycles_max=1)),
        O(22, (1, 2), (3,), (17, {0: ints([1, rows, columns * depth, 1])})),
    ]
    return streamed(rng, tensors, ops, [lambda rng: rng.integers(-128, 128, row).astype(np.int8)], [3])


def overlap_add(rng):
    size, frames, rows = int(rng.integers(1, 80)), int(rng.integers(1, 4)), int(rng.choice([1, 1, 2]))
    step = int(rng.integers(1, size + 1))
    lead = (rows,) if rows > 1 or rng.random() < 0.5 else ()
    shape = (*lead, frames, size)
    tensors = [T(shape, dtype=INT16), T((*lead, frames * step), dtype=INT16)]
    op = custom("SignalOverlapAdd", (0,), (1,), T=INT16, frame_step=step)
    return streamed(rng, tensors, [op], [lambda rng: audio(rng, shape)], [1])


def whole_front_end(rng):
    """Every signal op in one graph, with plain integers between them."""
    hop, size, channels, rows = 16, 24, 4, 3
    bins = 17
    widths = [2, 3, 4, 4, 3]
    graph = [
        T((hop,), dtype=INT16),
        T((1, size), dtype=INT16),
        T((), dtype=BOOL),
        T((size,), dtype=INT16, data=rng.integers(0, 4097, size)),
        T((1, size), dtype=INT16),
        T((1,), dtype=INT32, data=[size]),
        T((size,), dtype=INT16),
        T((size,), dtype=INT16),
        T((), dtype=INT32),
        T((2 * bins,), dtype=INT16),
        T((bins,), dtype=UINT32),
        *(T((sum(widths),), dtype=INT16, data=rng.integers(0, 4097, sum(widths))) for _ in range(2)),
        *(
            T((channels + 1,), dtype=INT16, data=values)
            for values in ([0, 2, 5, 9, 13], [0, 2, 5, 9, 13], widths)
        ),
        T((channels,), dtype=UINT64),
        *(T((channels,), dtype=UINT32) for _ in range(3)),
        T((125,), dtype=INT16, data=rng.integers(0, 32768, 125)),
        T((channels,), dtype=UINT32),
        T((channels,), dtype=INT16),
        T((channels,), dtype=INT32),
        T((), dtype=INT32, data=3),
        T((channels,), dtype=INT32),
        T((channels,), dtype=INT16),
        T((rows * channels,), dtype=INT16),
        T((), dtype=BOOL),
        T((rows * channels,), dtype=INT8),
        T((2 * bins - 2,), dtype=INT16),
        T((2, 16), dtype=INT16),
        T((2,), dtype=INT32, data=[2, 16]),
        T((16,), dtype=INT16),
        T((16,), dtype=INT16),
    ]
    ops = [
        custom("SignalFramer", (0,), (1, 2), frame_size=size, frame_step=hop, prefill=True),
        custom("SignalWindow", (1, 3), (4,), shift=12),
        O(22, (4, 5), (6,), (17, {0: ints([size])})),
        custom("SignalFftAutoScale", (6,), (7, 8)),
        custom("SignalRfft", (7,), (9,), T=INT16, fft_length=32),
        custom("SignalEnergy", (9,), (10,), start_index=0, end_index=bins),
        custom("SignalFilterBank", (10, 11, 12, 13, 14, 15), (16,), num_channels=channels),
        custom("SignalFilterBankSquareRoot", (16, 8), (17,)),
        custom("SignalFilterBankSpectralSubtraction", (17,), (18, 19), **SUBTRACTION, num_channels=channels),
        custom("SignalPCAN", (18, 19, 20), (21,), snr_shift=6),
        custom("SignalFilterBankLog", (21,), (22,), input_correction_bits=3, output_scale=64),
        cast(22, 23),
        O(42, (23, 24), (25,), options(29, ("b", 0))),
        cast(25, 26),
        custom(
            "SignalStacker",
            (26,),
            (27, 28),
            num_channels=channels,
            stacker_left_context=rows - 1,
            stacker_right_context=0,
            stacker_step=1,
        ),
        cast(27, 29),
        custom("SignalIrfft", (9,), (30,), T=INT16, fft_length=32),
        O(22, (30, 32), (31,), (17, {0: ints([2, 16])})),
        custom("SignalOverlapAdd", (31,), (33,), T=INT16, frame_step=8),
        custom("SignalDelay", (33,), (34,), delay_length=5),
    ]
    return streamed(rng, graph, ops, [lambda rng: audio(rng, (hop,))], [29, 34, 28])


SUBTRACTION = {
    "smoothing": 409,
    "one_minus_smoothing": 15975,
    "alternate_smoothing": 983,
    "alternate_one_minus_smoothing": 15401,
    "smoothing_bits": 10,
    "min_signal_remaining": 819,
    "clamping": False,
    "spectral_subtraction_bits": 14,
}

SIGNAL = {
    function.__name__: function
    for function in (
        window,
        auto_scale,
        rfft,
        rfft32,
        irfft,
        irfft32,
        energy,
        filter_bank,
        spectral_subtraction,
        pcan,
        log,
        framer,
        stacker,
        delay,
        overlap_add,
        circular_buffer,
    )
}

OPS = {name: lambda rng, make=make: make(rng).tflite for name, make in SIGNAL.items()}
"""The models alone."""
