"""A model with several inputs and outputs, and most ops that move or combine values."""

from tests.unit.model.op_parts import constant
from tests.unit.model.tflite_writer import INT32, NONE, SAME, O, T, options, write_tflite


def many(rng):
    """Two inputs, seven outputs and the ops that `single_ops.chain` has not."""
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
        t(1, 1, 1, 4, data=[5, 9, -90, 100]),
        t(1, 4, 4, 4),  # 26: divided
        T((1, 4, 4, 4), 0.1, 0),  # 27: multiplied, the second operand on its side
        T((1, 4, 4, 4), 1 / 128, 0),  # 28: normalised
        T((1, 5, 6), dtype=INT32),  # 29: where the largest are
        constant(3),
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
        O(42, (7, 25), (26,), options(29, ("b", NONE))),
        O(126, (26, 12), (27,), options(101, ("b", 0), ("b", 1))),
        O(11, (27,), (28,), options(12, ("b", NONE))),
        O(56, (23, 30), (29,), options(40, ("b", 2))),
    ]
    tensors[24] = T((1, 4), 0.11, -5)
    return write_tflite(tensors, ops, [0, 1], [15, 24, 23, 14, 21, 28, 29])
