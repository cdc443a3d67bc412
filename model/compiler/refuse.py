"""Refusals by name: what kind of model this is, when it is one that cannot run here, and what to do about it.

Asked after a refusal, so that nothing is refused here that could be compiled: ops and types come and go, a
name for a kind of model stays.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from tinyfleet.model.compiler.errors import OtherFile, UnsupportedModel
from tinyfleet.model.compiler.identify import identify
from tinyfleet.model.compiler.schema import Builtin, TensorType
from tinyfleet.model.compiler.tflite import TfGraph, TfOp, TfTensor

_SHOWN: Final = 4
_INT8: Final = (
    "convert with full integer quantisation: optimizations DEFAULT, a representative_dataset, "
    "supported_ops TFLITE_BUILTINS_INT8, inference_input_type and inference_output_type int8"
)

_CUSTOM: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "ethos-u",
        "compiled by Vela for an Ethos-U NPU: its graph is a command stream",
        "give the .tflite that went into Vela",
    ),
    (
        "edgetpu-custom-op",
        "compiled for an Edge TPU: its graph is one opaque op",
        "give the .tflite that went into edgetpu_compiler",
    ),
    (
        "NeutronGraph",
        "compiled for NXP's Neutron NPU: its graph is a command stream",
        "give the .tflite that went into the Neutron converter",
    ),
    (
        "Flex",
        "built with SELECT_TF_OPS: it calls full TensorFlow's kernels",
        "convert with TFLITE_BUILTINS_INT8 alone, and replace the layers that then fail",
    ),
    (
        "TFLite_Detection_PostProcess",
        "a detector with its float post-processing inside",
        "cut the model before that op (in the TF Object Detection API: export without post-processing) and "
        "decode boxes outside",
    ),
)
"""Custom op's name or its beginning: what the model is, what to do."""

_KINDS: Final = {
    "float": ("float-only: it was never quantised", _INT8),
    "float16": ("float16-quantised: weights are halves, arithmetic is float", _INT8),
    "dynamic": (
        "dynamic-range quantised (hybrid): weights are int8, activations float",
        f"a representative dataset is missing; {_INT8}",
    ),
    "int16": (
        "quantised 16x8: activations are int16",
        "this runtime computes with int8 activations; leave EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_"
        f"INT16_WEIGHTS_INT8 out and {_INT8}",
    ),
    "uint8": (
        "quantised to uint8, as TensorFlow 1 did",
        f"convert the float model again with TensorFlow 2 or LiteRT; {_INT8}",
    ),
    "int4": (
        "quantised to weights of 4 bits and less",
        f"this runtime has kernels for int8 weights; {_INT8}",
    ),
}
"""How a model computes, where not in int8."""

# Operand numbers of (activation, weights) of the ops that have weights.
_WEIGHTED: Final[dict[int, tuple[int, int]]] = {
    Builtin.CONV_2D: (0, 1),
    Builtin.DEPTHWISE_CONV_2D: (0, 1),
    Builtin.FULLY_CONNECTED: (0, 1),
    Builtin.TRANSPOSE_CONV: (2, 1),
    16: (0, 1),  # LSTM
    27: (0, 1),  # SVDF
    44: (0, 1),  # UNIDIRECTIONAL_SEQUENCE_LSTM
    126: (0, 1),  # BATCH_MATMUL
}


def refuse_other_files(data: bytes) -> None:
    """Raises OtherFile for what is known to be no `.tflite`."""
    other = identify(data)
    if other is not None:
        raise OtherFile(*other)


def by_name(graph: TfGraph, error: UnsupportedModel) -> UnsupportedModel:
    """The refusal with the kind of model named first; `error` itself where the kind says nothing."""
    kind = _of_custom_ops(graph) or _of_arithmetic(graph)
    if kind is not None:
        what, way = kind
        first = str(error).split("; ")[0]
        return UnsupportedModel(f"this model is {what}. What to do: {way}. (First refused: {first})")
    loose = [graph.tensors[i] for i in graph.inputs if graph.tensors[i].is_dynamic]
    if loose:
        return UnsupportedModel(
            f"{error}. {loose[0]}, an input, has no fixed shape (converted without a batch size?), and what "
            "depends on it cannot be computed on the host: convert with a fixed shape, batch 1"
        )
    return error


def _of_custom_ops(graph: TfGraph) -> tuple[str, str] | None:
    names = sorted({op.name.removeprefix("CUSTOM ") for op in graph.ops if op.code == Builtin.CUSTOM})
    for start, what, way in _CUSTOM:
        found = [name for name in names if name.startswith(start)]
        if found:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            return f"{what} ({', '.join(found[:_SHOWN])}{more})", way
    return None


def _of_arithmetic(graph: TfGraph) -> tuple[str, str] | None:
    """By the ops with weights; by all activations where there are none."""
    kinds = {op.index: _kind(graph, op) for op in graph.ops if op.code in _WEIGHTED}
    if not kinds:
        alone = _kind_of_activations(graph)
        return None if alone is None else _KINDS[alone]
    other = {index: kind for index, kind in kinds.items() if kind is not None}
    if not other:
        return None
    most = Counter(other.values()).most_common(1)[0][0]
    what, way = _KINDS[most]
    if len(other) == len(kinds):
        return what, way
    ops = {op.index: op for op in graph.ops}
    first = list(other)[:_SHOWN]
    named = "; ".join(graph.where(ops[index]) for index in first)
    more = f" and {len(other) - len(first)} more" if len(other) > len(first) else ""
    return (
        f"int8 only in part: {len(other)} of {len(kinds)} ops with weights are {what.split(':')[0]}: "
        f"{named}{more}",
        way,
    )


def _kind(graph: TfGraph, op: TfOp) -> str | None:
    """How an op with weights computes; None for int8."""
    activation, weights = (_operand(graph, op, number) for number in _WEIGHTED[op.code])
    if activation is None or weights is None:
        return None
    stored = _stored(graph, weights).dtype
    if activation.dtype is TensorType.FLOAT32:
        if stored in (TensorType.FLOAT16, TensorType.BFLOAT16):
            return "float16"
        return "dynamic" if stored in (TensorType.INT8, TensorType.UINT8, TensorType.INT4) else "float"
    if activation.dtype is TensorType.INT16:
        return "int16"
    if activation.dtype is TensorType.UINT8:
        return "uint8"
    return "int4" if stored in (TensorType.INT4, TensorType.INT2, TensorType.UINT4) else None


def _operand(graph: TfGraph, op: TfOp, number: int) -> TfTensor | None:
    known = number < len(op.inputs) and op.inputs[number] >= 0
    return graph.tensors[op.inputs[number]] if known else None


def _stored(graph: TfGraph, tensor: TfTensor) -> TfTensor:
    """The constant behind weights that a DEQUANTIZE turns into floats first."""
    for op in graph.ops:
        if op.code == Builtin.DEQUANTIZE and op.outputs == (tensor.index,) and len(op.inputs) == 1:
            return graph.tensors[op.inputs[0]]
    return tensor


def _kind_of_activations(graph: TfGraph) -> str | None:
    """int16 without a scale are samples, not quantised activations."""
    indices = {i for op in graph.ops for i in op.outputs} | {*graph.inputs, *graph.outputs}
    tensors = [graph.tensors[i] for i in indices]
    made = {t.dtype for t in tensors if t.dtype is not TensorType.INT16 or t.scales.size}
    if TensorType.INT8 in made:
        return None
    names = {TensorType.FLOAT32: "float", TensorType.UINT8: "uint8", TensorType.INT16: "int16"}
    return next((kind for dtype, kind in names.items() if dtype in made), None)
