"""Random models of plain integers: int32 arithmetic, casts, and moves of values wider than a byte."""

import numpy as np
from tests.unit.model.signal_ops import Case, audio, cast, streamed
from tests.unit.model.tflite_writer import (
    INT8,
    INT16,
    INT32,
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    UINT32,
    O,
    T,
    ints,
    options,
)

ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM = 0, 41, 18, 42, 55, 57
OPTIONS = {ADD: 11, SUB: 28, MUL: 21, DIV: 29, MAXIMUM: 39, MINIMUM: 39}
NUMPY = {INT8: np.int8, INT16: np.int16, INT32: np.int32}


def whole(rng, shape, dtype=INT32):
    """Small numbers, and numbers of every size."""
    info = np.iinfo(NUMPY[dtype])
    bits = rng.integers(1, info.bits) if rng.random() < 0.7 else info.bits - 1
    low, high = -(2**bits), 2**bits
    return rng.integers(max(low, info.min), min(high, info.max + 1), shape).astype(NUMPY[dtype])


def shapes(rng):
    """(a, b, output), broadcast over some axes."""
    out = tuple(int(n) for n in rng.integers(1, 7, rng.integers(0, 5)))
    a = tuple(1 if rng.random() < 0.2 else n for n in out)
    b = tuple(1 if rng.random() < 0.2 else n for n in out)
    if rng.random() < 0.3:
        b = ()
    return a, b, np.broadcast_shapes(a, b)


def arithmetic(rng) -> Case:
    code = int(rng.choice(list(OPTIONS)))
    a, b, y = shapes(rng)
    if rng.random() < 0.5:
        a, b = b, a
    divisor = code == DIV

    def second(rng):
        values = whole(rng, b)
        return np.where(values == 0, np.int32(7), values).astype(np.int32) if divisor else values

    act = int(rng.choice([NONE, NONE, RELU, RELU6, RELU_N1_TO_1])) if code in (SUB, MUL, DIV) else NONE
    picked = (0, None) if code in (MAXIMUM, MINIMUM) else options(OPTIONS[code], ("b", act))
    constant = rng.random() < 0.5
    tensors = [
        T(a, dtype=INT32),
        T(b, dtype=INT32, data=second(rng) if constant else None),
        T(y, dtype=INT32),
    ]
    draws = [lambda rng: whole(rng, a), second]
    return streamed(rng, tensors, [O(code, (0, 1), (2,), picked)], draws[: 1 if constant else 2], [2])


def casts(rng) -> Case:
    """Through a chain of types; UINT32 and BOOL are no endpoints."""
    shape = tuple(int(n) for n in rng.integers(1, 9, rng.integers(0, 4)))
    kinds = [int(rng.choice([INT8, INT16, INT32]))]
    kinds += [int(k) for k in rng.choice([INT8, INT16, INT32, UINT32], rng.integers(0, 3))]
    kinds.append(int(rng.choice([INT8, INT16, INT32])))
    tensors = [T(shape, dtype=kind) for kind in kinds]
    ops = [cast(i, i + 1) for i in range(len(kinds) - 1)]
    return streamed(rng, tensors, ops, [lambda rng: whole(rng, shape, kinds[0])], [len(kinds) - 1])


def moves(rng) -> Case:
    """Slices, concatenations, pads, splits, packs and reshapes of int16 and int32."""
    return [_strided_slice, _slice, _concatenation, _pad, _split, _pack, _unpack, _transpose][
        rng.integers(0, 8)
    ](rng)


def _wide(rng):
    return int(rng.choice([INT16, INT32]))


def _const(values):
    return T(np.shape(values), dtype=INT32, data=values)


def _strided_slice(rng):
    dtype, shape = _wide(rng), tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 4)))
    begin = [int(rng.integers(0, n)) for n in shape]
    step = [int(rng.integers(1, 3)) for _ in shape]
    end = [int(rng.integers(b + 1, n + 1)) for b, n in zip(begin, shape, strict=True)]
    made = tuple(-(-(e - b) // s) for b, e, s in zip(begin, end, step, strict=True))
    tensors = [T(shape, dtype=dtype), _const(begin), _const(end), _const(step), T(made, dtype=dtype)]
    op = O(45, (0, 1, 2, 3), (4,), options(32, 0, 0, 0, 0, 0))
    return streamed(rng, tensors, [op], [lambda rng: whole(rng, shape, dtype)], [4])


def _slice(rng):
    dtype, shape = _wide(rng), tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 4)))
    begin = [int(rng.integers(0, n)) for n in shape]
    size = [int(rng.integers(1, n - b + 1)) for b, n in zip(begin, shape, strict=True)]
    tensors = [T(shape, dtype=dtype), _const(begin), _const(size), T(tuple(size), dtype=dtype)]
    return streamed(rng, tensors, [O(65, (0, 1, 2), (3,))], [lambda rng: whole(rng, shape, dtype)], [3])


def _concatenation(rng):
    dtype, rank = _wide(rng), int(rng.integers(1, 4))
    axis = int(rng.integers(0, rank))
    rest = [int(n) for n in rng.integers(1, 9, rank)]
    parts = [
        (*rest[:axis], int(rng.choice([1, 3, 8, 16])), *rest[axis + 1 :]) for _ in range(rng.integers(1, 4))
    ]
    made = (*rest[:axis], sum(p[axis] for p in parts), *rest[axis + 1 :])
    tensors = [T(part, dtype=dtype) for part in parts]
    tensors.append(T(parts[0], dtype=dtype, data=whole(rng, parts[0], dtype)))
    made = (*rest[:axis], made[axis] + parts[0][axis], *rest[axis + 1 :])
    tensors.append(T(made, dtype=dtype))
    count = len(parts)
    op = O(2, tuple(range(count + 1)), (count + 1,), options(10, axis, ("b", NONE)))
    draws = [lambda rng, part=part: whole(rng, part, dtype) for part in parts]
    return streamed(rng, tensors, [op], draws, [count + 1])


def _pad(rng):
    dtype, shape = _wide(rng), tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 4)))
    padding = rng.integers(0, 3, (len(shape), 2))
    made = tuple(int(n + p.sum()) for n, p in zip(shape, padding, strict=True))
    tensors = [T(shape, 0.5, 0, dtype=dtype), _const(padding), T(made, 0.5, 0, dtype=dtype)]
    return streamed(rng, tensors, [O(34, (0, 1), (2,))], [lambda rng: whole(rng, shape, dtype)], [2])


def _split(rng):
    dtype, rank, count = _wide(rng), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    axis = int(rng.integers(0, rank))
    part = tuple(int(n) for n in rng.integers(1, 9, rank))
    shape = (*part[:axis], part[axis] * count, *part[axis + 1 :])
    tensors = [
        T((), dtype=INT32, data=axis),
        T(shape, dtype=dtype),
        *(T(part, dtype=dtype) for _ in range(count)),
    ]
    made = tuple(range(2, 2 + count))
    tflite_case = streamed(
        rng,
        [tensors[1], tensors[0], *tensors[2:]],
        [O(49, (1, 0), made, options(35, count))],
        [lambda rng: whole(rng, shape, dtype)],
        list(made),
    )
    return tflite_case


def _pack(rng):
    dtype, rank, count = _wide(rng), int(rng.integers(0, 3)), int(rng.integers(1, 4))
    axis = int(rng.integers(0, rank + 1))
    part = tuple(int(n) for n in rng.integers(1, 9, rank))
    made = (*part[:axis], count, *part[axis:])
    tensors = [*(T(part, dtype=dtype) for _ in range(count)), T(made, dtype=dtype)]
    op = O(83, tuple(range(count)), (count,), options(59, count, axis))
    return streamed(rng, tensors, [op], [lambda rng: whole(rng, part, dtype)] * count, [count])


def _unpack(rng):
    dtype, rank, count = _wide(rng), int(rng.integers(0, 3)), int(rng.integers(1, 4))
    axis = int(rng.integers(0, rank + 1))
    part = tuple(int(n) for n in rng.integers(1, 9, rank))
    shape = (*part[:axis], count, *part[axis:])
    tensors = [T(shape, dtype=dtype), *(T(part, dtype=dtype) for _ in range(count))]
    made = tuple(range(1, 1 + count))
    op = O(88, (0,), made, options(64, count, axis))
    return streamed(rng, tensors, [op], [lambda rng: whole(rng, shape, dtype)], list(made))


def _transpose(rng):
    """TFLM transposes int8, int16 and floats."""
    shape = tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 5)))
    order = [int(axis) for axis in rng.permutation(len(shape))]
    tensors = [T(shape, dtype=INT16), _const(order), T(tuple(shape[axis] for axis in order), dtype=INT16)]
    return streamed(rng, tensors, [O(39, (0, 1), (2,))], [lambda rng: audio(rng, shape)], [2])


def reshaped(rng) -> Case:
    """A chain that costs nothing but its one addition."""
    shape = tuple(int(n) for n in rng.integers(1, 7, 3))
    flat = int(np.prod(shape))
    tensors = [
        T(shape, dtype=INT32),
        _const([flat]),
        T((flat,), dtype=INT32),
        T((), dtype=INT32, data=int(rng.integers(-100, 100))),
        T((flat,), dtype=INT32),
        _const([1, flat]),
        T((1, flat), dtype=INT32),
    ]
    ops = [
        O(22, (0, 1), (2,), (17, {0: ints([flat])})),
        O(ADD, (2, 3), (4,), options(11, ("b", NONE))),
        O(22, (4, 5), (6,), (17, {0: ints([1, flat])})),
    ]
    return streamed(rng, tensors, ops, [lambda rng: whole(rng, shape)], [6])


INTEGER = {function.__name__: function for function in (arithmetic, casts, moves, reshaped)}

OPS = {name: lambda rng, make=make: make(rng).tflite for name, make in INTEGER.items()}
"""The models alone."""
