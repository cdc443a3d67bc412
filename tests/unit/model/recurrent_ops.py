"""Random models of one op that keeps state of its own."""

import numpy as np
from tests.unit.model.single_ops import scale, zero_point
from tests.unit.model.tflite_writer import INT8, INT16, INT32, NONE, TANH, O, T, options, write_tflite


def single_scale(value):
    return float(np.float32(value))


def svdf(dtype):
    """Activations and features int8; weights over time and state of `dtype`."""
    most = 127 if dtype == INT8 else 32767

    def make(rng):
        batches, rank = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2, 4]))
        inputs, units, memory = int(rng.integers(1, 40)), int(rng.integers(1, 10)), int(rng.integers(1, 12))
        filters = units * rank
        x, features, times = scale(rng) / 30, scale(rng) / 30, scale(rng) / 30 * (127 / most)
        # Mostly such that values over time spread over the state, and outputs over int8.
        off = rng.choice([1.0, 10 ** rng.uniform(-0.7, 0.7), 10 ** rng.uniform(-3, 3)], p=[0.5, 0.35, 0.15])
        state = single_scale(x * features * 5000 * np.sqrt(inputs) / most * 2 * off)
        summed = state * times * most**2 / 3 * np.sqrt(memory * rank)
        off = rng.choice([1.0, 10 ** rng.uniform(-0.7, 0.7), 10 ** rng.uniform(-3, 3)], p=[0.5, 0.35, 0.15])
        y = single_scale(summed / 80 * off)
        over_time = rng.integers(-most, most + 1, (filters, memory))
        tensors = [
            T((batches, inputs), x, zero_point(rng)),
            T((batches, units), y, zero_point(rng)),
            T((filters, inputs), features, data=rng.integers(-127, 128, (filters, inputs))),
            T((filters, memory), times, dtype=dtype, data=over_time),
            T((units,), state * times, dtype=INT32, data=rng.integers(-(most**2), most**2, units)),
            T(
                (batches, memory * filters),
                state,
                zero_point(rng) if dtype == INT8 else 0,
                dtype,
                variable=True,
            ),
        ]
        opts = options(6, rank, ("b", int(rng.choice([NONE, NONE, 1]))))
        return write_tflite(tensors, [O(27, (0, 2, 3, 4, 5), (1,), opts)], [0], [1])

    return make


def lstm(rng):
    """Cell scales as converters choose them (a power of two), and odd ones."""
    batches, steps = int(rng.choice([1, 1, 2, 3])), int(rng.integers(1, 6))
    inputs, units = int(rng.integers(1, 24)), int(rng.integers(1, 14))
    time_major = rng.random() < 0.4
    lead = (steps, batches) if time_major else (batches, steps)
    x, x_zero, hidden, hidden_zero = scale(rng) / 30, zero_point(rng), 1 / 128, zero_point(rng)
    hidden *= float(rng.choice([1.0, 0.8, 2.0]))
    cell = 2.0 ** -int(rng.choice([11, 12, 13, 14, 15, 9]))
    if rng.random() < 0.2:
        cell *= float(rng.uniform(0.7, 1.4))
    strength = float(rng.choice([1.0, 1.0, 3.0, 0.2]))
    tensors = [T((*lead, inputs), x, x_zero), T((*lead, units), hidden, hidden_zero)]
    operands = [0] + [-1] * 23

    def add(number, tensor):
        operands[number] = len(tensors)
        tensors.append(tensor)

    def weights(count, source):
        """A sum over `count` inputs of this scale is a few units."""
        one = single_scale(strength * rng.uniform(0.5, 2) / (source * 60 * 60 * np.sqrt(count)))
        return T((units, count), one, data=rng.integers(-127, 128, (units, count)))

    for number in range(1, 5):
        add(number, weights(inputs, x))
    for number in range(5, 9):
        add(number, weights(units, hidden))
    for number in range(12, 16):
        one = single_scale(x * tensors[operands[number - 11]].scale)
        add(number, T((units,), one, dtype=INT32, data=rng.normal(0, 1 / one, units).clip(-(2**30), 2**30)))
    add(18, T((batches, units), hidden, hidden_zero, variable=True))
    add(19, T((batches, units), single_scale(cell), 0, INT16, variable=True))
    clip = float(rng.choice([0.0, 0.0, 10.0, 0.5]))
    opts = options(71, ("b", TANH), ("f", clip), ("f", 0.0), ("b", int(time_major)), ("b", 0))
    return write_tflite(tensors, [O(44, tuple(operands), (1,), opts)], [0], [1])


OPS = {"svdf16": svdf(INT16), "svdf8": svdf(INT8), "lstm": lstm}
