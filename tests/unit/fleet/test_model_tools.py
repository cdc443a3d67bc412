"""`tinyfleet model check`, `diff` and `profile` through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.unit.model.single_ops import chain
from tests.unit.model.test_compare import dense
from tests.unit.model.truth import wheel

from tinyfleet.fleet.cli import commands
from tinyfleet.model.measure import firmware, run
from tinyfleet.model.truth import tflm

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "livestock"


def model(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["model", *map(str, arguments)])


@pytest.fixture
def a(tmp_path: Path) -> Path:
    path = tmp_path / "a.tflite"
    path.write_bytes(dense())
    return path


@pytest.fixture
def b(tmp_path: Path) -> Path:
    path = tmp_path / "b.tflite"
    path.write_bytes(dense(bias=4000, extra=True))
    return path


def test_check_is_equal(a: Path) -> None:
    wheel()
    done = model("check", a, "--random", 5)
    assert done.exit_code == 0, done.output
    assert "fed with  5 random windows" in done.output
    assert done.output.endswith("equal: every byte of every compared tensor\n")


def test_check_feeds_golden_and_given_windows(tmp_path: Path) -> None:
    wheel()
    windows = tmp_path / "w.npy"
    np.save(windows, np.zeros((3, 128, 3), np.float32))
    done = model("check", EXAMPLE / "livestock_v1.json", "--random", 0, "--golden", "--inputs", windows)
    assert done.exit_code == 0, done.output
    assert "fed with  3 from w.npy and 512 golden windows" in done.output


def test_check_names_the_first_tensor_that_differs(a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TFLM's answer for one tensor is spoiled on its way to us."""
    wheel()
    honest = tflm.Tflm.tensor

    def spoiled(self: tflm.Tflm, index: int) -> np.ndarray:
        values = honest(self, index).copy()
        if index == 1:
            values[0, 2] += 1 if values[0, 2] < 100 else -1
        return values

    monkeypatch.setattr(tflm.Tflm, "tensor", spoiled)
    done = model("check", a, "--random", 2)
    assert done.exit_code == 4
    assert "different in 2 of 2 windows; first:" in done.output
    assert "0 FULLY_CONNECTED" in done.output
    assert "tensor    1 'sums1', 1x3" in done.output
    assert "1 of 3 differ, by -1 at most (window 0)" in done.output
    assert "first at  [0, 2]: ours" in done.output
    said = json.loads(model("check", a, "--random", 2, "--json").output)
    assert (said["equal"], said["first"]["name"], said["first"]["place"]) == (False, "sums1", [0, 2])


def test_check_without_the_wheel_is_another_status(a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflm, "wheel_version", lambda: None)
    done = model("check", a)
    assert done.exit_code == 3
    assert "was not checked: tflite-micro is not installed here" in done.output
    assert "pip install tflite-micro==" in done.output


def test_check_needs_the_model_itself(a: Path, tmp_path: Path) -> None:
    plan = tmp_path / "a.plan"
    assert model("build", a, "-o", plan).exit_code == 0
    done = model("check", plan)
    assert done.exit_code == 1
    assert "is a compiled plan; TensorFlow Lite Micro needs the model it was made from" in done.output


@pytest.mark.parametrize(
    ("content", "says"),
    [(np.zeros((2, 7), np.int8), "expected windows of 8"), (np.array([{}]), "no .npy or .npz of numbers")],
)
def test_inputs_that_do_not_fit_are_refused(a: Path, tmp_path: Path, content: np.ndarray, says: str) -> None:
    windows = tmp_path / "w.npy"
    np.save(windows, content, allow_pickle=True)
    for arguments in (("check", a), ("diff", a, a)):
        done = model(*arguments, "--inputs", windows)
        assert done.exit_code == 1
        assert done.output.startswith(f"tinyfleet: {windows}")
        assert says in done.output


def test_diff_of_a_model_with_itself(a: Path) -> None:
    done = model("diff", a, a)
    assert done.exit_code == 0, done.output
    assert "the plans are the same, byte for byte" in done.output
    assert "metadata, input and output are the same" in done.output
    assert "64 of 64 (100.0%) have the same best class" in done.output
    assert "none, a node that runs A runs this already" in done.output


def test_diff_shows_ops_bytes_outputs_and_cost(a: Path, b: Path) -> None:
    done = model("diff", a, b)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert ["~", "0", "0", "FULLY_CONNECTED", "1x3"] in [line[:5] for line in lines]
    assert ["+", "1", "TABLE", "1x3"] in [line[:4] for line in lines]
    assert ["=", "1", "2", "SOFTMAX", "1x3", "same"] in lines
    assert "64 random windows (give --inputs for real ones)" in done.output
    assert "flips" in done.output
    assert "sha-256" in done.output
    assert "image (as it will be, signed)" in done.output


def test_diff_takes_plans_and_given_inputs(a: Path, b: Path, tmp_path: Path) -> None:
    plan = tmp_path / "b.plan"
    windows = tmp_path / "w.npy"
    np.save(windows, np.linspace(-3, 3, 80, dtype=np.float32).reshape(10, 8))
    assert model("build", b, "-o", plan, "--device-type", "microbit").exit_code == 0
    said = json.loads(model("diff", a, plan, "--inputs", windows, "--json").output)
    assert said["outputs"]["compared"]
    assert (said["outputs"]["fed"], said["outputs"]["steps"]) == ("w.npy", 10)
    assert "core" not in said["metadata"], "the .tflite is compiled for the plan's core"
    assert [op["a"] for op in said["ops"]] == [0, None, 1]
    assert said["update"]["wire_bytes"] > said["update"]["image_bytes"] > said["b"]["payload_bytes"]


def test_diff_of_models_that_share_no_input(a: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(chain(np.random.default_rng(3)))
    done = model("diff", a, other)
    assert done.exit_code == 0, done.output
    assert "not compared: inputs are 1x8 and 1x8x6x2" in done.output


def test_diff_feeds_golden_windows_of_a_card() -> None:
    done = model("diff", EXAMPLE / "livestock_v1.json", EXAMPLE / "livestock_v2.json")
    assert done.exit_code == 0, done.output
    assert "512 golden windows of livestock_v2.json" in done.output
    assert "resting -> grazing" in done.output


@pytest.mark.parametrize(
    ("room", "absent", "says"),
    [
        (run, "qemu-system-arm", "qemu-system-arm is not on PATH: run `make setup`"),
        (firmware, "cmake", "cmake is not on PATH"),
        (firmware, "arm-none-eabi-gcc", "arm-none-eabi-gcc is not on PATH"),
    ],
)
def test_profile_says_what_is_missing(
    a: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, room: object, absent: str, says: str
) -> None:
    app = tmp_path / "apps" / "measure" / "measure.elf"
    if room is run:
        app.parent.mkdir(parents=True)
        app.touch()
    monkeypatch.setattr(firmware, "folder", lambda _: tmp_path)
    monkeypatch.setattr(room.shutil, "which", lambda tool: None if tool == absent else f"/bin/{tool}")  # type: ignore[attr-defined]
    done = model("profile", a)
    assert done.exit_code == 1
    assert says in done.output
    assert done.output.count("\n") == 1


def test_profile_without_a_checkout_says_so(a: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(firmware, "FIRMWARE", tmp_path / "none")
    done = model("profile", a)
    assert done.exit_code == 1
    assert "measuring needs a checkout of the project" in done.output
