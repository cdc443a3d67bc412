"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: what is folded into a dilated convolution, and what is padded."""

import numpy as np
from tests.unit.model.batch_ops import Blocked, edges
from tests.unit.model.op_parts import constant, single
from tests.unit.model.tflite_writer import O, T, write_tflite
from tests.unit.model.truth import Truth, wheel

from tinyfleet.model.compiler import ModelSpec, compile_model, describe
from tinyfleet.model.twin import Twin

CASES = 200
SPEC = ModelSpec("m", "1")
CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D"}


def test_a_convolution_in_batches_is_the_dilated_one() -> None:
    """With padding TFLM does not say what comes out (it never sets its fill): the dilated one does."""
    wheel()
    folded = 0
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        case = Blocked(rng, 1 + seed % 2, padded=True)
        payload = compile_model(case.in_batches(), SPEC)
        twin, truth = Twin(payload), Truth(case.dilated())
        for _ in range(2):
            window = rng.integers(-128, 128, twin.input_shape).astype(np.int8)
            ours = twin.run(window)
            np.testing.assert_array_equal(ours, truth.run(window).reshape(ours.shape), f"seed {seed}")
        names = [op.name for op in describe(payload).ops]
        folded += len(names) == 1 and names[0] in CONVOLUTIONS
    assert folded > CASES * 0.8, "some have windows in padding alone, but most can be"


def test_padding_is_the_zero_point() -> None:
    x, y = T((1, 3, 2, 1), 0.1, 9), T((4, 2, 2, 1), 0.1, 9)
    more = [constant(2, 2), edges([1, 0, 0, 2])]
    window = np.arange(1, 7).astype(np.int8)
    ours = Twin(compile_model(single(38, x, y, (25, {}), more), SPEC)).run(window)
    whole = np.pad(window.reshape(1, 3, 2, 1), ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=9)
    places = [whole[0, row::2, column::2] for row in range(2) for column in range(2)]
    np.testing.assert_array_equal(ours, np.stack(places))


def test_what_is_used_twice_stays() -> None:
    """The batches are an output, too: they have to be made."""
    case = Blocked(np.random.default_rng(1), 2, padded=False)
    batches = (case.n * int(np.prod(case.block)), *case.cells, case.ic)
    made = tuple(c - k + 1 for c, k in zip(case.cells, case.kernel, strict=True))
    tensors = [
        T((case.n, *case.size, case.ic), *case.x),
        T((case.n, *case.out, case.oc), *case.y),
        constant(*case.block),
        edges(case.pads),
        edges(case.crops),
        T(batches, *case.x),
        T((batches[0], *made, case.oc), *case.y),
        *case.filters,
    ]
    ops = [
        O(38, (0, 2, 3), (5,), (25, {})),
        case.conv((5, *range(7, len(tensors))), 6),
        O(37, (6, 2, 4), (1,), (24, {})),
    ]
    names = [op.name for op in describe(compile_model(write_tflite(tensors, ops, [0], [1, 5]), SPEC)).ops]
    assert names[0] == "COPY"
    assert len(names) >= 3
