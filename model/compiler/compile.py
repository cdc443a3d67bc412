"""From a `.tflite` and a ModelSpec to the payload of a model artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Final

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.errors import SpecError, UnsupportedModel
from tinyfleet.model.compiler.lower_conv import lower_conv, lower_depthwise_conv, lower_fully_connected
from tinyfleet.model.compiler.lower_other import (
    lower_add,
    lower_mean,
    lower_pool,
    lower_reshape,
    lower_softmax,
)
from tinyfleet.model.compiler.numerics import quantize_multiplier
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Builtin, TensorType, builtin_name
from tinyfleet.model.compiler.spec import ModelSpec
from tinyfleet.model.compiler.tflite import TfGraph, TfTensor, read_tflite
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import Artifact, Endpoint, Metadata, OutputKind, Vector, encode_artifact
from tinyfleet.wire.enums import CoreVariant

COMPILER: Final = "tinyfleet 1"
RAW_SHIFT_MAX: Final = 15
"""A raw i16 value is shifted left by at most this, so that it stays inside 31 bits."""
_REFUSALS_SHOWN: Final = 8

_LOWER: Final[dict[int, Callable[[Builder, Operands], None]]] = {
    Builtin.ADD: lower_add,
    Builtin.AVERAGE_POOL_2D: lower_pool,
    Builtin.CONV_2D: lower_conv,
    Builtin.DEPTHWISE_CONV_2D: lower_depthwise_conv,
    Builtin.FULLY_CONNECTED: lower_fully_connected,
    Builtin.MAX_POOL_2D: lower_pool,
    Builtin.MEAN: lower_mean,
    Builtin.RESHAPE: lower_reshape,
    Builtin.SOFTMAX: lower_softmax,
}


def compile_model(tflite: bytes, spec: ModelSpec) -> bytes:
    """The payload for a model image. It has been loaded by the node's own loader, and its golden vectors run.

    Raises CompileError (TfliteError, UnsupportedModel, SpecError), ArtifactError when the spec's texts do not
    fit the metadata, TwinBuildError where there is no C compiler.
    """
    plan = lower(tflite, spec)
    payload = encode_artifact(plan)
    twin = Twin(payload)
    windows = [
        w if isinstance(w, bytes) else w.astype(np.int8, casting="safe").tobytes() for w in spec.golden_inputs
    ]
    if spec.golden_raw and spec.input.raw_scale is None:
        raise SpecError("golden_raw needs input.raw_scale: what one raw step means to the model")
    windows += [twin.quantize(raw).tobytes() for raw in spec.golden_raw]
    for i, one in enumerate(windows):
        if len(one) != plan.input_bytes:
            raise SpecError(f"golden input {i} has {len(one)} values, the model takes {plan.input_bytes}")
    if not windows:
        return payload
    vectors = tuple(Vector(one, twin.run(one).tobytes()) for one in windows)
    return encode_artifact(replace(plan, vectors=vectors))


def lower(tflite: bytes, spec: ModelSpec) -> Artifact:
    """The plan without golden vectors. Pure: no twin, no C compiler."""
    if spec.core is not CoreVariant.PORTABLE:
        raise SpecError(f"core variant {spec.core.name} is not built yet; use PORTABLE")
    graph = read_tflite(tflite)
    _check_supported(graph)
    source, sink = _endpoints(graph)
    builder = Builder(graph)
    for op in graph.ops:
        _LOWER[op.code](builder, Operands(graph, op))
    tensors, ops, layout, constants, numbers = builder.finish(graph.inputs, graph.outputs)
    raw = _raw_scaling(spec, source)
    score = quantize_multiplier(float(sink.scales[0]) * 256)
    return Artifact(
        core=spec.core,
        arena_bytes=layout.arena_bytes,
        metadata=_metadata(tflite, spec, source, sink),
        tensors=tuple(tensors),
        ops=tuple(ops),
        input=Endpoint(numbers[source.index], int(source.zero_points[0]), *raw),
        output=Endpoint(numbers[sink.index], int(sink.zero_points[0]), *score),
        constants=constants,
    )


def _check_supported(graph: TfGraph) -> None:
    """All ops this runtime lacks, in one refusal."""
    missing = [graph.where(op) for op in graph.ops if op.code not in _LOWER]
    if missing:
        more = f" and {len(missing) - _REFUSALS_SHOWN} more" if len(missing) > _REFUSALS_SHOWN else ""
        known = ", ".join(sorted(builtin_name(code) for code in _LOWER))
        raise UnsupportedModel(
            f"no such op in this runtime: {'; '.join(missing[:_REFUSALS_SHOWN])}{more}. It has {known}"
        )


def _endpoints(graph: TfGraph) -> tuple[TfTensor, TfTensor]:
    for name, indices in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(indices) != 1:
            names = ", ".join(str(graph.tensors[i]) for i in indices)
            raise UnsupportedModel(f"the model has {len(indices)} {name} ({names}); this runtime takes 1")
    source, sink = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    for tensor in (source, sink):
        one_scale = tensor.scales.size == 1 and -128 <= int(tensor.zero_points[0]) <= 127
        if tensor.dtype is not TensorType.INT8 or not one_scale or tensor.data is not None:
            raise UnsupportedModel(
                f"{tensor}, an input or output of the model, is {tensor.dtype.name} with "
                f"{tensor.scales.size} scales; expected an int8 activation with one: convert with "
                "inference_input_type and inference_output_type int8"
            )
    return source, sink


def _raw_scaling(spec: ModelSpec, source: TfTensor) -> tuple[int, int]:
    raw_scale = spec.input.raw_scale
    if raw_scale is None:
        return 0, 0
    multiplier, shift = quantize_multiplier(raw_scale / float(source.scales[0])) if raw_scale > 0 else (0, 0)
    if multiplier == 0 or shift > RAW_SHIFT_MAX:
        raise SpecError(
            f"input.raw_scale {raw_scale:g} does not fit the model's input scale "
            f"{float(source.scales[0]):g}; it is the real value of one raw sensor step"
        )
    return multiplier, shift


def _window_shape(spec: ModelSpec, source: TfTensor) -> tuple[int, int]:
    """(samples, channels)."""
    elements = prod(source.shape)
    channels = spec.input.channels or (
        elements // spec.input.samples if spec.input.samples else (source.shape or (1,))[-1]
    )
    samples = spec.input.samples or elements // channels
    if samples * channels != elements:
        raise SpecError(
            f"input.samples x input.channels is {samples} x {channels}, the model's input {source.shape} has "
            f"{elements} values"
        )
    return samples, channels


def _metadata(tflite: bytes, spec: ModelSpec, source: TfTensor, sink: TfTensor) -> Metadata:
    samples, channels = _window_shape(spec, source)
    if spec.output_kind is OutputKind.CLASSES and spec.labels and len(spec.labels) != sink.elements:
        raise SpecError(f"{len(spec.labels)} labels for {sink.elements} outputs {sink.shape}")
    return Metadata(
        name=spec.name,
        version=spec.version,
        sensor=spec.input.sensor,
        unit=spec.input.unit,
        rate_mhz=spec.input.rate_mhz,
        samples=samples,
        channels=channels,
        output_kind=spec.output_kind,
        labels=spec.labels,
        source=hashlib.sha256(tflite).digest(),
        input_scale=float(source.scales[0]),
        output_scale=float(sink.scales[0]),
        compiler=COMPILER,
        hop=spec.input.hop,
        threshold=spec.threshold,
        output_unit=spec.output_unit,
        baseline=spec.baseline,
    )
