"""What a file is when it is no `.tflite`: people hand in what their tool wrote; it is named, with the way on.

Magic numbers are from the formats' own documents: HDF5 (format spec, superblock), ONNX (onnx.proto: field 1,
ir_version, then field 2, producer_name), ZIP (APPNOTE), ExecuTorch and TOSA (their flatbuffer identifiers),
git-lfs (spec.md, pointer files).
"""

from __future__ import annotations

import re
from typing import Final

from tinyfleet.model.compiler.schema import IDENTIFIER

_CONVERT: Final = "convert it to a fully int8-quantised .tflite first (docs/models.md)"
_HEAD: Final = 512

_BY_START: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"\x89HDF\r\n\x1a\n", "a Keras model in HDF5 (.h5)", _CONVERT),
    (
        b"version https://git-lfs.github.com/spec/",
        "a git-lfs pointer, not the file itself",
        "fetch it: git lfs pull",
    ),
    (b"TFP1", "a compiled plan", "it is built already: inspect, profile or release it"),
    (b"\x3d\xb8\xf3\x96", "a signed image", "it is built and signed already"),
    (b"\x7fELF", "a program or library (ELF; an Edge Impulse .eim is one)", "export the model itself"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"GGUF", "a GGUF language model", "this runtime takes int8 .tflite models for microcontrollers"),
    (b"\x80\x02", "a Python pickle (scikit-learn, old PyTorch)", _CONVERT),
    (b"\x80\x04", "a Python pickle (scikit-learn, old PyTorch)", _CONVERT),
    (b"<!DOCTYPE", "a web page", "download the file itself (on GitHub: Raw)"),
    (b"<html", "a web page", "download the file itself (on GitHub: Raw)"),
    (b"PK\x03\x04", "a zip archive", "unpack it, or give the zip of an Edge Impulse export to `model build`"),
)
_BY_IDENTIFIER: Final[dict[bytes, tuple[str, str]]] = {
    b"ET12": ("an ExecuTorch program (.pte)", "export the PyTorch model with litert-torch instead"),
    b"TOSA": ("a TOSA graph", "give the .tflite that it was made from"),
    b"TFL2": ("a TensorFlow Lite file of an old version", "convert the model again"),
    b"TFL1": ("a TensorFlow Lite file of an old version", "convert the model again"),
}
"""What stands at byte 4 of a flatbuffer."""

_SAVED_MODEL: Final = (b"saved_model_schema_version", b"serve", b"StatefulPartitionedCall")


def identify(data: bytes) -> tuple[str, str] | None:
    """(what the file is, what to do); None for a `.tflite` and for what nobody knows."""
    if data[4:8] == IDENTIFIER:
        return None
    if not data:
        return "an empty file", "copy or export it again"
    head = data[:_HEAD]
    for start, what, way in _BY_START:
        if head.startswith(start) or head.lstrip().lower().startswith(start.lower()):
            return what, way
    if data[4:8] in _BY_IDENTIFIER:
        return _BY_IDENTIFIER[data[4:8]]
    # Both are protobuf: a SavedModel begins with its schema version, 1, ONNX with ir_version, 3 and more.
    if head.startswith(b"\x08\x01\x12") and any(word in data[: 2**16] for word in _SAVED_MODEL):
        return "a TensorFlow SavedModel (saved_model.pb)", _CONVERT
    if re.match(rb"\x08[\x02-\x20]\x12.[\w.\- ]{2,}", head, re.DOTALL) or b"onnx" in head.lower():
        return "an ONNX model", _CONVERT
    if head.lstrip().startswith(b"{"):
        return "a JSON file", "give the .tflite, or a model card (.json, docs/tutorial.md) that names one"
    return None
