"""`tinyfleet model profile`: what an op costs on the emulated core, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.unit.model.single_ops import chain

from tinyfleet.fleet.cli import commands

pytestmark = pytest.mark.qemu

CARD = Path(__file__).resolve().parents[3] / "examples" / "livestock" / "livestock_v1.json"


def model(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["model", *map(str, arguments)])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "chain.tflite"
    path.write_bytes(chain(np.random.default_rng(3)))
    return path


def test_a_profile_says_what_it_is_and_adds_up(source: Path) -> None:
    done = model("profile", source, "--device-type", "mps2-an386")
    assert done.exit_code == 0, done.output
    assert "instruction-timed, not cycles" in done.output
    assert "emulated (QEMU mps2-an386)" in done.output
    assert "fed with random input" in done.output
    assert "its answers equal the host twin's" in done.output
    said = json.loads(model("profile", source, "--json").output)
    assert (said["timing"], said["emulated"], said["equal_to_twin"]) == ("instructions", True, True)
    ops = said["ops"]
    assert [op["name"] for op in ops[:2]] == ["CONV_2D", "DEPTHWISE_CONV_2D"]
    assert sum(op["share"] for op in ops) == pytest.approx(1)
    assert ops[0]["per_mac"] == pytest.approx(ops[0]["instructions"] / ops[0]["macs"])
    # Each op is timed in whole ticks; what calls them is a few instructions.
    whole = sum(op["instructions"] for op in ops)
    assert abs(said["run_instructions"] - whole) < 40 * (len(ops) + 1) + 0.05 * whole


def test_it_repeats_to_a_tick_and_tells_cores_apart(source: Path) -> None:
    first, again, plain = (
        json.loads(model("profile", source, "--device-type", which, "--json").output)["run_instructions"]
        for which in ("mps2-an386", "mps2-an386", "microbit")
    )
    assert abs(first - again) <= 80
    assert plain > 1.5 * first


def test_a_plan_runs_on_the_core_it_was_packed_for(tmp_path: Path) -> None:
    plan = tmp_path / "v1.plan"
    assert model("build", CARD, "-o", plan).exit_code == 0
    done = model("profile", plan)
    assert done.exit_code == 0, done.output
    assert "livestock 1.0.0 on mps2-an386" in done.output
    assert "fed with the first golden vector" in done.output
    done = model("profile", plan, "--device-type", "microbit")
    assert done.exit_code == 1
    assert "the plan is packed for core DSP, which M0+ code on an M4 cannot run" in done.output
