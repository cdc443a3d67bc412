"""One door for every kind of file: a `.tflite`, a C array, a zip with either, an Edge Impulse export."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import PurePosixPath
from typing import Final

from tinyfleet.model.compiler.errors import CompileError
from tinyfleet.model.compiler.refuse import refuse_other_files
from tinyfleet.model.compiler.schema import IDENTIFIER, TensorType
from tinyfleet.model.compiler.spec import InputSpec, ModelSpec
from tinyfleet.model.compiler.tflite import TfGraph, read_tflite
from tinyfleet.model.source.archive import Archive, shown
from tinyfleet.model.source.c_array import CArray, is_c_text, read_c_array
from tinyfleet.model.source.edge_impulse import Impulse, is_edge_impulse, read_impulse
from tinyfleet.model.source.errors import SourceError
from tinyfleet.wire.artifact import OutputKind

MODEL_MAX_BYTES: Final = 2**26
TEXT_MAX_BYTES: Final = 2**27
TEXTS_MAX: Final = 200
VERSION_UNSAID: Final = "0.0.0"
_NAME_MAX_BYTES: Final = 48
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")

# What a zip is, by a file that only it has; what to do.
_OTHER_ZIPS: Final = (
    ("model.weights.h5", "a Keras model (.keras)"),
    ("saved_model.pb", "a TensorFlow SavedModel"),
    ("data.pkl", "a PyTorch model (.pt)"),
    ("weights.bin", "a TensorFlow.js model"),
    (".onnx", "an ONNX model"),
    (".eim", "an Edge Impulse program for Linux"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """`origin`: which part of the file the model is. `notes`: what a person should know about the reading.

    spec: name, version, labels and input as far as the file says them; plain C, golden inputs none.
    """

    tflite: bytes = field(repr=False)
    origin: str
    spec: ModelSpec
    notes: tuple[str, ...] = ()


def read_source(data: bytes, filename: str) -> Source:
    """The model in `data`. The name is only for the model's, where the file does not say one.

    Raises SourceError, and OtherFile for what is known to be something else.
    """
    spec = ModelSpec(_name(PurePosixPath(filename.replace("\\", "/")).stem), VERSION_UNSAID)
    if data[4:8] == IDENTIFIER:
        return Source(data, "a TensorFlow Lite file", spec)
    if data.startswith(_ZIP):
        return _of_zip(Archive(data), spec)
    refuse_other_files(data)
    if is_c_text(data):
        array = read_c_array(data)
        return Source(array.content, f"C array {array.name}", spec)
    raise SourceError(
        f"this file begins with {data[:8]!r}, which is no .tflite (TFL3 at byte 4), no zip and no C source: "
        "give a .tflite, an Edge Impulse export (.zip) or a C array"
    )


def _of_zip(archive: Archive, spec: ModelSpec) -> Source:
    impulse = read_impulse(archive) if is_edge_impulse(archive) else None
    found = _models(archive)
    if not found:
        raise _nothing_in(archive, impulse)
    name, tflite = _one_of(found)
    origin = f"{shown(name)} in a zip" if impulse is None else f"{shown(name)} in an Edge Impulse export"
    if impulse is None:
        return Source(tflite, origin, spec)
    told, notes = _spec_of(impulse, tflite, spec)
    return Source(tflite, origin, told, notes)


def _models(archive: Archive) -> list[tuple[str, bytes]]:
    """Model files; arrays in source texts where there are none."""
    files = archive.matching(lambda name: name.lower().endswith((".tflite", ".lite")))
    found = [(name, archive.read(name, MODEL_MAX_BYTES)) for name in files]
    if found:
        return found
    texts = archive.matching(_may_hold_an_array)
    if len(texts) > TEXTS_MAX:
        raise SourceError(
            f"the zip has {len(texts)} source files and no .tflite: give the one with the model"
        )
    arrays: list[tuple[str, CArray]] = []
    for name in texts:
        try:
            arrays.append((name, read_c_array(archive.read(name, TEXT_MAX_BYTES))))
        except SourceError:
            continue
    return [(f"{name}, array {array.name}", array.content) for name, array in arrays]


def _may_hold_an_array(name: str) -> bool:
    if "edge-impulse-sdk/" in name or name.endswith("_compiled.cpp"):
        return False
    return name.lower().endswith((".h", ".hpp", ".c", ".cc", ".cpp", ".ino"))


def _one_of(found: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """The only model; of several the only one with int8 inside."""
    if len(found) > 1:
        distinct = {tflite: name for name, tflite in reversed(found)}
        found = [(name, tflite) for tflite, name in distinct.items()]
    if len(found) > 1:
        quantised = [(name, tflite) for name, tflite in found if _is_int8(tflite)]
        found = quantised if len(quantised) == 1 else found
    if len(found) > 1:
        names = ", ".join(sorted(shown(name) for name, _ in found))
        raise SourceError(f"the zip holds {len(found)} models: {names}; unpack it and give one of them")
    return found[0]


def _is_int8(tflite: bytes) -> bool:
    graph = _graph(tflite)
    return graph is not None and any(t.dtype is TensorType.INT8 and t.data is None for t in graph.tensors)


def _graph(tflite: bytes) -> TfGraph | None:
    try:
        return read_tflite(tflite)
    except CompileError:
        return None


def _nothing_in(archive: Archive, impulse: Impulse | None) -> SourceError:
    if impulse is not None and impulse.is_compiled:
        return SourceError(
            "this Edge Impulse export was made with the EON Compiler: it is generated C++ and holds no model "
            "file. In Edge Impulse Studio, Deployment, choose 'C++ library' with the engine 'TensorFlow "
            "Lite' instead of 'EON Compiler', and 'Quantized (int8)'; or take 'TensorFlow Lite (int8 "
            "quantized)' from Dashboard, Download block output"
        )
    for mark, what in _OTHER_ZIPS:
        if any(name.endswith(mark) for name in archive.names):
            return SourceError(
                f"this zip is {what}, not a .tflite: convert it to a fully int8-quantised .tflite first "
                "(docs/models.md)"
            )
    what = "this Edge Impulse export" if impulse is not None else "this zip"
    return SourceError(f"{what} holds no .tflite and no C array of one ({len(archive.names)} files)")


def _spec_of(impulse: Impulse, tflite: bytes, spec: ModelSpec) -> tuple[ModelSpec, tuple[str, ...]]:
    """What of an export's facts fits the model inside."""
    notes: list[str] = []
    graph = _graph(tflite)
    inputs = None if graph is None or not graph.inputs else prod(graph.tensors[graph.inputs[0]].shape)
    outputs = None if graph is None or not graph.outputs else prod(graph.tensors[graph.outputs[0]].shape)
    told = replace(
        spec,
        name=_name(impulse.name) if impulse.name else spec.name,
        version=spec.version if impulse.deploy_version is None else f"{impulse.deploy_version}.0.0",
        threshold=None if impulse.threshold is None else min(255, round(impulse.threshold * 256)),
    )
    if impulse.features_by:
        size = "" if inputs is None else f" of {inputs} values"
        notes.append(
            f"the model's input{size} is what Edge Impulse's block {impulse.features_by} makes of the "
            "samples: feed it features, not raw samples"
        )
    elif impulse.samples and impulse.channels and impulse.samples * impulse.channels == inputs:
        rate_mhz = 0 if impulse.frequency_hz is None else round(impulse.frequency_hz * 1000)
        window = InputSpec(impulse.sensor, "", rate_mhz, impulse.samples, impulse.channels)
        told = replace(told, input=window)
    if impulse.object_detection:
        notes.append("an object detector: its outputs are the network's, boxes are not decoded")
        return replace(told, output_kind=OutputKind.RAW, threshold=None), tuple(notes)
    if impulse.labels and len(impulse.labels) == outputs:
        return replace(told, labels=impulse.labels), tuple(notes)
    if impulse.labels:
        notes.append(f"{len(impulse.labels)} labels for {outputs} outputs: left out")
    return told, tuple(notes)


def _name(said: str) -> str:
    """Letters, digits and dashes, as names of models and releases are."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", said).strip("-.")
    return plain.encode()[:_NAME_MAX_BYTES].decode("ascii") or "model"
