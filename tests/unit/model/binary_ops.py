"""Random models of one element-wise op of two operands."""

from tests.unit.model.op_parts import dims, single
from tests.unit.model.single_ops import ACTIVATIONS, scale, zero_point
from tests.unit.model.tflite_writer import O, T, options, write_tflite


def binary(code, union, *, clamps=True, same_scale=False, spread=2.0):
    """Two operands: two inputs, an input and a constant, or an input twice; one may broadcast."""

    def make(rng):
        shape = dims(rng)
        small = shape
        if rng.random() < 0.6:
            small = tuple(1 if rng.random() < 0.5 else d for d in shape)[int(rng.integers(0, len(shape))) :]
        a, b = scale(rng), scale(rng)
        zeros = zero_point(rng), zero_point(rng), zero_point(rng)
        if same_scale:
            b, zeros = a, (zeros[0],) * 3
        natural = a * b * 100 if spread is None else max(a, b) * spread
        output = a if same_scale else natural * float(10 ** rng.uniform(-0.8, 0.8))
        how = int(rng.choice([0, 1, 2], p=[0.45, 0.45, 0.1]))
        data = rng.integers(-128, 128, small) if how == 1 else None
        tensors = [T(shape, a, zeros[0]), T(shape, output, zeros[2])]
        tensors.append(T(small, b, zeros[1], data=data))
        pair = (0, 0) if how == 2 else ((0, 2) if rng.random() < 0.5 else (2, 0))
        opts = options(union, ("b", int(rng.choice(ACTIVATIONS)))) if clamps else (0, None)
        return write_tflite(tensors, [O(code, pair, (1,), opts)], [0, 2] if how == 0 else [0], [1])

    return make


def squared_difference(rng):
    shape, a, b = dims(rng), scale(rng), scale(rng)
    output = max(a, b) ** 2 * 100 * float(10 ** rng.uniform(-0.8, 0.8))
    zeros = zero_point(rng), zero_point(rng), zero_point(rng)
    tensors = [T(shape, a, zeros[0]), T(shape, output, zeros[1]), T(shape, b, zeros[2])]
    return write_tflite(tensors, [O(99, (0, 2), (1,))], [0, 2], [1])


def prelu(rng):
    h, w, c, step = *(int(d) for d in rng.integers(1, 6, 3)), scale(rng)
    slopes = T((1, 1, c), scale(rng), zero_point(rng), data=rng.integers(-128, 128, (1, 1, c)))
    y = T((1, h, w, c), step * float(10 ** rng.uniform(-0.5, 1)), zero_point(rng))
    return single(54, T((1, h, w, c), step, zero_point(rng)), y, more=[slopes])


def divide(rng):
    """The divisor is no zero: its constants are not, or a MAXIMUM keeps it above."""
    shape = dims(rng)
    small = shape[int(rng.integers(0, len(shape))) :]
    a, b, zero = scale(rng), scale(rng), int(rng.integers(-128, 100))
    output = T(shape, a / b * float(10 ** rng.uniform(-2, 0.5)), zero_point(rng))
    opts = options(29, ("b", int(rng.choice(ACTIVATIONS))))
    if rng.random() < 0.4:
        data = rng.integers(-128, 128, small)
        data[data == zero] += 1
        divisor = T(small, b, zero, data=data)
        return write_tflite(
            [T(shape, a, zero_point(rng)), output, divisor], [O(42, (0, 2), (1,), opts)], [0], [1]
        )
    least = T((1,), b, zero, data=[zero + 1 + int(rng.integers(0, 20))])
    tensors = [T(shape, a, zero_point(rng)), output, T(small, b, zero), least, T(small, b, zero)]
    ops = [O(55, (2, 3), (4,), options(39)), O(42, (0, 4), (1,), opts)]
    return write_tflite(tensors, ops, [0, 2], [1])


def scalar(rng):
    """One operand is a constant of one element, or both are the input; enough elements for a table."""
    codes = {0: 11, 41: 28, 18: 21, 55: 39, 57: 39, 99: 75}
    code = int(rng.choice(list(codes)))
    shape = (int(rng.integers(1, 4)), 64)
    a, b = scale(rng), scale(rng)
    zeros = zero_point(rng), zero_point(rng), zero_point(rng)
    if code in (55, 57):
        b, zeros = a, (zeros[0],) * 3
    natural = {18: a * b * 100, 99: max(a, b) ** 2 * 100}.get(code, max(a, b) * 2)
    output = a if code in (55, 57) else natural * float(10 ** rng.uniform(-0.8, 0.8))
    one = T(tuple([1] * int(rng.integers(0, 3))), b, zeros[1], data=[int(rng.integers(-128, 128))])
    tensors = [T(shape, a, zeros[0]), T(shape, output, zeros[2]), one]
    pair = [(0, 2), (2, 0), (0, 0)][int(rng.choice([0, 1, 2], p=[0.45, 0.3, 0.25]))]
    clamps = code in (0, 41, 18)
    opts = options(codes[code], ("b", int(rng.choice(ACTIVATIONS)))) if clamps else (0, None)
    return write_tflite(tensors, [O(code, pair, (1,), opts)], [0], [1])


OPS = {
    "scalar": scalar,
    "div": divide,
    "sub": binary(41, 28),
    "mul": binary(18, 21, spread=None),
    "maximum": binary(55, 39, clamps=False, same_scale=True),
    "minimum": binary(57, 39, clamps=False, same_scale=True),
    "squared_difference": squared_difference,
    "prelu": prelu,
}
