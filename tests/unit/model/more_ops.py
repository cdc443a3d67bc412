"""Random models of one op that moves or combines values, or is a function of one."""

import numpy as np
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
from tests.unit.model.tflite_writer import (
    FLOAT32,
    INT32,
    NONE,
    SAME,
    UINT8,
    VALID,
    O,
    T,
    ints,
    options,
    write_tflite,
)


def dims(rng, least=1, most=5):
    return tuple(int(d) for d in rng.integers(1, 6, rng.integers(least, most)))


def constant(*values):
    return T((len(values),), None, dtype=INT32, data=values)


def single(code, x, y, opts=(0, None), more=(), operands=None):
    """One op: tensor 0 is the input, 1 the output, then `more`."""
    operands = operands or (0, *range(2, 2 + len(more)))
    return write_tflite([x, y, *more], [O(code, operands, (1,), opts)], [0], [1])


def unary(code, output=None, opts=lambda rng: (0, None), steps=(-3, 0)):
    """A function of one value; `output`: its fixed (scale, zero point)."""

    def make(rng):
        shape = (int(rng.integers(1, 4)), int(rng.choice([64, 256, 300])))
        step = float(np.float32(10 ** rng.uniform(*steps)))
        made = output or (step * float(10 ** rng.uniform(-0.7, 0.9)), zero_point(rng))
        return single(code, T(shape, step, zero_point(rng)), T(shape, *made), opts(rng))

    return make


def relu6(rng):
    step, zero = scale(rng) / 4, zero_point(rng)
    return single(21, T((2, 256), step, zero), T((2, 256), step, zero))


def quantize_uint8(rng):
    """uint8 in, int8 in the middle, uint8 out; often only the top bit differs."""
    step, zero = scale(rng), int(rng.integers(0, 256))
    shape, plain = dims(rng), rng.random() < 0.5
    middle = (step, zero - 128) if plain else (step * rng.uniform(0.5, 2), zero_point(rng))
    last = (middle[0] * rng.uniform(0.5, 2), int(rng.integers(0, 256)))
    tensors = [T(shape, step, zero, UINT8), T(shape, *middle), T(shape, *last, UINT8)]
    return write_tflite(tensors, [O(114, (0,), (1,)), O(114, (1,), (2,))], [0], [2])


FUNCTIONS = {
    "ABS": 101,
    "COS": 108,
    "ELU": 111,
    "EXP": 47,
    "HARD_SWISH": 117,
    "LOGISTIC": 14,
    "RELU": 19,
    "RELU6": 21,
    "SIN": 66,
    "SQUARE": 92,
    "TANH": 28,
}


def through_floats(rng):
    """DEQUANTIZE, one or two float functions, QUANTIZE."""
    codes = [int(rng.choice(list(FUNCTIONS.values())))]
    if rng.random() < 0.5 and codes[0] not in (FUNCTIONS["EXP"], FUNCTIONS["SQUARE"]):
        codes.append(int(rng.choice(list(FUNCTIONS.values()))))
    # Not beyond e^12: TFLM casts any float to an int, and what is too large is another number on each core.
    step = float(np.float32(10 ** rng.uniform(-2.5, -1.4)))
    tensors = [T((256,), step, zero_point(rng)), *(T((256,), dtype=FLOAT32) for _ in range(len(codes) + 1))]
    tensors.append(T((256,), float(10 ** rng.uniform(-2.5, -1)), zero_point(rng)))
    ops = [O(6, (0,), (1,)), *(O(code, (i + 1,), (i + 2,)) for i, code in enumerate(codes))]
    ops.append(O(114, (len(codes) + 1,), (len(codes) + 2,)))
    return write_tflite(tensors, ops, [0], [len(tensors) - 1])


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


OPS = {
    "abs": unary(101),
    "elu": unary(111),
    "hard_swish": unary(117, steps=(-2.5, -0.5)),
    "leaky_relu": unary(98, opts=lambda rng: options(75, ("f", float(rng.choice([0.1, 0.3, -0.2, 1.5]))))),
    "logistic": unary(14, (1 / 256, -128)),
    "tanh": unary(28, (1 / 128, 0)),
    "relu": unary(19),
    "relu6": relu6,
    "quantize": unary(114),
    "quantize_uint8": quantize_uint8,
    "through_floats": through_floats,
    "sub": binary(41, 28),
    "mul": binary(18, 21, spread=None),
    "maximum": binary(55, 39, clamps=False, same_scale=True),
    "minimum": binary(57, 39, clamps=False, same_scale=True),
    "squared_difference": squared_difference,
    "prelu": prelu,
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
    "sum": reduce(74),
    "reduce_max": reduce(82),
    "reduce_min": reduce(89),
    "resize_nearest": resized(97, 74, 0),
    "resize_bilinear": resized(23, 15, 2),
    "transpose_conv": transpose_conv,
}


def many(rng):
    """Two inputs, three outputs and every op of this file that the plan format has a code for."""
    step, zero = 0.05, 3

    def t(*shape, data=None, name="t"):
        return T(shape, step, zero, data=data, name=name)

    weights = rng.integers(-127, 128, (4, 2, 2, 4))
    tensors = [
        t(1, 4, 4, 4, name="left"),
        t(1, 4, 4, 4, name="right"),
        *(t(1, 4, 4, 4) for _ in range(6)),  # 2 to 7
        t(1, 1, 1, 4, data=rng.integers(-128, 128, (1, 1, 1, 4))),
        t(1, 8, 4, 4),  # 9: joined
        T((1,), None, dtype=INT32, data=[1]),
        t(1, 4, 4, 4),  # 11, 12: its halves
        t(1, 4, 4, 4),
        constant(3, 5),
        t(1, 3, 5, 4),  # 14: nearest
        t(1, 3, 5, 4),  # 15: bilinear
        constant(1, 8, 8, 4),
        T(weights.shape, 0.02, 0, data=weights),
        t(1, 8, 8, 4),  # 18: transposed convolution
        constant(1, 2),
        t(1, 4),  # 20: largest
        t(1, 4),  # 21: smallest
        T((4, 2), None, dtype=INT32, data=[0, 0, 1, 0, 0, 2, 0, 0]),
        t(1, 5, 6, 4),  # 23: padded
        t(1, 4),  # 24
    ]
    align = options(74, ("b", 0), ("b", 1))
    ops = [
        O(41, (0, 1), (2,), options(28, ("b", NONE))),
        O(18, (2, 8), (3,), options(21, ("b", NONE))),
        O(55, (3, 0), (4,)),
        O(57, (4, 1), (5,)),
        O(54, (5, 8), (6,)),
        O(99, (6, 0), (7,)),
        O(2, (7, 5), (9,), options(10, 1, ("b", NONE))),
        O(49, (10, 9), (11, 12), options(35, 2)),
        O(97, (11, 13), (14,), align),
        O(23, (12, 13), (15,), options(15, 0, 0, ("b", 0), ("b", 1))),
        O(67, (16, 17, 12), (18,), options(49, ("b", SAME), 2, 2, ("b", NONE))),
        O(82, (18, 19), (20,), options(27, ("b", 0))),
        O(89, (18, 19), (21,), options(27, ("b", 0))),
        O(34, (11, 22), (23,)),
        O(114, (20,), (24,)),
    ]
    tensors[24] = T((1, 4), 0.11, -5)
    return write_tflite(tensors, ops, [0, 1], [15, 24, 23, 14, 21])
