"""A model card: JSON beside a `.tflite` that says what the file itself does not (sensor, labels, golden
windows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.model.compiler import InputSpec, ModelSpec, compile_model
from tinyfleet.wire.artifact import OutputKind, decode_artifact
from tinyfleet.wire.enums import CoreVariant


class GoldenCard(BaseModel):
    """Arrays of an .npz: raw int16 windows [n][samples][channels], and what the model must answer, int8
    [n][…]. Of a model that keeps state, each is a sequence from reset: [n][steps][…].
    """

    model_config = ConfigDict(extra="forbid")

    file: str
    windows: str = "windows"
    labels: str | None = None
    outputs: str | None = None
    embed: int = Field(8, ge=0, le=64, description="how many windows travel inside the model")
    steps: int | None = Field(
        None, ge=1, le=1024, description="windows are sequences; how many of their steps travel"
    )


class ModelCard(BaseModel):
    """`raw_scale` is the real value, as the model was trained on, of one raw i16 step in `unit`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    tflite: str
    sensor: str = ""
    unit: str = ""
    raw_scale: float | None = None
    rate_mhz: int = 0
    samples: int | None = None
    channels: int | None = None
    hop: int | None = None
    output_kind: str = OutputKind.CLASSES.name
    labels: list[str] = []
    threshold: int | None = None
    output_unit: str | None = None
    golden: GoldenCard | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """Raw windows, and what must come out; `expected` None: the card does not say."""

    windows: npt.NDArray[np.int16]
    expected: npt.NDArray[np.int8] | None


def read_card(path: Path) -> ModelCard:
    """Raises BadInput naming the field that does not fit."""
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the card"
        raise BadInput(f"{path}: {where}: {first['msg'].lower()}") from error


def build(path: Path, core: CoreVariant = CoreVariant.PORTABLE, **said: Any) -> bytes:
    """The payload of the model a card describes, packed for `core`. Files in it are relative to the card.

    said: fields of the spec (name, version) that are to be others. Raises BadInput, CompileError; BadInput
    too when the compiled model answers a golden window otherwise than the card says.
    """
    tflite, spec = spec_of(path)
    payload = compile_model(tflite, replace(spec, core=core, **said))
    golden = golden_of(path, embedded=True)
    if golden is not None and golden.expected is not None:
        _check(path, payload, golden.expected)
    return payload


def spec_of(path: Path) -> tuple[bytes, ModelSpec]:
    """The `.tflite` that a card names, and what it says of it; golden windows are those to embed."""
    card = read_card(path)
    golden = golden_of(path, embedded=True)
    try:
        kind = OutputKind[card.output_kind]
    except KeyError as error:
        names = ", ".join(each.name for each in OutputKind)
        raise BadInput(f"{path}: output_kind: expected one of {names}, got {card.output_kind!r}") from error
    spec = ModelSpec(
        name=card.name,
        version=card.version,
        input=InputSpec(
            sensor=card.sensor,
            unit=card.unit,
            rate_mhz=card.rate_mhz,
            samples=card.samples,
            channels=card.channels,
            raw_scale=card.raw_scale,
            hop=card.hop,
        ),
        output_kind=kind,
        labels=tuple(card.labels),
        golden_raw=_raw(card, golden),
        threshold=card.threshold,
        output_unit=card.output_unit,
    )
    return (path.parent / card.tflite).read_bytes(), spec


def golden_of(path: Path, *, embedded: bool = False) -> Golden | None:
    """The card's golden windows, or those of them that travel inside the model; None: it names none."""
    card = read_card(path)
    return None if card.golden is None else _golden(path, card.golden, embedded)


def _golden(path: Path, card: GoldenCard, embedded: bool) -> Golden:
    """Embedded ones are spread evenly over the set, so that every class is likely among them."""
    file = path.parent / card.file
    try:
        arrays: Any = np.load(file)
        windows = arrays[card.windows]
        outputs = None if card.outputs is None else arrays[card.outputs]
    except (KeyError, ValueError) as error:
        raise BadInput(f"{path}: golden: {file}: {error}") from error
    if windows.dtype != np.int16 or windows.ndim < 2:
        raise BadInput(f"{path}: golden.windows: expected int16 [n][…], got {windows.dtype} {windows.shape}")
    if not embedded:
        return Golden(windows, outputs)
    chosen = np.linspace(0, len(windows) - 1, min(card.embed, len(windows)), dtype=int)
    windows, outputs = windows[chosen], None if outputs is None else outputs[chosen]
    if card.steps is None:
        return Golden(windows, outputs)
    return Golden(windows[:, : card.steps], None if outputs is None else outputs[:, : card.steps])


def _raw(card: ModelCard, golden: Golden | None) -> list[Any]:
    if golden is None or card.golden is None:
        return []
    return list(golden.windows) if card.golden.steps is None else [list(steps) for steps in golden.windows]


def _check(path: Path, payload: bytes, expected: npt.NDArray[np.int8]) -> None:
    for i, (vector, answer) in enumerate(zip(decode_artifact(payload).vectors, expected, strict=True)):
        output = b"".join(step.output for step in vector.steps)
        if output != answer.tobytes():
            got = np.frombuffer(output, np.int8).tolist()
            raise BadInput(
                f"{path}: embedded golden window {i}: expected {answer.tolist()}, the compiled model "
                f"answers {got}: the card's outputs are another model's, or the runtime is wrong"
            )
