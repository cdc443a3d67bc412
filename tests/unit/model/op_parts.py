"""Pieces of random models that several kinds of op share."""

from tests.unit.model.tflite_writer import INT32, O, T, write_tflite


def dims(rng, least=1, most=5):
    return tuple(int(d) for d in rng.integers(1, 6, rng.integers(least, most)))


def constant(*values):
    return T((len(values),), None, dtype=INT32, data=values)


def single(code, x, y, opts=(0, None), more=(), operands=None):
    """One op: tensor 0 is the input, 1 the output, then `more`."""
    operands = operands or (0, *range(2, 2 + len(more)))
    return write_tflite([x, y, *more], [O(code, operands, (1,), opts)], [0], [1])
