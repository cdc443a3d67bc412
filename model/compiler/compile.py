"""From a `.tflite` and a ModelSpec to the payload of a model artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Final

import numpy as np

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.dtypes import DTYPES
from tinyfleet.model.compiler.errors import SpecError, UnsupportedModel
from tinyfleet.model.compiler.fold import fold
from tinyfleet.model.compiler.golden import golden_vectors
from tinyfleet.model.compiler.lower_batch import lower_batch_space
from tinyfleet.model.compiler.lower_binary import (
    lower_div,
    lower_extreme,
    lower_mul,
    lower_prelu,
    lower_squared_difference,
    lower_sub,
)
from tinyfleet.model.compiler.lower_circular import CIRCULAR_BUFFER, lower_circular
from tinyfleet.model.compiler.lower_conv import lower_conv, lower_depthwise_conv, lower_fully_connected
from tinyfleet.model.compiler.lower_integer import is_arithmetic, lower_arithmetic, lower_cast
from tinyfleet.model.compiler.lower_matrix import (
    lower_arg_extreme,
    lower_batch_matmul,
    lower_l2_normalization,
)
from tinyfleet.model.compiler.lower_move import (
    lower_alias,
    lower_broadcast_to,
    lower_concatenation,
    lower_depth_space,
    lower_pack,
    lower_pad,
    lower_reverse,
    lower_slice,
    lower_split,
    lower_strided_slice,
    lower_transpose,
    lower_unpack,
)
from tinyfleet.model.compiler.lower_other import (
    lower_add,
    lower_log_softmax,
    lower_pool,
    lower_softmax,
)
from tinyfleet.model.compiler.lower_quantize import lower_quantize
from tinyfleet.model.compiler.lower_recurrent import lower_lstm, lower_svdf
from tinyfleet.model.compiler.lower_reduce import lower_reduce
from tinyfleet.model.compiler.lower_resize import (
    lower_bilinear,
    lower_gather,
    lower_mirror_pad,
    lower_nearest,
)
from tinyfleet.model.compiler.lower_signal import SIGNAL_OPS, lower_signal
from tinyfleet.model.compiler.lower_state import lower_variable
from tinyfleet.model.compiler.lower_table import lower_table
from tinyfleet.model.compiler.lower_transpose_conv import lower_transpose_conv
from tinyfleet.model.compiler.numerics import quantize_multiplier
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.refuse import by_name, refuse_other_files
from tinyfleet.model.compiler.schema import Builtin, builtin_name
from tinyfleet.model.compiler.spec import ModelSpec
from tinyfleet.model.compiler.tflite import TfGraph, TfOp, TfTensor, read_tflite
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import (
    ENDPOINTS_MAX,
    Artifact,
    Endpoint,
    Metadata,
    OutputKind,
    encode_artifact,
)
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.artifact_tensors import ENDPOINT_DTYPES, limits

COMPILER: Final = "tinyfleet 1"
RAW_SHIFT_MAX: Final = 15
"""A raw i16 value is shifted left by at most this, so that it stays inside 31 bits."""
CHANNELS_MAX: Final = 2**16 - 1
_REFUSALS_SHOWN: Final = 8

Lowering = Callable[[Builder, Operands], None]

_LOWER: Final[dict[int, Lowering]] = {
    OpCode.TABLE: lower_table,
    Builtin.ABS: lower_table,
    Builtin.ADD: lower_add,
    Builtin.ARG_MAX: lower_arg_extreme,
    Builtin.ARG_MIN: lower_arg_extreme,
    Builtin.ASSIGN_VARIABLE: lower_variable,
    Builtin.AVERAGE_POOL_2D: lower_pool,
    Builtin.BATCH_MATMUL: lower_batch_matmul,
    Builtin.BATCH_TO_SPACE_ND: lower_batch_space,
    Builtin.BROADCAST_TO: lower_broadcast_to,
    Builtin.CAST: lower_cast,
    Builtin.CONCATENATION: lower_concatenation,
    Builtin.CONV_2D: lower_conv,
    Builtin.DEPTHWISE_CONV_2D: lower_depthwise_conv,
    Builtin.DEPTH_TO_SPACE: lower_depth_space,
    Builtin.DIV: lower_div,
    Builtin.ELU: lower_table,
    Builtin.EXPAND_DIMS: lower_alias,
    Builtin.FULLY_CONNECTED: lower_fully_connected,
    Builtin.GATHER: lower_gather,
    Builtin.HARD_SWISH: lower_table,
    Builtin.L2_NORMALIZATION: lower_l2_normalization,
    Builtin.LEAKY_RELU: lower_table,
    Builtin.LOGISTIC: lower_table,
    Builtin.LOG_SOFTMAX: lower_log_softmax,
    Builtin.MAXIMUM: lower_extreme,
    Builtin.MAX_POOL_2D: lower_pool,
    Builtin.MEAN: lower_reduce,
    Builtin.MINIMUM: lower_extreme,
    Builtin.MIRROR_PAD: lower_mirror_pad,
    Builtin.MUL: lower_mul,
    Builtin.PACK: lower_pack,
    Builtin.PAD: lower_pad,
    Builtin.PADV2: lower_pad,
    Builtin.PRELU: lower_prelu,
    Builtin.QUANTIZE: lower_quantize,
    Builtin.READ_VARIABLE: lower_variable,
    Builtin.REDUCE_MAX: lower_reduce,
    Builtin.REDUCE_MIN: lower_reduce,
    Builtin.RELU: lower_table,
    Builtin.RELU6: lower_table,
    Builtin.RESHAPE: lower_alias,
    Builtin.RESIZE_BILINEAR: lower_bilinear,
    Builtin.RESIZE_NEAREST_NEIGHBOR: lower_nearest,
    Builtin.REVERSE_V2: lower_reverse,
    Builtin.RSQRT: lower_table,
    Builtin.SLICE: lower_slice,
    Builtin.SOFTMAX: lower_softmax,
    Builtin.SPACE_TO_BATCH_ND: lower_batch_space,
    Builtin.SPACE_TO_DEPTH: lower_depth_space,
    Builtin.SPLIT: lower_split,
    Builtin.SPLIT_V: lower_split,
    Builtin.SQUARED_DIFFERENCE: lower_squared_difference,
    Builtin.SQUEEZE: lower_alias,
    Builtin.STRIDED_SLICE: lower_strided_slice,
    Builtin.SUB: lower_sub,
    Builtin.SUM: lower_reduce,
    Builtin.SVDF: lower_svdf,
    Builtin.TANH: lower_table,
    Builtin.TRANSPOSE: lower_transpose,
    Builtin.TRANSPOSE_CONV: lower_transpose_conv,
    Builtin.UNIDIRECTIONAL_SEQUENCE_LSTM: lower_lstm,
    Builtin.UNPACK: lower_unpack,
}


def compile_model(tflite: bytes, spec: ModelSpec) -> bytes:
    """The payload for a model image. It has been loaded by the node's own loader, and its golden vectors run.

    Raises CompileError (TfliteError, UnsupportedModel, SpecError), ArtifactError when the spec's texts do not
    fit the metadata, TwinBuildError where there is no C compiler.
    """
    plan = lower(tflite, spec)
    payload = encode_artifact(plan)
    twin = Twin(payload)
    vectors = golden_vectors(twin, spec)
    return encode_artifact(replace(plan, vectors=vectors)) if vectors else payload


def lower(tflite: bytes, spec: ModelSpec) -> Artifact:
    """The plan without golden vectors. Pure: no twin, no C compiler."""
    return lower_named(tflite, spec)[0]


def lower_named(tflite: bytes, spec: ModelSpec) -> tuple[Artifact, dict[int, int]]:
    """The plan, and for each of the model's tensors that it uses the number that tensor has in the plan."""
    refuse_other_files(tflite)
    try:
        return _lower(tflite, spec)
    except UnsupportedModel as error:
        named = by_name(read_tflite(tflite), error)
        if named is error:
            raise
        raise named from error


def _lower(tflite: bytes, spec: ModelSpec) -> tuple[Artifact, dict[int, int]]:
    graph = fold(read_tflite(tflite))
    lowerings = _lowerings(graph)
    sources, sinks = _endpoints(graph)
    source, sink = sources[0], sinks[0]
    builder = Builder(graph, spec.core)
    for op, lowering in zip(graph.ops, lowerings, strict=True):
        lowering(builder, Operands(graph, op))
    given = [builder.computed(i) for i in graph.outputs]
    placed = builder.finish(graph.inputs, tuple(given))
    numbers = placed.numbers
    raw = _raw_scaling(spec, source)
    outputs = [Endpoint(numbers[i], y.zero, *_score_scaling(y)) for i, y in zip(given, sinks, strict=True)]
    plan = Artifact(
        core=spec.core,
        arena_bytes=placed.layout.arena_bytes,
        metadata=_metadata(tflite, spec, source, sink),
        tensors=placed.tensors,
        ops=placed.ops,
        states=placed.states,
        input=Endpoint(numbers[source.index], source.zero, *raw),
        output=outputs[0],
        constants=placed.constants,
        more_inputs=tuple(Endpoint(numbers[x.index], x.zero, 0, 0) for x in sources[1:]),
        more_outputs=tuple(outputs[1:]),
    )
    return plan, numbers


def _lowering(graph: TfGraph, op: TfOp) -> Lowering | None:
    """None: this runtime has no such op."""
    if op.custom == CIRCULAR_BUFFER:
        return lower_circular
    if op.code == Builtin.CUSTOM:
        return lower_signal if op.custom in SIGNAL_OPS else None
    return lower_arithmetic if is_arithmetic(graph, op) else _LOWER.get(op.code)


def _lowerings(graph: TfGraph) -> list[Lowering]:
    """That of each op. All ops this runtime lacks are in one refusal."""
    found = [_lowering(graph, op) for op in graph.ops]
    known = [lowering for lowering in found if lowering is not None]
    if len(known) == len(found):
        return known
    missing = [graph.where(op) for op, lowering in zip(graph.ops, found, strict=True) if lowering is None]
    more = f" and {len(missing) - _REFUSALS_SHOWN} more" if len(missing) > _REFUSALS_SHOWN else ""
    names = {builtin_name(code) for code in _LOWER if code != OpCode.TABLE} | SIGNAL_OPS | {CIRCULAR_BUFFER}
    raise UnsupportedModel(
        f"no such op in this runtime: {'; '.join(missing[:_REFUSALS_SHOWN])}{more}. "
        f"It has {', '.join(sorted(names))}"
    )


def _endpoints(graph: TfGraph) -> tuple[list[Quantized], list[Quantized]]:
    """Inputs and outputs; the first of each is what metadata and scores are about."""
    for name, indices in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if not 1 <= len(indices) <= ENDPOINTS_MAX:
            names = ", ".join(str(graph.tensors[i]) for i in indices[:_REFUSALS_SHOWN])
            raise UnsupportedModel(
                f"the model has {len(indices)} {name} ({names}{', …' * (len(indices) > _REFUSALS_SHOWN)}); "
                f"this runtime takes 1 to {ENDPOINTS_MAX}"
            )
    sources = [_endpoint(graph.tensors[i]) for i in graph.inputs]
    sinks = [_endpoint(graph.tensors[i]) for i in graph.outputs]
    return sources, sinks


def _endpoint(tensor: TfTensor) -> Quantized:
    """A value without a scale means itself."""
    dtype = DTYPES.get(tensor.dtype)
    fits = dtype in ENDPOINT_DTYPES
    if fits and tensor.scales.size == 0:
        return Quantized(tensor, np.float32(1.0), 0)
    if dtype is None or not fits or tensor.scales.size != 1:
        raise UnsupportedModel(
            f"{tensor}, an input or output of the model, is {tensor.dtype.name} with {tensor.scales.size} "
            "scales; expected an activation, int8 with one, or int16 or int32: convert with "
            "inference_input_type and inference_output_type int8"
        )
    zero, (low, high) = int(tensor.zero_points[0]), limits(dtype)
    if not low <= zero <= high:
        raise UnsupportedModel(f"{tensor} has zero point {zero}, expected {low} to {high}")
    return Quantized(tensor, np.float32(tensor.scales[0]), zero)


def _raw_scaling(spec: ModelSpec, source: Quantized) -> tuple[int, int]:
    raw_scale = spec.input.raw_scale
    if raw_scale is None:
        return 0, 0
    multiplier, shift = quantize_multiplier(raw_scale / float(source.scale)) if raw_scale > 0 else (0, 0)
    if multiplier == 0 or shift > RAW_SHIFT_MAX:
        raise SpecError(
            f"input.raw_scale {raw_scale:g} does not fit the model's input scale "
            f"{float(source.scale):g}; it is the real value of one raw sensor step"
        )
    return multiplier, shift


def _score_scaling(sink: Quantized) -> tuple[int, int]:
    """From steps to 1/256, which a step of more than 2^22 fills however far it is beyond."""
    return quantize_multiplier(min(float(sink.scale) * 256, 2.0**29))


def _window_shape(spec: ModelSpec, source: Quantized) -> tuple[int, int]:
    """(samples, channels)."""
    elements = prod(source.shape)
    last = (source.shape or (1,))[-1]
    channels = spec.input.channels or (
        elements // spec.input.samples if spec.input.samples else last if last <= CHANNELS_MAX else 1
    )
    samples = spec.input.samples or elements // channels
    if samples * channels != elements or channels > CHANNELS_MAX:
        raise SpecError(
            f"input.samples x input.channels is {samples} x {channels}, the model's input {source.shape} has "
            f"{elements} values; at most {CHANNELS_MAX} channels"
        )
    return samples, channels


def _metadata(tflite: bytes, spec: ModelSpec, source: Quantized, sink: Quantized) -> Metadata:
    samples, channels = _window_shape(spec, source)
    if spec.output_kind is OutputKind.CLASSES and spec.labels and len(spec.labels) != prod(sink.shape):
        raise SpecError(f"{len(spec.labels)} labels for {prod(sink.shape)} outputs {sink.shape}")
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
        input_scale=float(source.scale),
        output_scale=float(sink.scale),
        compiler=COMPILER,
        hop=spec.input.hop,
        threshold=spec.threshold,
        output_unit=spec.output_unit,
        baseline=spec.baseline,
    )
