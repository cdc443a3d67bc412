"""What an Edge Impulse export says about its model: `model-parameters/model_metadata.h`, `model_variables.h`.

The exports are C++ for Edge Impulse's SDK; facts are read from their macros, nothing is compiled. Layouts
since 2021 are known: the model as `tflite-model/*.tflite` (INCBIN, since February 2025), as an array in
`tflite-model/*.h` or `*.cpp` (before), or compiled by EON into C++ without a model file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tinyfleet.model.source.archive import Archive

METADATA: Final = "model-parameters/model_metadata.h"
VARIABLES: Final = "model-parameters/model_variables.h"
BLOCKS: Final = "model-parameters/dsp_blocks.h"
"""Until 2021 labels stood in METADATA and the processing blocks in a file of their own."""
_HEADER_MAX_BYTES: Final = 2**22
_LABELS_MAX: Final = 64
_LABEL_MAX_BYTES: Final = 32

_SENSORS: Final = {
    "MICROPHONE": "microphone",
    "ACCELEROMETER": "accelerometer",
    "CAMERA": "camera",
    "9DOF": "9dof",
    "ENVIRONMENTAL": "environmental",
    "FUSION": "fusion",
}


@dataclass(frozen=True, slots=True)
class Impulse:
    """What the export says. None or empty: it does not.

    features_by: the processing block that makes the model's input (mfcc, spectral_analysis…); empty when raw
    samples are the input.
    """

    name: str
    deploy_version: int | None
    labels: tuple[str, ...]
    sensor: str
    frequency_hz: float | None
    samples: int | None
    channels: int | None
    input_values: int | None
    threshold: float | None
    features_by: str
    object_detection: bool
    is_compiled: bool


def is_edge_impulse(archive: Archive) -> bool:
    return any(name.endswith(METADATA) or "edge-impulse-sdk/" in name for name in archive.names)


def read_impulse(archive: Archive) -> Impulse:
    """SourceError when a header is too large or damaged; what a header lacks is left out."""
    metadata = _text(archive, METADATA)
    variables = _text(archive, VARIABLES) + _text(archive, BLOCKS) + metadata
    macros = dict(
        re.findall(r"^[ \t]*#define[ \t]+EI_CLASSIFIER_(\w+)[ \t]+(\S[^\r\n]*?)[ \t]*$", metadata, re.M)
    )
    blocks = [name for name in re.findall(r"&extract_(\w+?)_features\b", variables) if name != "raw"]
    return Impulse(
        name=_string(macros.get("PROJECT_NAME", "")),
        deploy_version=_whole(macros.get("PROJECT_DEPLOY_VERSION")),
        labels=_labels(variables),
        sensor=_SENSORS.get(macros.get("SENSOR", "").removeprefix("EI_CLASSIFIER_SENSOR_"), ""),
        frequency_hz=_real(macros.get("FREQUENCY")),
        samples=_whole(macros.get("RAW_SAMPLE_COUNT")),
        channels=_whole(macros.get("RAW_SAMPLES_PER_FRAME")),
        input_values=_whole(macros.get("NN_INPUT_FRAME_SIZE")),
        threshold=_real(macros.get("THRESHOLD")),
        features_by=", ".join(dict.fromkeys(blocks)),
        object_detection=macros.get("OBJECT_DETECTION") == "1",
        is_compiled=macros.get("COMPILED") == "1"
        or any(re.search(r"tflite-model/\w+_compiled\.(cpp|c|h)$", name) for name in archive.names),
    )


def _text(archive: Archive, ending: str) -> str:
    """The header with that path's end that lies highest; empty when there is none."""
    found = sorted(
        archive.matching(lambda name: name.endswith(ending)), key=lambda name: (name.count("/"), name)
    )
    return archive.read(found[0], _HEADER_MAX_BYTES).decode("utf-8", "replace") if found else ""


def _labels(variables: str) -> tuple[str, ...]:
    """Of the first impulse; its array's name ends in project and impulse since 2024."""
    match = re.search(r"\bei_classifier_inferencing_categories\w*\[\s*\d*\s*\]\s*=\s*\{([^}]*)\}", variables)
    names = re.findall(r'"((?:\\.|[^"\\])*)"', match.group(1)) if match else []
    labels = tuple(re.sub(r"\\(.)", r"\1", name) for name in names)
    fits = 0 < len(labels) <= _LABELS_MAX and all(
        0 < len(name.encode()) <= _LABEL_MAX_BYTES for name in labels
    )
    return labels if fits else ()


def _string(value: str) -> str:
    match = re.match(r'"((?:\\.|[^"\\])*)"', value)
    return re.sub(r"\\(.)", r"\1", match.group(1)) if match else ""


def _whole(value: str | None) -> int | None:
    return int(value) if value is not None and re.fullmatch(r"\d{1,9}", value) else None


def _real(value: str | None) -> float | None:
    return (
        float(value)
        if value is not None and re.fullmatch(r"\d{1,9}(\.\d{1,12})?f?", value.rstrip("f"))
        else None
    )
