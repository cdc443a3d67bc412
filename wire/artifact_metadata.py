"""Metadata of a model artifact: the CBOR map of ARTIFACT.md section 6."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tinyfleet.wire.cbor import Map, Value, decode_cbor, encode_cbor
from tinyfleet.wire.errors import CborError, WireError
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS

METADATA_MAX_BYTES: Final = 4096
LABELS_MAX: Final = 64
_U32: Final = 2**32 - 1
_U16: Final = 2**16 - 1


class ArtifactError(WireError):
    """A model payload that a node would refuse. `where` names the section and the record."""

    hint = "build the model again with this version's compiler"


class OutputKind(IntEnum):
    CLASSES = 0
    SCORE = 1
    VALUE = 2
    DETECTIONS = 3
    RAW = 4


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the training set gave: windows, windows by class, and top scores by tenths. For drift."""

    windows: int
    classes: tuple[int, ...]
    confidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """rate_mhz: sample rate in millihertz. samples x channels: elements of the input."""

    name: str
    version: str
    sensor: str
    unit: str
    rate_mhz: int
    samples: int
    channels: int
    output_kind: OutputKind
    labels: tuple[str, ...]
    source: bytes
    input_scale: float
    output_scale: float
    compiler: str
    hop: int | None = None
    threshold: int | None = None
    output_unit: str | None = None
    baseline: Baseline | None = None


def encode_metadata(value: Metadata) -> bytes:
    """ArtifactError when a field is out of its bounds."""
    payload: Map = {
        0: value.name,
        1: value.version,
        2: value.sensor,
        3: value.unit,
        4: value.rate_mhz,
        5: value.samples,
        6: value.channels,
        7: int(value.output_kind),
        8: list(value.labels),
        9: value.source,
        10: _bits(value.input_scale),
        11: _bits(value.output_scale),
        12: value.compiler,
    }
    optional: dict[int, Value | None] = {13: value.hop, 14: value.threshold, 15: value.output_unit}
    if value.baseline is not None:
        counts = value.baseline
        optional[16] = {0: counts.windows, 1: list(counts.classes), 2: list(counts.confidence)}
    payload.update({key: item for key, item in optional.items() if item is not None})
    encoded = encode_cbor(payload, max_bytes=METADATA_MAX_BYTES)
    decode_metadata(encoded)
    return encoded


def decode_metadata(payload: bytes) -> Metadata:
    """ArtifactError names the key that is missing, of the wrong type or out of bounds."""
    try:
        value = decode_cbor(payload, max_bytes=METADATA_MAX_BYTES)
    except CborError as error:
        raise ArtifactError(
            f"metadata, {error.where}", expected=error.expected, actual=error.actual
        ) from error
    kind = _uint(value, 7, "output_kind", max(OutputKind))
    source = value.get(9)
    if not isinstance(source, bytes) or len(source) != 32:
        raise ArtifactError("metadata, source (key 9)", expected="32 bytes", actual=source)
    return Metadata(
        name=_text(value, 0, "name", 48, least=1),
        version=_text(value, 1, "version", 32, least=1),
        sensor=_text(value, 2, "sensor", 32),
        unit=_text(value, 3, "unit", 8),
        rate_mhz=_uint(value, 4, "rate_mhz", _U32),
        samples=_uint(value, 5, "samples", _U32),
        channels=_uint(value, 6, "channels", _U16),
        output_kind=OutputKind(kind),
        labels=_labels(value),
        source=source,
        input_scale=_scale(value, 10, "input_scale"),
        output_scale=_scale(value, 11, "output_scale"),
        compiler=_text(value, 12, "compiler", 32),
        hop=_uint(value, 13, "hop", _U32) if 13 in value else None,
        threshold=_uint(value, 14, "threshold", 255) if 14 in value else None,
        output_unit=_text(value, 15, "output_unit", 8) if 15 in value else None,
        baseline=_baseline(value[16]) if 16 in value else None,
    )


def _bits(scale: float) -> int:
    try:
        return int(struct.unpack("<I", struct.pack("<f", scale))[0])
    except OverflowError as error:
        raise ArtifactError("metadata, scale", expected="a float32", actual=scale) from error


def _scale(value: Map, key: int, name: str) -> float:
    bits = _uint(value, key, name, _U32)
    scale = float(struct.unpack("<f", struct.pack("<I", bits))[0])
    if not 0 < scale < float("inf"):
        raise ArtifactError(f"metadata, {name} (key {key})", expected="a positive float32", actual=scale)
    return scale


def _text(value: Map, key: int, name: str, most: int, *, least: int = 0) -> str:
    """`most` and `least` count UTF-8 bytes: that is what a node has room for."""
    text = value.get(key)
    if not isinstance(text, str) or not least <= len(text.encode()) <= most:
        raise ArtifactError(
            f"metadata, {name} (key {key})", expected=f"text of {least} to {most} bytes", actual=text
        )
    return text


def _uint(value: Map, key: int, name: str, most: int) -> int:
    number = value.get(key)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
        raise ArtifactError(f"metadata, {name} (key {key})", expected=f"0 to {most}", actual=number)
    return number


def _labels(value: Map) -> tuple[str, ...]:
    labels = value.get(8)
    if not isinstance(labels, list) or len(labels) > LABELS_MAX:
        raise ArtifactError("metadata, labels (key 8)", expected=f"at most {LABELS_MAX} texts", actual=labels)
    return tuple(_text({i: label}, i, "label", 32) for i, label in enumerate(labels))


def _baseline(value: Value) -> Baseline:
    if not isinstance(value, dict):
        raise ArtifactError("metadata, baseline (key 16)", expected="a map", actual=value)
    classes, confidence = value.get(1), value.get(2)
    if not isinstance(classes, list) or len(classes) > LABELS_MAX:
        raise ArtifactError("metadata, baseline classes", expected=f"at most {LABELS_MAX}", actual=classes)
    if not isinstance(confidence, list) or len(confidence) != CONFIDENCE_BUCKETS:
        raise ArtifactError(
            "metadata, baseline confidence", expected=f"{CONFIDENCE_BUCKETS} counts", actual=confidence
        )
    windows = _uint(value, 0, "baseline windows", _U32)
    return Baseline(windows, _counts(classes), _counts(confidence))


def _counts(values: list[Value]) -> tuple[int, ...]:
    return tuple(_uint({i: n}, i, "baseline count", _U32) for i, n in enumerate(values))
