"""A model with every kind of state, and the ops that only such models have."""

import numpy as np
from tests.unit.model.stream_ops import ASSIGN, READ, VAR_HANDLE
from tests.unit.model.tflite_writer import (
    INT16,
    INT32,
    NONE,
    RESOURCE,
    TANH,
    O,
    T,
    ints,
    options,
    write_tflite,
)


def remembering(rng):
    """int16 in, QUANTIZE, SVDF of both states, LSTM, a delay line, LOG_SOFTMAX."""

    def weights(*shape, scale=0.01, dtype=9, most=127):
        return T(shape, scale, 0, dtype, data=rng.integers(-most, most + 1, shape))

    def bias(count, scale):
        return T((count,), scale, 0, INT32, data=rng.integers(-500, 500, count))

    tensors = [
        T((1, 8), 2**-12, 0, INT16, name="input"),
        T((1, 8), 0.05, -3),
        weights(6, 8),
        weights(6, 4, scale=1e-4, dtype=INT16, most=32767),
        bias(3, 2e-7),
        T((1, 24), 0.002, 0, INT16, variable=True),
        T((1, 3), 0.02, 4),  # 6
        weights(6, 3),
        weights(6, 4, scale=0.01),
        bias(6, 5e-4),
        T((1, 24), 0.05, 7, variable=True),
        T((1, 6), 0.03, -5),  # 11
        T((3,), dtype=INT32, data=[1, 2, 3]),
        T((1, 2, 3), 0.03, -5),  # 13
    ]
    lstm = [13, *range(14, 22), -1, -1, -1, *range(22, 26), -1, -1, 26, 27, -1, -1, -1, -1]
    tensors += [weights(4, 3, scale=0.02) for _ in range(4)] + [weights(4, 4, scale=0.02) for _ in range(4)]
    tensors += [bias(4, 6e-4) for _ in range(4)]
    tensors += [
        T((1, 4), 1 / 128, 0, variable=True),
        T((1, 4), 2**-11, 0, INT16, variable=True),
        T((1, 2, 4), 1 / 128, 0),  # 28
        T((), dtype=RESOURCE),
        T((1, 3, 4), 1 / 128, 0),
        T((1, 5, 4), 1 / 128, 0),  # 31
        T((3,), dtype=INT32, data=[0, 2, 0]),
        T((3,), dtype=INT32, data=[1, 3, 4]),
        T((1, 3, 4), 1 / 128, 0),
        T((1, 5, 4), 1 / 16, 127, name="output"),  # 35
    ]
    ops = [
        O(114, (0,), (1,)),
        O(27, (1, 2, 3, 4, 5), (6,), options(6, 2, ("b", NONE))),
        O(27, (6, 7, 8, 9, 10), (11,), options(6, 1, ("b", NONE))),
        O(22, (11, 12), (13,), (17, {0: ints((1, 2, 3))})),
        O(44, tuple(lstm), (28,), options(71, ("b", TANH), ("f", 4.0), ("f", 0.0), ("b", 0), ("b", 0))),
        O(VAR_HANDLE, (), (29,), (111, {0: "", 1: "line"})),
        O(READ, (29,), (30,), (112, {})),
        O(2, (30, 28), (31,), options(10, 1, ("b", NONE))),
        O(65, (31, 32, 33), (34,)),
        O(ASSIGN, (29, 34), (), (113, {})),
        O(50, (31,), (35,), (36, {})),
    ]
    return write_tflite(tensors, ops, [0], [35])


def windows(rng, count):
    return [rng.integers(-4000, 4000, 8).astype(np.int16) for _ in range(count)]
