"""Random models of one op that moves values."""

import numpy as np
from tests.unit.model.op_parts import constant, dims, single
from tests.unit.model.single_ops import scale, zero_point
from tests.unit.model.tflite_writer import INT32, NONE, O, T, ints, options, write_tflite


def pad(rng):
    shape = dims(rng)
    padding = rng.integers(0, 3, (len(shape), 2))
    full = tuple(int(d + p.sum()) for d, p in zip(shape, padding, strict=True))
    step, zero = scale(rng), zero_point(rng)
    amounts = T(padding.shape, None, dtype=INT32, data=padding)
    if rng.random() < 0.5:
        return single(34, T(shape, step, zero), T(full, step, zero), more=[amounts])
    value = T((1,), step, zero, data=[int(rng.integers(-128, 128))])
    return single(60, T(shape, step, zero), T(full, step, zero), more=[amounts, value])


def mirror_pad(rng):
    shape = (1, *(int(d) for d in rng.integers(3, 7, 2)), int(rng.integers(1, 4)))
    padding = np.zeros((4, 2), int)
    padding[1:3] = rng.integers(0, 3, (2, 2))
    full = tuple(int(d + p.sum()) for d, p in zip(shape, padding, strict=True))
    amounts, step, zero = T((4, 2), None, dtype=INT32, data=padding), scale(rng), zero_point(rng)
    opts = options(77, ("b", int(rng.integers(0, 2))))
    return single(100, T(shape, step, zero), T(full, step, zero), opts, [amounts])


def concatenation(rng):
    """Inputs, a tensor that an op makes, constants, the same one twice."""
    shape, step, zero = dims(rng, 1, 5), scale(rng), zero_point(rng)
    if rng.random() < 0.4:
        shape = (1, int(rng.choice([1, 4])), 16)
    at = int(rng.integers(0, len(shape)))
    tensors, ops, parts, inputs = [T(shape, step, zero)], [], [0], [0]
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(0, 4))
        one = (*shape[:at], int(rng.integers(1, 4)), *shape[at + 1 :])
        if kind == 0:
            tensors.append(T(one, step, zero))
            inputs.append(len(tensors) - 1)
        elif kind == 1:
            tensors.append(T(one, step, zero, data=rng.integers(-128, 128, one)))
        elif kind == 2:
            tensors.append(T(shape, step, zero))
            ops.append(O(19, (0,), (len(tensors) - 1,)))
        parts.append(0 if kind == 3 else len(tensors) - 1)
    whole = (*shape[:at], sum(tensors[i].shape[at] for i in parts), *shape[at + 1 :])
    tensors.append(T(whole, step, zero))
    named = at - len(shape) if rng.random() < 0.3 else at
    ops.append(O(2, tuple(parts), (len(tensors) - 1,), options(10, named, ("b", NONE))))
    return write_tflite(tensors, ops, inputs, [len(tensors) - 1])


def pack(rng):
    shape, step, zero, count = dims(rng, 1, 4), scale(rng), zero_point(rng), int(rng.integers(1, 4))
    at = int(rng.integers(0, len(shape) + 1))
    tensors = [T(shape, step, zero) for _ in range(count)]
    tensors.append(T((*shape[:at], count, *shape[at:]), step, zero))
    return write_tflite(
        tensors, [O(83, tuple(range(count)), (count,), options(59, count, at))], [*range(count)], [count]
    )


def unpack(rng):
    shape, step, zero = dims(rng, 2, 5), scale(rng), zero_point(rng)
    at = int(rng.integers(0, len(shape)))
    if rng.random() < 0.4:
        shape, at = (int(rng.integers(1, 5)), 16), 0
    count = shape[at]
    tensors = [T(shape, step, zero), *(T(shape[:at] + shape[at + 1 :], step, zero) for _ in range(count))]
    made = range(1, count + 1)
    return write_tflite(tensors, [O(88, (0,), tuple(made), options(64, count, at))], [0], [*made])


def split(rng):
    """SPLIT, or SPLIT_V with unequal sizes; some parts are 16-byte aligned where they lie."""
    shape, step, zero = dims(rng, 1, 4), scale(rng), zero_point(rng)
    at, count = int(rng.integers(0, len(shape))), int(rng.integers(1, 4))
    if rng.random() < 0.4:
        shape, at = (1, 1, 16), 1
    equal = rng.random() < 0.5
    sizes = [shape[at]] * count if equal else [int(n) for n in rng.integers(1, 4, count)]
    whole = T((*shape[:at], sum(sizes), *shape[at + 1 :]), step, zero)
    parts = [T((*shape[:at], n, *shape[at + 1 :]), step, zero) for n in sizes]
    made = tuple(range(1, count + 1))
    along = T((1,), None, dtype=INT32, data=[at])
    if equal:
        op = O(49, (count + 1, 0), made, options(35, count))
        return write_tflite([whole, *parts, along], [op], [0], [*made])
    op = O(102, (0, count + 1, count + 2), made, options(79, count))
    return write_tflite([whole, *parts, constant(*sizes), along], [op], [0], [*made])


def slice_(rng):
    shape, step, zero = dims(rng), scale(rng), zero_point(rng)
    begin = [int(rng.integers(0, d)) for d in shape]
    size = [int(rng.integers(1, d - b + 1)) for d, b in zip(shape, begin, strict=True)]
    named = [
        -1 if b + n == d and rng.random() < 0.5 else n for d, b, n in zip(shape, begin, size, strict=True)
    ]
    return single(
        65, T(shape, step, zero), T(tuple(size), step, zero), more=[constant(*begin), constant(*named)]
    )


def strided_slice(rng):
    shape, step, zero = dims(rng), scale(rng), zero_point(rng)
    begin, end, steps, out = [], [], [], []
    masks = [0, 0, 0]
    for i, d in enumerate(shape):
        b, stride = int(rng.integers(0, d)), int(rng.choice([1, 1, 2, 3, -1, -2]))
        e = int(rng.integers(b + 1, d + 1)) if stride > 0 else int(rng.integers(-1, b))
        start, stop = b, e
        if rng.random() < 0.2:
            masks[0] |= 1 << i
            start = 0 if stride > 0 else d - 1
        if rng.random() < 0.2 or (stride < 0 and e < 0):
            masks[1] |= 1 << i
            stop = d if stride > 0 else -1
        if rng.random() < 0.15:
            masks[2] |= 1 << i
            steps.append(1)
        else:
            steps.append(stride)
            out.append(len(range(start, stop, stride)))
        begin.append(b - d if rng.random() < 0.3 else b)
        end.append(e)
    if min(out, default=1) < 1:
        return strided_slice(rng)
    opts = options(32, masks[0], masks[1], 0, 0, masks[2])
    if masks[0] & masks[2]:
        return strided_slice(rng)
    more = [constant(*begin), constant(*end), constant(*steps)]
    return single(45, T(shape, step, zero), T(tuple(out), step, zero), opts, more)


def transpose(rng):
    shape, step, zero = dims(rng, 1, 6), scale(rng), zero_point(rng)
    order = [int(i) for i in rng.permutation(len(shape))]
    out = tuple(shape[i] for i in order)
    return single(39, T(shape, step, zero), T(out, step, zero), more=[constant(*order)])


def squeeze_expand(rng):
    shape, step, zero = dims(rng, 1, 4), scale(rng), zero_point(rng)
    at = int(rng.integers(0, len(shape) + 1))
    wide = (*shape[:at], 1, *shape[at:])
    tensors = [T(shape, step, zero), T(wide, step, zero), T(shape, step, zero), constant(at)]
    squeezed = (30, {0: ints([at])})
    return write_tflite(tensors, [O(70, (0, 3), (1,)), O(43, (1,), (2,), squeezed)], [0], [2])


def depth_to_space(rng):
    n, h, w, c, block = *(int(d) for d in rng.integers(1, 5, 4)), int(rng.integers(1, 4))
    step, zero = scale(rng), zero_point(rng)
    deep, wide = T((n, h, w, c * block * block), step, zero), T((n, h * block, w * block, c), step, zero)
    return single(5, deep, wide, options(94, block))


def space_to_depth(rng):
    n, h, w, c, block = *(int(d) for d in rng.integers(1, 5, 4)), int(rng.integers(1, 4))
    step, zero = scale(rng), zero_point(rng)
    deep, wide = T((n, h, w, c * block * block), step, zero), T((n, h * block, w * block, c), step, zero)
    return single(26, wide, deep, options(19, block))


def gather(rng):
    shape, step, zero = dims(rng, 1, 5), scale(rng), zero_point(rng)
    at = int(rng.integers(0, len(shape)))
    picks = [int(i) for i in rng.integers(0, shape[at], rng.integers(1, 6))]
    out = (*shape[:at], len(picks), *shape[at + 1 :])
    return single(36, T(shape, step, zero), T(out, step, zero), options(23, at, 0), [constant(*picks)])


def reverse(rng):
    shape, step, zero = dims(rng, 1, 5), scale(rng), zero_point(rng)
    at = int(rng.integers(0, len(shape)))
    return single(105, T(shape, step, zero), T(shape, step, zero), more=[constant(at)])


def broadcast_to(rng):
    full = dims(rng)
    small = tuple(1 if rng.random() < 0.5 else d for d in full)[int(rng.integers(0, len(full))) :]
    step, zero = scale(rng), zero_point(rng)
    return single(130, T(small, step, zero), T(full, step, zero), (104, {}), [constant(*full)])


OPS = {
    "broadcast_to": broadcast_to,
    "pad": pad,
    "mirror_pad": mirror_pad,
    "concatenation": concatenation,
    "pack": pack,
    "unpack": unpack,
    "split": split,
    "slice": slice_,
    "strided_slice": strided_slice,
    "transpose": transpose,
    "squeeze_expand": squeeze_expand,
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
    "gather": gather,
    "reverse": reverse,
}
