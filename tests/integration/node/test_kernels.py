"""The board computes what the host's twin computes, byte for byte, with the kernels of its own core."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.unit.model.single_ops import OPS
from tests.unit.model.test_exactness import EDGE_OPS
from tests.unit.model.tflite_writer import INT32, O, T, write_tflite

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.measure import Measured, build, measure
from tinyfleet.model.measure.cores import DSP, PORTABLE
from tinyfleet.model.twin import ModelStatus, Twin
from tinyfleet.wire.enums import CoreVariant

ROOT = Path(__file__).resolve().parents[3]
MODELS = Path(os.environ.get("TINYFLEET_MODELS") or ROOT.parent / "shared" / "models")
SOURCES = sorted([*ROOT.glob("examples/*/*.tflite"), *MODELS.glob("*.tflite")])
PACKED = ("conv", "depthwise", "fully_connected")


@pytest.fixture(scope="module")
def dsp() -> Path:
    return build(DSP.preset)


def on_board(app: Path, payload: bytes) -> Measured:
    return measure(DSP, app, payload)


def plan_of(tflite: bytes, core: CoreVariant) -> bytes:
    """With golden vectors: random windows and the extremes, answered by the twin."""
    shape = Twin(compile_model(tflite, ModelSpec("case", "1", core=core))).input_shape
    rng = np.random.default_rng(5)
    windows = [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(4)]
    windows += [np.full(shape, edge, np.int8) for edge in (-128, 127)]
    return compile_model(tflite, ModelSpec("case", "1", core=core, golden_inputs=windows))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("core", [CoreVariant.DSP, CoreVariant.PORTABLE], ids=lambda core: core.name)
def test_whole_models(dsp: Path, source: Path, core: CoreVariant) -> None:
    got = on_board(dsp, plan_of(source.read_bytes(), core))
    assert (got.status, got.equal, got.vectors) == (ModelStatus.OK, 6, 6)
    assert any(op.variant for op in got.ops) == (core is CoreVariant.DSP)


@pytest.mark.parametrize("name", PACKED)
def test_packed_ops(dsp: Path, name: str) -> None:
    packed = 0
    for seed in range(400):
        if packed == 12:
            break
        tflite = OPS[name](np.random.default_rng([seed, 11]))
        payload = plan_of(tflite, CoreVariant.DSP)
        if not any(op.variant for op in Twin(payload).plan.ops):
            continue
        packed += 1
        got = on_board(dsp, payload)
        assert (got.status, got.equal, got.vectors) == (ModelStatus.OK, 6, 6), f"{name}, seed {seed}"
    assert packed == 12


@pytest.mark.parametrize("name", EDGE_OPS)
def test_rounding(dsp: Path, name: str) -> None:
    """Sums of few steps an output value: each rounding shows in the answer."""
    code, shape, filter_shape, axis, options = EDGE_OPS[name]
    bias = np.arange(-200, 200)
    weights = np.zeros(filter_shape(bias.size), np.int8)
    for scale in (0.11, 0.23, 0.31, 0.47):
        tensors = [
            T(shape, 1.0, 0),
            T((*shape[:-1], bias.size), 1 / scale, 0),
            T(weights.shape, 1.0, 0, data=weights, axis=axis),
            T(bias.shape, 1.0, 0, INT32, bias),
        ]
        payload = plan_of(
            write_tflite(tensors, [O(code, (0, 2, 3), (1,), options)], [0], [1]), CoreVariant.DSP
        )
        got = on_board(dsp, payload)
        assert (got.status, got.equal, got.vectors) == (ModelStatus.OK, 6, 6), scale
        assert [op.variant for op in got.ops] == [1]


def test_a_portable_board_refuses_a_packed_plan() -> None:
    payload = plan_of(SOURCES[0].read_bytes(), CoreVariant.DSP)
    assert measure(PORTABLE, build(PORTABLE.preset), payload).status == ModelStatus.CORE


def test_two_models_side_by_side(dsp: Path) -> None:
    """An op of the one, an op of the other, each in its own arena: as a node runs a shadow of its model."""
    first, second = (
        plan_of(SOURCES[i].read_bytes(), core)
        for i, core in ((0, CoreVariant.DSP), (1, CoreVariant.PORTABLE))
    )
    got = measure(DSP, dsp, first, beside=second)
    assert (got.equal, got.vectors, got.together) == (6, 6, 12)
    wrong = bytearray(second)
    wrong[-1] ^= 0x40  # an expected output of the last vector
    assert measure(DSP, dsp, first, beside=bytes(wrong)).together == 11
