"""Model cards: the example's builds and answers its golden windows; what does not fit is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyfleet.fleet.cli.model_card import build, read_card
from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.wire.artifact import decode_artifact

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "livestock"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """The example's card, in a folder where it can be spoiled."""
    for name in ("livestock_v1.json", "livestock_v1.tflite", "golden.npz"):
        shutil.copy(EXAMPLE / name, tmp_path)
    return tmp_path / "livestock_v1.json"


def change(card: Path, **values: Any) -> None:
    card.write_text(json.dumps(json.loads(card.read_text()) | values))


def test_the_example_builds_and_embeds_golden_windows_of_every_class(card: Path) -> None:
    payload = build(card)
    plan = decode_artifact(payload)
    about = json.loads(card.read_text())
    assert (plan.metadata.name, plan.metadata.version) == (about["name"], about["version"])
    assert list(plan.metadata.labels) == about["labels"]
    assert len(plan.vectors) == about["golden"]["embed"]
    answers = {int(np.argmax(np.frombuffer(vector.output, np.int8))) for vector in plan.vectors}
    assert len(answers) > 1, "windows are taken from all over the set"


def test_a_model_that_answers_otherwise_is_refused(card: Path) -> None:
    with np.load(card.parent / "golden.npz") as arrays:
        content = dict(arrays)
    outputs = json.loads(card.read_text())["golden"]["outputs"]
    content[outputs] = content[outputs] ^ 1
    np.savez(card.parent / "golden.npz", **content)
    with pytest.raises(BadInput, match="embedded golden window 0: expected"):
        build(card)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sensr": "x"}, "sensr"),
        ({"rate_mhz": "fast"}, "rate_mhz"),
        ({"output_kind": "SMELL"}, "output_kind: expected one of"),
        ({"golden": {"file": "golden.npz", "windows": "nothing"}}, "golden"),
        ({"golden": {"file": "golden.npz", "embed": 1000}}, "golden.embed"),
    ],
)
def test_what_does_not_fit_is_named(card: Path, values: dict[str, Any], words: str) -> None:
    change(card, **values)
    with pytest.raises(BadInput, match=words):
        build(card)


def test_a_card_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text("{")
    with pytest.raises(BadInput, match=r"card\.json"):
        read_card(path)
