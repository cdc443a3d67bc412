"""The example's models, compiled as its cards say, with as many golden vectors as a test wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tinyfleet.model.compiler import InputSpec, ModelSpec, compile_model

LIVESTOCK = Path(__file__).parents[1] / "examples/livestock"
_INPUT = ("sensor", "unit", "rate_mhz", "samples", "channels", "raw_scale")


def livestock(which: str, *, vectors: int, version: str | None = None, **changes: Any) -> bytes:
    """The payload of model "v1" or "v2"; a vector is about 400 bytes. `changes` are of its InputSpec."""
    card = json.loads((LIVESTOCK / f"livestock_{which}.json").read_text())
    with np.load(LIVESTOCK / "golden.npz") as stored:
        windows = stored["windows"][:vectors]
    spec = ModelSpec(
        name=card["name"],
        version=version or card["version"],
        input=InputSpec(**{key: card[key] for key in _INPUT} | changes),
        labels=tuple(card["labels"]),
        golden_raw=list(windows),
    )
    return compile_model((LIVESTOCK / card["tflite"]).read_bytes(), spec)
