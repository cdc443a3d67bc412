"""Random models of QUANTIZE between integers of 8, 16 and 32 bits."""

import numpy as np
from tests.unit.model.op_parts import dims
from tests.unit.model.single_ops import zero_point
from tests.unit.model.tflite_writer import INT8, INT16, INT32, O, T, write_tflite

STEPS = {INT8: 2.0**-5, INT16: 2.0**-12, INT32: 2.0**-20}
"""Scales under which all three hold numbers of one size."""
NEXT = {INT8: (INT16, INT32), INT16: (INT8, INT16, INT32), INT32: (INT8, INT16)}


def quantize_wide(rng):
    """A chain of two to four; each step to another width, or to another scale of int16."""
    shape, dtypes = dims(rng), [int(rng.choice([INT8, INT16, INT32]))]
    for _ in range(int(rng.integers(1, 4))):
        dtypes.append(int(rng.choice(NEXT[dtypes[-1]])))
    tensors = []
    for dtype in dtypes:
        off = rng.choice([1.0, 10 ** rng.uniform(-0.5, 0.5), 10 ** rng.uniform(-3, 3)], p=[0.3, 0.5, 0.2])
        zero = {INT8: zero_point(rng), INT16: 0, INT32: 0}[dtype]
        if rng.random() < 0.2:
            zero = int(rng.integers(-100, 100))
        tensors.append(T(shape, float(np.float32(STEPS[dtype] * off)), zero, dtype))
    ops = [O(114, (i,), (i + 1,)) for i in range(len(dtypes) - 1)]
    return write_tflite(tensors, ops, [0], [len(tensors) - 1])


OPS = {"quantize_wide": quantize_wide}
