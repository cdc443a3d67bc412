"""What is found in models of others: large images, many outputs, leftovers of converters."""

import numpy as np
import pytest
from tests.unit.model.tflite_writer import FLOAT32, INT32, O, T, options, reshape_options, write_tflite
from tests.unit.model.truth import Truth

from tinyfleet.model.compiler import ModelSpec, TfliteError, compile_model
from tinyfleet.model.twin import Twin

SPEC = ModelSpec("odd", "1")


def same_as_truth(tflite: bytes, inputs: int, outputs: int, seed: int = 1) -> None:
    """Every output of a random window."""
    twin, truth = Twin(compile_model(tflite, SPEC)), Truth(tflite)
    window = np.random.default_rng(seed).integers(-128, 128, twin.plan.input_bytes).astype(np.int8)
    for ours, theirs in zip(twin.run_all(window), truth.run_all(window, inputs, outputs), strict=True):
        np.testing.assert_array_equal(ours, theirs.reshape(ours.shape))


def test_an_image_of_more_than_65535_pixels() -> None:
    tflite = write_tflite(
        [T((1, 240, 320, 1), 0.1, 0), T((1, 240, 320, 1), 0.2, 3)], [O(114, (0,), (1,))], [0], [1]
    )
    meta = Twin(compile_model(tflite, SPEC)).plan.metadata
    assert (meta.samples, meta.channels) == (76800, 1)
    same_as_truth(tflite, 1, 1)


def test_a_line_of_more_than_65535_values() -> None:
    tflite = write_tflite([T((1, 70000), 0.1, 0), T((1, 70000), 0.2, 3)], [O(114, (0,), (1,))], [0], [1])
    meta = Twin(compile_model(tflite, SPEC)).plan.metadata
    assert (meta.samples, meta.channels) == (70000, 1)


def test_a_detector_has_many_outputs() -> None:
    made = tuple(range(1, 13))
    tensors = [T((12, 5), 0.1, 0), *(T((5,), 0.1, 0) for _ in made)]
    same_as_truth(write_tflite(tensors, [O(88, (0,), made, options(64, 12, 0))], [0], list(made)), 1, 12)


def test_tensors_that_nobody_uses_do_not_matter() -> None:
    """Converters leave them behind: without values, of a negative dim, with a scale of 0."""
    leftovers = [T((0,), dtype=FLOAT32), T((-1, 3), 0.1, 0), T((2,), 0.0, 0, data=[0, 0])]
    tensors = [T((1, 8), 0.1, 0), T((1, 8), 0.2, 3), *leftovers]
    same_as_truth(write_tflite(tensors, [O(114, (0,), (1,))], [0], [1]), 1, 1)


def test_the_shape_of_a_scalar_is_a_constant_without_values() -> None:
    tensors = [T((1, 1), 0.1, 0), T((0,), dtype=INT32), T((), 0.1, 0), T((), 0.2, 0)]
    ops = [O(22, (0, 1), (2,), reshape_options([])), O(114, (2,), (3,))]
    assert Twin(compile_model(write_tflite(tensors, ops, [0], [3]), SPEC)).output_shape == ()


def test_an_operand_without_values_is_refused() -> None:
    tensors = [T((1, 8), 0.1, 0), T((0, 8), 0.1, 0), T((1, 8), 0.1, 0)]
    with pytest.raises(TfliteError, match=r"tensor 1 't1', shape: expected dims of 1 and more, got \(0, 8\)"):
        compile_model(write_tflite(tensors, [O(114, (0,), (1,)), O(114, (1,), (2,))], [0], [2]), SPEC)


def requantised(*more: T) -> list[T]:
    return [T((1, 8), 0.1, 0), T((1, 8), 0.2, 3), *more]


QUANTIZE = O(114, (0,), (1,))

ENDPOINTS = {
    "a constant": (requantised(T((1, 8), 0.1, 0, data=np.arange(8))), [QUANTIZE], [0], [1, 2]),
    "a constant index": (requantised(T((3,), dtype=INT32, data=[1, 2, 3])), [QUANTIZE], [0], [2, 1]),
    "one twice": (requantised(), [QUANTIZE], [0], [1, 1]),
    "an input": (requantised(), [QUANTIZE], [0], [1, 0]),
    "nothing but an input": ([T((1, 8), 0.1, 0)], [], [0], [0]),
    "an input that nobody reads": (requantised(T((1, 3), 0.1, 0)), [QUANTIZE], [2, 0], [1]),
    "inputs and what joins them": (
        [T((1, 16), 0.1, 0), T((1, 16), 0.1, 0), T((2, 16), 0.1, 0)],
        [O(2, (0, 1), (2,), options(10, 0, ("b", 0)))],
        [0, 1],
        [0, 2, 1],
    ),
}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_outputs_may_be(name: str) -> None:
    tensors, ops, inputs, outputs = ENDPOINTS[name]
    same_as_truth(write_tflite(tensors, ops, inputs, outputs), len(inputs), len(outputs))


def test_an_output_may_be_a_constant_dequantised() -> None:
    tensors = requantised(T((1, 8), 0.1, 0, data=np.arange(8)), T((1, 8), dtype=FLOAT32))
    tflite = write_tflite(tensors, [QUANTIZE, O(6, (2,), (3,))], [0], [1, 3])
    twin = Twin(compile_model(tflite, SPEC))
    np.testing.assert_array_equal(twin.run_all(bytes(8))[1].reshape(-1), np.arange(8))
