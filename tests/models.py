"""The example's models, compiled as its cards say, with as many golden vectors as a test wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tinyfleet.model.compiler import InputSpec, ModelSpec, compile_model
from tinyfleet.wire.artifact import (
    Artifact,
    Dtype,
    Endpoint,
    Metadata,
    OutputKind,
    Place,
    Tensor,
    encode_artifact,
)
from tinyfleet.wire.artifact_vectors import Vector
from tinyfleet.wire.enums import CoreVariant

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


def shaped(
    version: str,
    constants: bytes,
    *,
    name: str = "demo",
    labels: tuple[str, ...] = ("a", "b", "c", "d"),
    arena_bytes: int = 64,
    vectors: tuple[Vector, ...] = (),
) -> bytes:
    """A payload that is a model by its structure, without ops: nothing here runs it."""
    tensor = Tensor(offset=0, place=Place.ARENA, dtype=Dtype.INT8, shape=(1, 4))
    metadata = Metadata(
        name=name,
        version=version,
        sensor="accelerometer",
        unit="mg",
        rate_mhz=25_000,
        samples=1,
        channels=4,
        output_kind=OutputKind.CLASSES,
        labels=labels,
        source=b"\1" * 32,
        input_scale=1.0,
        output_scale=1.0,
        compiler="test",
    )
    return encode_artifact(
        Artifact(
            core=CoreVariant.PORTABLE,
            arena_bytes=arena_bytes,
            metadata=metadata,
            tensors=(tensor, tensor),
            ops=(),
            input=Endpoint(tensor=0, zero_point=0, multiplier=0, shift=0),
            output=Endpoint(tensor=1, zero_point=0, multiplier=0, shift=0),
            constants=constants,
            vectors=vectors,
        )
    )
