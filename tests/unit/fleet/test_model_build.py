"""`tinyfleet model build` and `inspect` through the command line."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.unit.model.single_ops import chain
from tests.unit.model.tflite_writer import FLOAT32, O, T, write_tflite

from tinyfleet.fleet.adapters.signer import ImgtoolSigner
from tinyfleet.fleet.cli import commands
from tinyfleet.fleet.cli.grid import Column, grid
from tinyfleet.fleet.services.ports import SigningRequest
from tinyfleet.wire.artifact import ABI, decode_artifact
from tinyfleet.wire.enums import ArtifactKind, CoreVariant

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "livestock"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["model", *map(str, arguments)])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "my model.tflite"
    path.write_bytes(chain(np.random.default_rng(3)))
    return path


def test_a_bare_model_needs_no_more_than_an_output(source: Path, tmp_path: Path) -> None:
    done = run("build", source, "--device-type", "mps2-an386", "-o", tmp_path / "new" / "m.plan")
    assert done.exit_code == 0, done.output
    plan = decode_artifact((tmp_path / "new" / "m.plan").read_bytes())
    assert (plan.metadata.name, plan.metadata.version) == ("my-model", "0.0.0")
    assert plan.core is CoreVariant.DSP
    assert "give --version before you release it" in done.output
    assert done.output.endswith(f"written to {tmp_path / 'new' / 'm.plan'}\n")


def test_name_version_and_device_type_are_taken(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.plan"
    done = run(
        *("build", source, "--out", out, "--name", "gait", "--version", "1.2.3"),
        *("--device-type", "microbit", "--json"),
    )
    plan, said = decode_artifact(out.read_bytes()), json.loads(done.output)
    assert (plan.metadata.name, plan.metadata.version, plan.core) == ("gait", "1.2.3", CoreVariant.PORTABLE)
    assert said["out"] == str(out)
    assert (said["core"], said["arena_bytes"]) == ("PORTABLE", plan.arena_bytes)
    assert len(said["metadata"]["source"]) == 64


def test_a_typing_error_in_the_device_type_is_noted(source: Path, tmp_path: Path) -> None:
    done = run("build", source, "-o", tmp_path / "m.plan", "--device-type", "mps2-an368")
    assert done.exit_code == 0
    assert "note: device type 'mps2-an368' is none of " in done.output
    assert "microbit" in done.output
    assert "is none of" not in run("build", source, "-o", tmp_path / "m.plan").output


def test_a_version_that_no_image_can_hold_is_refused(source: Path, tmp_path: Path) -> None:
    done = run("build", source, "-o", tmp_path / "m.plan", "--version", "v2")
    assert done.exit_code == 1
    assert "version 'v2': expected major.minor.revision" in done.output


def test_a_card_builds_and_may_be_renamed(tmp_path: Path) -> None:
    out = tmp_path / "m.plan"
    done = run("build", EXAMPLE / "livestock_v1.json", "-o", out, "--version", "9.0.0")
    assert done.exit_code == 0, done.output
    plan = decode_artifact(out.read_bytes())
    assert (plan.metadata.name, plan.metadata.version) == ("livestock", "9.0.0")
    assert len(plan.vectors) == 8


def test_an_export_builds_and_says_what_was_left_out(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tflite-model/tflite_learn_1_5.tflite", source.read_bytes())
        archive.writestr("model-parameters/model_metadata.h", '#define EI_CLASSIFIER_PROJECT_NAME "cows"\n')
        archive.writestr(
            "model-parameters/model_variables.h",
            'const char* ei_classifier_inferencing_categories[] = { "a", "b" };',
        )
    done = run("build", path, "-o", tmp_path / "m.plan")
    assert done.exit_code == 0, done.output
    assert "cows 0.0.0, tflite-model/tflite_learn_1_5.tflite in an Edge Impulse export" in done.output
    assert "note: 2 labels for 3 outputs: left out" in done.output


def test_refusals_are_one_line(source: Path, tmp_path: Path) -> None:
    tensors = [T((1, 4), dtype=FLOAT32), T((1, 4), dtype=FLOAT32)]
    floats = tmp_path / "floats.tflite"
    floats.write_bytes(write_tflite(tensors, [O(25, (0,), (1,), (9, None))], [0], [1]))
    keras = tmp_path / "m.h5"
    keras.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    plan = tmp_path / "m.plan"
    assert run("build", source, "-o", plan).exit_code == 0
    for path, says in (
        (floats, "this model is float-only"),
        (keras, "this is a Keras model in HDF5"),
        (plan, "is a compiled plan: it is built already"),
    ):
        done = run("build", path, "-o", tmp_path / "out.plan")
        assert done.exit_code == 1
        assert done.output.startswith(f"tinyfleet: {path}")
        assert says in done.output
        assert done.output.count("\n") == 1
    assert not (tmp_path / "out.plan").exists()


def test_inspect_shows_ops_totals_and_the_arena(source: Path) -> None:
    done = run("inspect", source, "--device-type", "microbit")
    assert done.exit_code == 0, done.output
    said = json.loads(run("inspect", source, "--device-type", "microbit", "--json").output)
    weights, alive = said["ops"][0]["constant_bytes"], said["ops"][0]["live_bytes"]
    row = rf"^ *0 +CONV_2D( \*)? +1x8x6x2 +1x8x6x4 +3,456 +{weights} +192 +{alive} +conv\d+$"
    assert re.search(row, done.output, re.M)
    arena, bound = said["arena_bytes"], said["bound_bytes"]
    assert arena == bound
    words = (
        f"arena {arena} B; {said['peak_bytes']} B alive at once at most; lower bound {bound} B: no plan of"
    )
    assert words in done.output
    picture = done.output.split("arena over time")[1].splitlines()
    rows = [line for line in picture if re.match(r" +(\d+ [A-Z_0-9]+|input|output) ", line)]
    assert len(rows) == 8 + 2
    assert len({len(re.sub(r" +[\d,]+ B( ◂)?$", "", row)) for row in rows}) == 1, "columns line up"
    assert max(map(len, done.output.splitlines())) <= 110
    assert "\x1b" not in done.output


def test_a_plan_and_its_image_say_the_same(tmp_path: Path) -> None:
    plan = tmp_path / "m.plan"
    assert run("build", EXAMPLE / "livestock_v1.json", "-o", plan).exit_code == 0
    image = tmp_path / "m.img"
    payload = plan.read_bytes()
    request = SigningRequest(
        payload=payload,
        kind=ArtifactKind.MODEL,
        device_type="mps2-an386",
        core=CoreVariant.DSP,
        abi=ABI,
        version="1.0.0",
        security_counter=3,
    )
    image.write_bytes(ImgtoolSigner(tmp_path / "key.pem").sign(request))
    first, second = run("inspect", plan).output, run("inspect", image).output
    assert "1.0.0, a compiled plan" in first
    assert "1.0.0, a signed image 1.0.0 for mps2-an386, security counter 3" in second
    assert first.splitlines()[1:] == second.splitlines()[1:]


def test_json_has_every_piece_of_the_arena(source: Path) -> None:
    said = json.loads(run("inspect", source, "--json").output)
    assert {piece["role"] for piece in said["arena"]} >= {"input", "output", "activation"}
    assert max(piece["offset"] + piece["bytes"] for piece in said["arena"]) <= said["arena_bytes"]
    assert said["arena"][0]["first_op"] == -1
    assert sum(op["macs"] for op in said["ops"]) == said["macs"]


def test_the_picture_is_sound_svg_and_names_every_piece(source: Path, tmp_path: Path) -> None:
    svg = tmp_path / "pictures" / "arena.svg"
    done = run("inspect", source, "--svg", svg)
    assert done.exit_code == 0
    text = svg.read_text()
    root = ElementTree.fromstring(text)  # noqa: S314 our own file
    space = "{http://www.w3.org/2000/svg}"
    tips = [tip.text or "" for tip in root.iter(f"{space}title")]
    pieces = json.loads(run("inspect", source, "--json").output)["arena"]
    for piece in pieces:
        assert any(tip.startswith(f"{piece['name']}: {piece['bytes']:,} bytes at") for tip in tips)
    words = " ".join(each.text or "" for each in root.iter(f"{space}text"))
    for said in ("lower bound", "arena ", "no plan is smaller", "0 CONV_2D", "7 SOFTMAX"):
        assert said in words


def test_a_hostile_tensor_name_cannot_break_the_picture(tmp_path: Path) -> None:
    path, svg = tmp_path / "m.tflite", tmp_path / "m.svg"
    tensors = [T((1, 400), 0.1, 0, name='<script>alert("x")</script>&\x1b[31m'), T((1, 400), 0.1, 0)]
    path.write_bytes(write_tflite(tensors, [O(28, (0,), (1,))], [0], [1]))
    done = run("inspect", path, "--svg", svg)
    assert done.exit_code == 0, done.output
    ElementTree.fromstring(svg.read_text())  # noqa: S314 our own file
    assert "<script>" not in svg.read_text()
    assert "\x1b" not in done.output + svg.read_text()


def test_a_table_fits_the_screen() -> None:
    columns = [
        Column("#", right=True),
        Column("name", flexible=True),
        Column("wide", from_width=60),
        Column("n"),
    ]
    rows = [[1, "a" * 50, "w", "x"], [1000, "b", "w", "y"]]
    assert all(len(line) <= 40 for line in grid(columns, rows, room=40))
    assert grid(columns, rows, room=40)[1].split() == ["1", "a" * 29 + "…", "x"]
    assert "a" * 50 in grid(columns, rows)[1]
    assert grid(columns, rows)[2].split() == ["1,000", "b", "w", "y"]
