"""The committed answers are those of TensorFlow Lite Micro's reference kernels; so is the input rule."""

import math
from fractions import Fraction

import numpy as np
import pytest
from examples.livestock import golden, truth

INPUT_SCALE = float(np.float32(4 / 255))
WHEEL = "tflite-micro==0.dev20261023182759"


@pytest.mark.parametrize("version", golden.VERSIONS)
def test_committed_outputs_are_the_reference_interpreters(version: str) -> None:
    pytest.importorskip("tflite_micro", reason=f"the truth itself needs {WHEEL}, which is not installed")
    held = golden.load()
    reference = truth.Reference(golden.HERE / f"livestock_{version}.tflite")
    np.testing.assert_array_equal(reference.run(held.windows), held.outputs[version])


def _round_half_away(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2)) if value >= 0 else -math.floor(-value + Fraction(1, 2))


def _double_rounded(raw: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier in fractions: first rounds halves up, then halves away from zero."""
    high = math.floor(Fraction(raw << max(shift, 0)) * multiplier / 2**31 + Fraction(1, 2))
    return _round_half_away(Fraction(high, 2 ** max(-shift, 0)))


@pytest.mark.parametrize("scale", [INPUT_SCALE, 0.001, 0.0004, 0.0009, 0.003, 0.7])
def test_quantise_rounds_twice_and_clamps(scale: float) -> None:
    raw = np.arange(-32768, 32768, 7, dtype=np.int16)
    multiplier, shift = truth.multiplier_and_shift(truth.G_PER_MG / scale)
    wanted = [max(-128, min(127, _double_rounded(int(r), multiplier, shift) - 1)) for r in raw]
    assert truth.quantise(raw, scale, -1).tolist() == wanted


def test_multiplier_and_shift_say_the_value() -> None:
    for value in (truth.G_PER_MG / INPUT_SCALE, 1.0, 0.5, 0.9999999999, 2.5, 1e-6):
        multiplier, shift = truth.multiplier_and_shift(value)
        assert 2**30 <= multiplier < 2**31
        assert multiplier / 2**31 * 2.0**shift == pytest.approx(value, rel=2**-30)


def test_quantise_keeps_the_shape_and_covers_the_range() -> None:
    windows = golden.load().windows[:8]
    inputs = truth.quantise(windows, INPUT_SCALE, -1)
    assert inputs.shape == windows.shape
    assert inputs.dtype == np.int8
    ends = truth.quantise(np.array([-4000, 0, 4000], dtype=np.int16), INPUT_SCALE, -1)
    assert ends.tolist() == [-128, -1, 127]
