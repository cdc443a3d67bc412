"""Random models with SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: alone, and around a convolution."""

import numpy as np
from tests.unit.model.op_parts import constant, single
from tests.unit.model.single_ops import biased, filter_scales, out_scale, scale, spread_of, zero_point
from tests.unit.model.tflite_writer import (
    INT32,
    NONE,
    VALID,
    O,
    T,
    conv_options,
    depthwise_options,
    ints,
    write_tflite,
)


def edges(values):
    return T((len(values) // 2, 2), None, dtype=INT32, data=values)


def grid(rng, dims):
    """(wide shape, deep shape, block) without edges."""
    n, c = int(rng.integers(1, 3)), int(rng.integers(1, 5))
    block = [int(b) for b in rng.integers(1, 4, dims)]
    cells = [int(d) for d in rng.integers(1, 4, dims)]
    wide = (n, *(d * b for d, b in zip(cells, block, strict=True)), c)
    return wide, (n * int(np.prod(block)), *cells, c), block


def space_to_batch(rng):
    """Without padding: TFLM's fill is whatever was in its memory."""
    wide, deep, block = grid(rng, int(rng.integers(1, 3)))
    step, zero = scale(rng), zero_point(rng)
    more = [constant(*block), edges([0] * (2 * len(block)))]
    return single(38, T(wide, step, zero), T(deep, step, zero), (25, {}), more)


def batch_to_space(rng):
    wide, deep, block = grid(rng, int(rng.integers(1, 3)))
    crops = []
    for dim in wide[1:-1]:
        before = int(rng.integers(0, min(dim, 3)))
        crops += [before, int(rng.integers(0, min(dim - before, 3)))]
    if rng.random() < 0.3:
        crops = [0] * len(crops)
    kept = [d - crops[2 * i] - crops[2 * i + 1] for i, d in enumerate(wide[1:-1])]
    step, zero = scale(rng), zero_point(rng)
    y = T((wide[0], *kept, wide[-1]), step, zero)
    return single(37, T(deep, step, zero), y, (24, {}), [constant(*block), edges(crops)])


class Blocked:
    """A convolution over the places of blocks, and the same one dilated: their shapes and tensors."""

    def __init__(self, rng, dims, padded):
        self.dims, self.depthwise = dims, rng.random() < 0.4
        self.block = [int(b) for b in rng.integers(1, 4, dims)]
        kernel = [int(k) for k in rng.integers(1, 4, dims)]
        self.size, self.pads, self.crops, self.out = [], [], [], []
        for block, taps in zip(self.block, kernel, strict=True):
            reach = (taps - 1) * block + 1
            cells = int(rng.integers(taps, taps + 4))
            before = int(rng.integers(0, reach)) if padded else 0
            size = int(rng.integers(max(1, (cells - 1) * block + 1 - before), cells * block - before + 1))
            size = max(size, 1) if padded else cells * block
            whole = cells * block - (reach - 1)
            crop = int(rng.integers(0, min(before, whole - 1) + 1)) if padded else 0
            after = int(rng.integers(0, max(min(whole - crop, 3), 1))) if rng.random() < 0.5 else 0
            self.size.append(size)
            self.pads += [before, cells * block - before - size]
            self.crops += [crop, after]
            self.out.append(whole - crop - after)
        self.cells = [
            (s + a + b) // k
            for s, a, b, k in zip(self.size, self.pads[0::2], self.pads[1::2], self.block, strict=True)
        ]
        self.kernel = kernel if dims == 2 else [1, *kernel]
        self.n, self.ic = int(rng.choice([1, 1, 2])), int(rng.integers(1, 5))
        self.oc = self.ic * int(rng.integers(1, 3)) if self.depthwise else int(rng.integers(1, 6))
        self.x = (scale(rng), zero_point(rng))
        scales, taps = filter_scales(rng, self.oc), int(np.prod(kernel)) * (1 if self.depthwise else self.ic)
        self.y = (out_scale(rng, spread_of(self.x[0], scales, taps)), zero_point(rng))
        shape = (1, *self.kernel, self.oc) if self.depthwise else (self.oc, *self.kernel, self.ic)
        weights = rng.integers(-127, 128, shape)
        self.filters = [
            T(shape, scales, 0, data=weights, axis=3 if self.depthwise else 0),
            *biased(rng, self.oc, self.x[0], scales, taps),
        ]

    def conv(self, operands, made, dilation=(1, 1)):
        if self.depthwise:
            opts = depthwise_options(VALID, 1, 1, self.oc // self.ic, NONE, *dilation)
            return O(4, operands, (made,), opts)
        return O(3, operands, (made,), conv_options(VALID, 1, 1, NONE, *dilation))

    def in_batches(self):
        """SPACE_TO_BATCH_ND, (EXPAND_DIMS,) convolution, (SQUEEZE,) BATCH_TO_SPACE_ND."""
        batches = self.n * int(np.prod(self.block))
        kernel = self.kernel[-self.dims :]
        made = [c - k + 1 for c, k in zip(self.cells, kernel, strict=True)]
        tensors = [
            T((self.n, *self.size, self.ic), *self.x),
            T((self.n, *self.out, self.oc), *self.y),
            constant(*self.block),
            edges(self.pads),
            edges(self.crops),
            T((batches, *self.cells, self.ic), *self.x),
            T((batches, *made, self.oc), *self.y),
            *self.filters,
        ]
        weights = range(7, len(tensors))
        if self.dims == 2:
            ops = [O(38, (0, 2, 3), (5,), (25, {})), self.conv((5, *weights), 6)]
            return write_tflite(tensors, [*ops, O(37, (6, 2, 4), (1,), (24, {}))], [0], [1])
        image, answer = len(tensors), len(tensors) + 1
        tensors += [
            T((batches, 1, *self.cells, self.ic), *self.x),
            T((batches, 1, *made, self.oc), *self.y),
            constant(1),
        ]
        ops = [
            O(38, (0, 2, 3), (5,), (25, {})),
            O(70, (5, len(tensors) - 1), (image,)),
            self.conv((image, *weights), answer),
            O(43, (answer,), (6,), (30, {0: ints([1])})),
            O(37, (6, 2, 4), (1,), (24, {})),
        ]
        return write_tflite(tensors, ops, [0], [1])

    def dilated(self):
        """PADV2 with the zero point, the dilated convolution, a SLICE of what is kept."""
        pads, crops, size, out, block = self.pads, self.crops, self.size, self.out, self.block
        if self.dims == 1:
            pads, crops, size, out, block = [0, 0, *pads], [0, 0, *crops], [1, *size], [1, *out], [1, *block]
        whole = [s + pads[2 * i] + pads[2 * i + 1] for i, s in enumerate(size)]
        made = [o + crops[2 * i] + crops[2 * i + 1] for i, o in enumerate(out)]
        tensors = [
            T((self.n, *size, self.ic), *self.x),
            T((self.n, *out, self.oc), *self.y),
            T((4, 2), None, dtype=INT32, data=[0, 0, *pads, 0, 0]),
            T((1,), *self.x, data=[self.x[1]]),
            constant(0, crops[0], crops[2], 0),
            constant(self.n, *out, self.oc),
            T((self.n, *whole, self.ic), *self.x),
            T((self.n, *made, self.oc), *self.y),
            *self.filters,
        ]
        ops = [
            O(60, (0, 2, 3), (6,)),
            self.conv((6, *range(8, len(tensors))), 7, block),
            O(65, (7, 4, 5), (1,)),
        ]
        return write_tflite(tensors, ops, [0], [1])


def in_batches(rng):
    """Without padding, so that TFLM says what comes out."""
    return Blocked(rng, int(rng.integers(1, 3)), padded=False).in_batches()


OPS = {"space_to_batch": space_to_batch, "batch_to_space": batch_to_space, "in_batches": in_batches}
