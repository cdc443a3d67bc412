"""Front ends inside a model: emulated cores compute what the host's twin computes, along a stream."""

from pathlib import Path

import pytest
from tests.unit.model.integer_ops import INTEGER
from tests.unit.model.signal_ops import SIGNAL

from tinyfleet.fleet.cli.model_card import build as build_card
from tinyfleet.model.measure import MeasureCore, build, measure
from tinyfleet.model.measure.cores import DSP, M0PLUS, MVE
from tinyfleet.model.twin import ModelStatus

ROOT = Path(__file__).resolve().parents[3]
CARD = ROOT / "examples" / "wildlife" / "wildlife.json"
SEEDS = ROOT / "firmware" / "tests" / "fuzz" / "corpus" / "plan"
NAMES = ("all-signal", *SIGNAL, *INTEGER)


@pytest.fixture(scope="module", params=[DSP, M0PLUS, MVE], ids=lambda core: core.preset)
def core(request: pytest.FixtureRequest) -> MeasureCore:
    build(request.param.preset)
    return request.param


def test_the_wildlife_model(core: MeasureCore) -> None:
    got = measure(core, build(core.preset), build_card(CARD, core.variant))
    assert (got.status, got.equal, got.vectors) == (ModelStatus.OK, 3, 3)


def test_every_signal_op(core: MeasureCore) -> None:
    """The plans that the search over the loader starts from: one random model for each op."""
    app = build(core.preset)
    for name in NAMES:
        got = measure(core, app, (SEEDS / f"{name}.plan").read_bytes())
        assert got.status == ModelStatus.OK, name
        assert got.equal == got.vectors > 0, name
