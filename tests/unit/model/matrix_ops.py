"""Random models of one op over matrices or lines of which nothing is constant."""

import numpy as np
from tests.unit.model.op_parts import dims, single
from tests.unit.model.single_ops import ACTIVATIONS, scale, zero_point
from tests.unit.model.tflite_writer import INT32, O, T, fully_connected_options, options, write_tflite


def swapped(shape, swap):
    return (*shape[:-2], shape[-1], shape[-2]) if swap else tuple(shape)


def batch_matmul(rng):
    """Two inputs, or one and a constant; batch dims broadcast."""
    rows, columns, depth = (int(d) for d in rng.integers(1, 9, 3))
    batch = [int(d) for d in rng.integers(1, 4, rng.integers(0, 4))]
    lead = [
        [1 if rng.random() < 0.3 else d for d in batch][int(rng.integers(0, len(batch) + 1)) :] for _ in "ab"
    ]
    whole = np.broadcast_shapes(*map(tuple, lead))
    swaps = [bool(rng.random() < 0.5) for _ in "ab"]
    a, b, zeros = scale(rng), scale(rng), [zero_point(rng) for _ in "aby"]
    output = a * b * 60 * float(np.sqrt(depth)) * float(10 ** rng.uniform(-0.5, 0.5))
    shapes = (
        swapped((*lead[0], rows, depth), swaps[0]),
        swapped((*lead[1], depth, columns), swaps[1]),
        (*whole, rows, columns),
    )
    data = rng.integers(-128, 128, shapes[1]) if rng.random() < 0.3 else None
    tensors = [
        T(shapes[0], a, zeros[0]),
        T(shapes[2], output, zeros[2]),
        T(shapes[1], b, zeros[1], data=data),
    ]
    opts = options(101, *(("b", int(swap)) for swap in swaps))
    return write_tflite(tensors, [O(126, (0, 2), (1,), opts)], [0] if data is not None else [0, 2], [1])


def computed_weights(rng):
    """FULLY_CONNECTED: weights are an input, or constants with a zero point."""
    rows, channels, depth = (int(d) for d in rng.integers(1, 20, 3))
    a, b, zeros = scale(rng), scale(rng), [zero_point(rng) for _ in "aby"]
    constant = rng.random() < 0.4
    tensors = [
        T((rows, depth), a, zeros[0]),
        T((rows, channels), a * b * 60 * float(np.sqrt(depth)), zeros[2]),
        T(
            (channels, depth),
            b,
            zeros[1],
            data=rng.integers(-128, 128, (channels, depth)) if constant else None,
        ),
        T((channels,), a * b, 0, INT32, rng.integers(-2000, 2000, channels)),
    ]
    operands = (0, 2, 3) if rng.random() < 0.6 else (0, 2, -1)
    op = O(9, operands, (1,), fully_connected_options(int(rng.choice(ACTIVATIONS))))
    return write_tflite(tensors, [op], [0] if constant else [0, 2], [1])


def l2_normalization(rng):
    shape = (*dims(rng, 1, 3), int(rng.choice([1, 2, 5, 16, 64, 300])))
    x = T(shape, scale(rng), zero_point(rng))
    return single(11, x, T(shape, 1 / 128, 0), options(12, ("b", 0)))


def arg_extreme(code, union):
    def make(rng):
        shape = dims(rng)
        axis = int(rng.integers(-len(shape), len(shape)))
        rest = tuple(np.delete(np.array(shape), axis))
        y = T(rest, None, dtype=INT32)
        where = T((1,), None, dtype=INT32, data=[axis])
        return single(code, T(shape, scale(rng), zero_point(rng)), y, options(union, ("b", 2)), more=[where])

    return make


OPS = {
    "batch_matmul": batch_matmul,
    "computed_weights": computed_weights,
    "l2_normalization": l2_normalization,
    "arg_max": arg_extreme(56, 40),
    "arg_min": arg_extreme(79, 57),
}
