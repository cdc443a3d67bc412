"""Random models of one op over planes or axes: reductions, resizes, TRANSPOSE_CONV."""

import numpy as np
from tests.unit.model.op_parts import constant, dims, single
from tests.unit.model.single_ops import (
    ACTIVATIONS,
    axis,
    biased,
    filter_scales,
    out_scale,
    scale,
    spread_of,
    zero_point,
)
from tests.unit.model.tflite_writer import INT16, SAME, VALID, O, T, options, softmax_options, write_tflite


def reduce(code):
    def make(rng):
        shape = dims(rng)
        count = int(rng.integers(1, len(shape) + 1))
        axes = sorted(int(a) for a in rng.choice(len(shape), count, replace=False))
        keep = bool(rng.random() < 0.5)
        kept = tuple(1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes)
        step, zero = scale(rng), zero_point(rng)
        y = T(kept, step, zero)
        if code == 74:
            y = T(kept, step * float(10 ** rng.uniform(-0.5, 1.5)), zero_point(rng))
        named = [a - len(shape) if rng.random() < 0.3 else a for a in axes]
        return single(code, T(shape, step, zero), y, options(27, ("b", int(keep))), [constant(*named)])

    return make


def resized(code, union, first):
    def make(rng):
        n, h, w, c = (int(d) for d in rng.integers(1, 7, 4))
        out = [int(d) for d in rng.integers(1, 15, 2)]
        align, half = [(0, 0), (1, 0), (0, 1)][int(rng.integers(0, 3))]
        step, zero = scale(rng), zero_point(rng)
        flags = {first: ("b", align), first + 1: ("b", half)}
        opts = options(union, *(flags.get(i, 0) for i in range(first + 2)))
        return single(code, T((n, h, w, c), step, zero), T((n, *out, c), step, zero), opts, [constant(*out)])

    return make


def transpose_conv(rng):
    padding = int(rng.choice([SAME, VALID]))
    # The forward convolution's sizes: its output is this op's input.
    h, kh, sh, _, ih = next(a for a in iter(lambda: axis(rng, padding), None) if a[3] == 1)
    w, kw, sw, _, iw = next(a for a in iter(lambda: axis(rng, padding), None) if a[3] == 1)
    if rng.random() < 0.25:  # an image cut off, or with a border that nothing reaches
        h, w = (max(int(size + rng.integers(-2, 5)), 1) for size in (h, w))
    ic, oc, n = int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.choice([1, 1, 2]))
    in_scale, scales, taps = scale(rng), filter_scales(rng, oc), max(kh * kw * ic // (sh * sw), 1)
    weights = rng.integers(-127, 128, (oc, kh, kw, ic))
    tensors = [
        T((n, ih, iw, ic), in_scale, zero_point(rng)),
        T((n, h, w, oc), out_scale(rng, spread_of(in_scale, scales, taps)), zero_point(rng)),
        constant(n, h, w, oc),
        T(weights.shape, scales, 0, data=weights),
        *biased(rng, oc, in_scale, scales, taps),
    ]
    act = int(rng.choice(ACTIVATIONS))
    opts = options(49, ("b", padding), sw, sh, ("b", act))
    op = O(67, (2, 3, 0, *range(4, len(tensors))), (1,), opts)
    return write_tflite(tensors, [op], [0], [1])


def softmax_to_int16(rng):
    shape = (int(rng.integers(1, 5)), int(rng.choice([1, 2, 5, 12, 100, 500])))
    step = float(np.float32(10 ** rng.uniform(-4, 1)))
    y = T(shape, 1 / 65536, -(2**15), INT16)
    return single(25, T(shape, step, zero_point(rng)), y, softmax_options(float(rng.choice([1.0, 0.5]))))


def log_softmax(rng):
    shape = (int(rng.integers(1, 5)), int(rng.choice([1, 2, 5, 12, 100, 500])))
    if rng.random() < 0.3:
        shape = (1, 2, *shape)
    step = float(np.float32(10 ** rng.uniform(-4, 1)))
    return single(50, T(shape, step, zero_point(rng)), T(shape, 16 / 256, 127), (36, {}))


OPS = {
    "log_softmax": log_softmax,
    "softmax_to_int16": softmax_to_int16,
    "sum": reduce(74),
    "reduce_max": reduce(82),
    "reduce_min": reduce(89),
    "resize_nearest": resized(97, 74, 0),
    "resize_bilinear": resized(23, 15, 2),
    "transpose_conv": transpose_conv,
}
