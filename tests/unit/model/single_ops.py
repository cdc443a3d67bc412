"""Random models of one op: shapes, strides, paddings, zero points and scales as real ones, and worse."""

import numpy as np
from tests.unit.model.tflite_writer import (
    INT32,
    NONE,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    O,
    T,
    add_options,
    conv_options,
    depthwise_options,
    fully_connected_options,
    pool_options,
    reducer_options,
    reshape_options,
    softmax_options,
    write_tflite,
)

ACTIVATIONS = (NONE, NONE, RELU, RELU6, RELU_N1_TO_1)


def zero_point(rng):
    return int(rng.choice([-128, 127, 0, rng.integers(-128, 128)], p=[0.2, 0.1, 0.2, 0.5]))


def scale(rng):
    return float(np.float32(10 ** rng.uniform(-3, 0.5)))


def out_scale(rng, spread):
    """Mostly such that outputs spread over int8 and do not saturate; sometimes far off."""
    off = rng.choice([1.0, 10 ** rng.uniform(-0.7, 0.7), 10 ** rng.uniform(-6, 4)], p=[0.5, 0.35, 0.15])
    return float(np.float32(max(spread * off / 60, 1e-30)))


def out_size(size, kernel, stride, dilation, padding):
    if padding == SAME:
        return -(-size // stride)
    return (size + stride - ((kernel - 1) * dilation + 1)) // stride


def axis(rng, padding, most=4):
    """(size, kernel, stride, dilation, output size) along one axis."""
    while True:
        size, kernel = int(rng.integers(1, 11)), int(rng.integers(1, most + 1))
        stride, dilation = int(rng.integers(1, 4)), int(rng.choice([1, 1, 1, 2, 3]))
        out = out_size(size, kernel, stride, dilation, padding)
        if out >= 1 and (padding == SAME or (kernel - 1) * dilation < size):
            return size, kernel, stride, dilation, out


def filter_scales(rng, channels):
    if rng.random() < 0.3:
        return np.array([scale(rng)], np.float32)
    return (np.float32(10) ** rng.uniform(-3, 0, channels)).astype(np.float32)


def spread_of(in_scale, scales, taps):
    return float(in_scale * float(np.median(scales)) * 75 * 75 * taps**0.5)


def biased(rng, channels, in_scale, scales, taps):
    """The optional bias operand."""
    if rng.random() < 0.2:
        return []
    most = int(2000 * taps**0.5) if rng.random() < 0.9 else 2**28
    values = rng.integers(-most, most, channels)
    return [T((channels,), in_scale * np.float64(scales), 0, INT32, values)]


def conv(rng):
    padding = int(rng.choice([SAME, VALID]))
    h, kh, sh, dh, oh = axis(rng, padding)
    w, kw, sw, dw, ow = axis(rng, padding)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    depth, per_group = int(rng.integers(1, 9)), int(rng.integers(1, 6))
    ic, oc, n = depth * groups, per_group * groups, int(rng.choice([1, 1, 2]))
    in_scale, scales, taps = scale(rng), filter_scales(rng, oc), kh * kw * depth
    weights = rng.integers(-127, 128, (oc, kh, kw, depth))
    tensors = [
        T((n, h, w, ic), in_scale, zero_point(rng)),
        T((n, oh, ow, oc), out_scale(rng, spread_of(in_scale, scales, taps)), zero_point(rng)),
        T(weights.shape, scales, 0, data=weights),
        *biased(rng, oc, in_scale, scales, taps),
    ]
    act = int(rng.choice(ACTIVATIONS))
    op = O(3, (0, *range(2, len(tensors))), (1,), conv_options(padding, sh, sw, act, dh, dw))
    return write_tflite(tensors, [op], [0], [1])


def depthwise(rng, most=4):
    padding = int(rng.choice([SAME, VALID]))
    h, kh, sh, dh, oh = axis(rng, padding, most)
    w, kw, sw, dw, ow = axis(rng, padding, most)
    ic, multiplier, n = int(rng.integers(1, 13)), int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2]))
    oc, taps = ic * multiplier, kh * kw
    in_scale, scales = scale(rng), filter_scales(rng, oc)
    weights = rng.integers(-127, 128, (1, kh, kw, oc))
    tensors = [
        T((n, h, w, ic), in_scale, zero_point(rng)),
        T((n, oh, ow, oc), out_scale(rng, spread_of(in_scale, scales, taps)), zero_point(rng)),
        T(weights.shape, scales, 0, data=weights, axis=3),
        *biased(rng, oc, in_scale, scales, taps),
    ]
    act = int(rng.choice(ACTIVATIONS))
    op = O(4, (0, *range(2, len(tensors))), (1,), depthwise_options(padding, sh, sw, multiplier, act, dh, dw))
    return write_tflite(tensors, [op], [0], [1])


def depthwise_wide(rng):
    return depthwise(rng, most=10)


def fully_connected(rng):
    rows, depth, oc = int(rng.choice([1, 1, 3])), int(rng.integers(1, 300)), int(rng.integers(1, 20))
    in_scale, scales = scale(rng), filter_scales(rng, oc)
    weights = rng.integers(-127, 128, (oc, depth))
    bias = biased(rng, oc, in_scale, scales, depth)
    spread = spread_of(in_scale, scales, depth)
    output = float(np.float32(spread / 60)) if bias and scales.size == 1 else out_scale(rng, spread)
    tensors = [
        T((rows, depth), in_scale, zero_point(rng)),
        T((rows, oc), output, zero_point(rng)),
        T(weights.shape, scales, 0, data=weights),
        *bias,
    ]
    act = int(rng.choice(ACTIVATIONS))
    op = O(9, (0, *range(2, len(tensors))), (1,), fully_connected_options(act))
    return write_tflite(tensors, [op], [0], [1])


def pool(rng, code):
    padding = int(rng.choice([SAME, VALID]))
    h, kh, sh, _, oh = axis(rng, padding)
    w, kw, sw, _, ow = axis(rng, padding)
    oh, ow = (out_size(h, kh, sh, 1, padding), out_size(w, kw, sw, 1, padding))
    n, c, zero, step = int(rng.choice([1, 1, 2])), int(rng.integers(1, 9)), zero_point(rng), scale(rng)
    tensors = [T((n, h, w, c), step, zero), T((n, oh, ow, c), step, zero)]
    op = O(code, (0,), (1,), pool_options(padding, sh, sw, kh, kw, int(rng.choice(ACTIVATIONS))))
    return write_tflite(tensors, [op], [0], [1])


def average_pool(rng):
    return pool(rng, 1)


def max_pool(rng):
    return pool(rng, 17)


def mean(rng):
    shape = tuple(int(d) for d in rng.integers(1, 7, rng.integers(1, 6)))
    count = int(rng.integers(1, len(shape) + 1))
    axes = sorted(int(a) for a in rng.choice(len(shape), count, replace=False))
    keep = bool(rng.random() < 0.5)
    kept = tuple(1 if i in axes else d for i, d in enumerate(shape))
    if not keep:
        kept = tuple(d for i, d in enumerate(shape) if i not in axes)
    named = [a - len(shape) if rng.random() < 0.3 else a for a in axes]
    in_scale = scale(rng)
    off = rng.choice([1.0, 10 ** rng.uniform(-1.5, 1), 10 ** rng.uniform(-5, 5)], p=[0.3, 0.5, 0.2])
    tensors = [
        T(shape, in_scale, zero_point(rng)),
        T(kept, in_scale * off, zero_point(rng)),
        T((count,), None, dtype=INT32, data=named),
    ]
    return write_tflite(tensors, [O(40, (0, 2), (1,), reducer_options(keep))], [0], [1])


def softmax(rng):
    shape = (int(rng.integers(1, 5)), int(rng.choice([1, 2, 5, 12, 100, 500])))  # TFLM aborts from 512
    if rng.random() < 0.3:
        shape = (1, 2, *shape)
    step = float(np.float32(10 ** rng.uniform(-4, 1)))
    beta = float(rng.choice([1.0, 1.0, 0.5, 3.0]))
    tensors = [T(shape, step, zero_point(rng)), T(shape, 1 / 256, -128)]
    return write_tflite(tensors, [O(25, (0,), (1,), softmax_options(beta))], [0], [1])


def add(rng):
    """Sometimes both operands are the input, or one is a constant; sometimes one broadcasts."""
    shape = tuple(int(d) for d in rng.integers(1, 6, rng.integers(1, 5)))
    small = shape
    if rng.random() < 0.5:
        small = tuple(1 if rng.random() < 0.5 else d for d in shape)[int(rng.integers(0, len(shape))) :]
    a_scale, b_scale = scale(rng), scale(rng) if rng.random() < 0.7 else None
    b_scale = b_scale or a_scale
    output = max(a_scale, b_scale) * float(rng.choice([2.0, 1.0, 10 ** rng.uniform(-2, 2)]))
    tensors = [T(shape, a_scale, zero_point(rng)), T(shape, output, zero_point(rng))]
    operands = (0, 0)
    if rng.random() < 0.8:
        tensors.append(T(small, b_scale, zero_point(rng), data=rng.integers(-128, 128, small)))
        operands = (0, 2) if rng.random() < 0.5 else (2, 0)
    op = O(0, operands, (1,), add_options(int(rng.choice(ACTIVATIONS))))
    return write_tflite(tensors, [op], [0], [1])


def reshape(rng):
    shape = tuple(int(d) for d in rng.integers(1, 5, 3))
    flat = (shape[0] * shape[2], shape[1])
    step, zero = scale(rng), zero_point(rng)
    tensors = [T(shape, step, zero), T(flat, step, zero), T((2,), None, dtype=INT32, data=flat)]
    return write_tflite(tensors, [O(22, (0, 2), (1,), reshape_options(flat))], [0], [1])


OPS = {
    "conv": conv,
    "depthwise": depthwise,
    "depthwise_wide": depthwise_wide,
    "fully_connected": fully_connected,
    "average_pool": average_pool,
    "max_pool": max_pool,
    "mean": mean,
    "softmax": softmax,
    "add": add,
    "reshape": reshape,
}


def chain(rng):
    """A small model with every op of the runtime, one behind the other."""

    def filters(*shape):
        return rng.integers(-127, 128, shape)

    tensors = [
        T((1, 8, 6, 2), 0.05, -3, name="window"),
        T((4, 3, 3, 2), np.full(4, 0.01), data=filters(4, 3, 3, 2)),
        T((4,), np.full(4, 0.0005), dtype=INT32, data=rng.integers(-500, 500, 4)),
        T((1, 8, 6, 4), 0.1, 4, name="conv"),
        T((1, 3, 3, 4), 0.01, data=filters(1, 3, 3, 4), axis=3),
        T((1, 8, 6, 4), 0.2, -7, name="depthwise"),
        T((1, 8, 6, 4), 0.2, 1, name="sum"),
        T((1, 4, 3, 4), 0.2, 1, name="largest"),
        T((1, 2, 2, 4), 0.2, 1, name="average"),
        T((2,), dtype=INT32, data=[1, 2]),
        T((1, 4), 0.1, 0, name="mean"),
        T((1, 2, 2), 0.1, 0, name="square"),
        T((2,), dtype=INT32, data=[1, 4]),
        T((3, 4), 0.001, data=filters(3, 4)),
        T((1, 3), 0.05, 2, name="dense"),
        T((1, 3), 1 / 256, -128, name="scores"),
        T((3,), dtype=INT32, data=[1, 2, 2]),
        T((1, 4), 0.1, 0, name="flat"),
    ]
    ops = [
        O(3, (0, 1, 2), (3,), conv_options(SAME, 1, 1, RELU)),
        O(4, (3, 4), (5,), depthwise_options(SAME, 1, 1, 1, NONE)),
        O(0, (3, 5), (6,), add_options(NONE)),
        O(17, (6,), (7,), pool_options(VALID, 2, 2, 2, 2, NONE)),
        O(1, (7,), (8,), pool_options(SAME, 2, 2, 3, 3, NONE)),
        O(40, (8, 9), (10,), reducer_options(False)),
        O(22, (10, 16), (11,), reshape_options((1, 2, 2))),
        O(22, (11, 12), (17,), reshape_options((1, 4))),
        O(9, (17, 13), (14,), fully_connected_options(NONE)),
        O(25, (14,), (15,), softmax_options(1.0)),
    ]
    return write_tflite(tensors, ops, [0], [15])
