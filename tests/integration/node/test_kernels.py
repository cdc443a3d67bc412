"""The board computes what the host's twin computes, byte for byte, with the kernels of its own core."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.unit.model.remembering import remembering, windows
from tests.unit.model.single_ops import OPS
from tests.unit.model.test_exactness import EDGE_OPS, OWN_KERNELS
from tests.unit.model.tflite_writer import INT32, O, T, write_tflite

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.measure import Measured, build, measure
from tinyfleet.model.measure.cores import DSP, M0PLUS, MVE, PORTABLE, MeasureCore
from tinyfleet.model.twin import ModelStatus, Twin
from tinyfleet.wire.enums import CoreVariant

ROOT = Path(__file__).resolve().parents[3]
MODELS = Path(os.environ.get("TINYFLEET_MODELS") or ROOT.parent / "shared" / "models")
SOURCES = sorted([*ROOT.glob("examples/*/*.tflite"), *MODELS.glob("*.tflite")])
CASES = 12
PLAIN = ("add", "conv", "depthwise", "fully_connected", "mean", "softmax")
OWN = [(core, name) for core in (DSP, MVE) for name in sorted(OWN_KERNELS[core.variant])]


@cache
def app(core: MeasureCore) -> Path:
    return build(core.preset)


def on_board(core: MeasureCore, payload: bytes) -> Measured:
    got = measure(core, app(core), payload)
    assert (got.status, got.equal, got.vectors) == (ModelStatus.OK, 6, 6)
    return got


def plan_of(tflite: bytes, core: CoreVariant) -> bytes:
    """With golden vectors: random windows and the extremes, answered by the twin."""
    shape = Twin(compile_model(tflite, ModelSpec("case", "1", core=core))).input_shape
    rng = np.random.default_rng(5)
    windows = [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(4)]
    windows += [np.full(shape, edge, np.int8) for edge in (-128, 127)]
    return compile_model(tflite, ModelSpec("case", "1", core=core, golden_inputs=windows))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("core", [DSP, MVE], ids=lambda core: core.variant.name)
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "portable"])
def test_whole_models(core: MeasureCore, packed: bool, source: Path) -> None:
    got = on_board(core, plan_of(source.read_bytes(), core.variant if packed else CoreVariant.PORTABLE))
    assert any(op.variant for op in got.ops) == packed


@pytest.mark.parametrize(("core", "name"), OWN, ids=lambda value: getattr(value, "preset", value))
def test_own_kernels(core: MeasureCore, name: str) -> None:
    tried = 0
    for seed in range(400):
        if tried == CASES:
            break
        payload = plan_of(OPS[name](np.random.default_rng([seed, 11])), core.variant)
        if any(op.variant for op in Twin(payload).plan.ops):
            on_board(core, payload)
            tried += 1
    assert tried == CASES


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_whole_models_on_armv6m(source: Path) -> None:
    """Loops in assembly, and arithmetic without a long multiply."""
    on_board(M0PLUS, plan_of(source.read_bytes(), CoreVariant.PORTABLE))


@pytest.mark.parametrize("core", [DSP, M0PLUS, MVE], ids=lambda core: core.preset)
def test_a_model_that_remembers(core: MeasureCore) -> None:
    """Every kind of state, over several steps from reset."""
    rng = np.random.default_rng(9)
    golden = [windows(rng, 5) for _ in range(6)]
    spec = ModelSpec("remembering", "1", core=core.variant, golden_inputs=golden)
    on_board(core, compile_model(remembering(rng), spec))


@pytest.mark.parametrize("name", PLAIN)
def test_ops_on_armv6m(name: str) -> None:
    for seed in range(CASES):
        on_board(M0PLUS, plan_of(OPS[name](np.random.default_rng([seed, 12])), CoreVariant.PORTABLE))


@pytest.mark.parametrize(
    ("core", "scales"),
    [
        (DSP, (0.11, 0.23, 0.31, 0.47)),
        (MVE, (0.11, 0.23, 0.31, 0.47)),
        (M0PLUS, (0.11, 0.23, 0.31, 0.47, 0.75, 1.6, 37.0)),
    ],
    ids=lambda value: getattr(value, "preset", ""),
)
@pytest.mark.parametrize("name", EDGE_OPS)
def test_rounding(core: MeasureCore, scales: tuple[float, ...], name: str) -> None:
    """Sums of few steps an output value: each rounding shows in the answer."""
    code, shape, filter_shape, axis, options = EDGE_OPS[name]
    bias = np.arange(-200, 200)
    weights = np.zeros(filter_shape(bias.size), np.int8)
    for scale in scales:
        tensors = [
            T(shape, 1.0, 0),
            T((*shape[:-1], bias.size), 1 / scale, 0),
            T(weights.shape, 1.0, 0, data=weights, axis=axis),
            T(bias.shape, 1.0, 0, INT32, bias),
        ]
        tflite = write_tflite(tensors, [O(code, (0, 2, 3), (1,), options)], [0], [1])
        got = on_board(core, plan_of(tflite, core.variant))
        assert [op.variant for op in got.ops] == [core.variant], scale


@pytest.mark.parametrize("core", [DSP, MVE], ids=lambda core: core.variant.name)
def test_two_models_side_by_side(core: MeasureCore) -> None:
    """An op of the one, an op of the other, each in its own arena: as a node runs a shadow of its model."""
    first = plan_of(SOURCES[0].read_bytes(), core.variant)
    second = plan_of(SOURCES[1].read_bytes(), CoreVariant.PORTABLE)
    got = measure(core, app(core), first, beside=second)
    assert (got.equal, got.vectors, got.together) == (6, 6, 12)
    wrong = bytearray(second)
    wrong[-1] ^= 0x40  # an expected output of the last vector
    assert measure(core, app(core), first, beside=bytes(wrong)).together == 11


@pytest.mark.parametrize("core", [DSP, MVE], ids=lambda core: core.variant.name)
def test_a_board_refuses_a_plan_for_another_core(core: MeasureCore) -> None:
    payload = plan_of(SOURCES[0].read_bytes(), core.variant)
    for other in {DSP, MVE, PORTABLE} - {core}:
        assert measure(other, app(other), payload).status == ModelStatus.CORE
