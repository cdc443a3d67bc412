"""Floats at a model's edges and between its integers.

An input that is quantised first, and an output that is dequantised last, count as the integers beside them;
what only moves values (a RESHAPE) may stand between. DEQUANTIZE, functions of one value, QUANTIZE are a
table of 256 answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tinyfleet.model.compiler.errors import UnsupportedModel
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Builtin, TensorType
from tinyfleet.model.compiler.tables import FloatFunction, through_floats
from tinyfleet.model.compiler.tflite import TfGraph, TfOp, TfTensor
from tinyfleet.wire.artifact_ops import OpCode

_MOVES: Final = (
    Builtin.EXPAND_DIMS,
    Builtin.RESHAPE,
    Builtin.REVERSE_V2,
    Builtin.SLICE,
    Builtin.SQUEEZE,
    Builtin.STRIDED_SLICE,
    Builtin.TRANSPOSE,
)
"""They move the values of their first operand to their output, whatever the values are."""


def _single(function: Callable[[float], float]) -> FloatFunction:
    """A function of float, its answer rounded once."""

    def one(value: np.float32) -> np.float32:
        try:
            return np.float32(function(float(value)))
        except OverflowError:
            return np.float32(np.inf)
        except ValueError:
            return np.float32(np.nan)

    return one


def _logistic(value: np.float32) -> np.float32:
    """reference/logistic.h, with its cut-offs."""
    exp = _single(math.exp)
    if value > np.float32(16.619047164916992188):
        return np.float32(1.0)
    if value < np.float32(-9.0):
        return exp(value)
    return np.float32(1.0) / (np.float32(1.0) + exp(-value))


def _hard_swish(value: np.float32) -> np.float32:
    gate = min(np.float32(6.0), max(np.float32(0.0), value + np.float32(3.0)))
    return value * gate / np.float32(6.0)


def _relu(value: np.float32) -> np.float32:
    return max(value, np.float32(0.0))


_FLOAT_FUNCTIONS: Final[dict[int, FloatFunction]] = {
    Builtin.ABS: abs,
    Builtin.CEIL: _single(math.ceil),
    Builtin.COS: _single(math.cos),
    Builtin.ELU: lambda value: _single(math.expm1)(value) if value < 0 else value,
    Builtin.EXP: _single(math.exp),
    Builtin.FLOOR: _single(math.floor),
    Builtin.HARD_SWISH: _hard_swish,
    Builtin.LOG: _single(lambda value: math.log(value) if value else -math.inf),
    Builtin.LOGISTIC: _logistic,
    Builtin.NEG: lambda value: -value,
    Builtin.RELU: _relu,
    Builtin.RELU6: lambda value: min(_relu(value), np.float32(6.0)),
    Builtin.ROUND: np.rint,
    Builtin.RSQRT: lambda value: np.float32(1.0) / np.sqrt(value),
    Builtin.SIN: _single(math.sin),
    Builtin.SQRT: np.sqrt,
    Builtin.SQUARE: lambda value: value * value,
    Builtin.TANH: _single(math.tanh),
}


@dataclass(frozen=True, slots=True)
class _Chain:
    """A float tensor that is some functions of an integer one."""

    source: int
    functions: tuple[FloatFunction, ...]


def without_floats(graph: TfGraph) -> TfGraph:
    """UnsupportedModel where a float input is quantised in several ways."""
    for index in graph.inputs:
        if graph.tensors[index].dtype is TensorType.FLOAT32:
            graph = _entering(graph, index)
    return _leaving(graph)


def _entering(graph: TfGraph, index: int) -> TfGraph:
    """The graph with the integer that this float input is quantised to as its input; as it is where the model
    does anything else with it."""
    family, quantises = _family(graph, index)
    if not quantises or family & set(graph.outputs):
        return graph
    users = [op for op in graph.ops if family & set(op.inputs)]
    movers = [op for op in users if op.outputs[0] in family]
    if len(users) != len(movers) + len(quantises):
        return graph
    made = [graph.tensors[op.outputs[0]] for op in quantises]
    ways = {(t.dtype, float(t.scales[0]), int(t.zero_points[0])) for t in made if _is_activation(t)}
    if len(ways) > 1:
        said = ", ".join(f"{dtype.name} x {scale:g} from {zero}" for dtype, scale, zero in sorted(ways))
        raise UnsupportedModel(
            f"{graph.tensors[index]}, an input of the model, is quantised in {len(ways)} ways ({said}); give "
            "the model one input for each, or quantise it once"
        )
    if not ways or not all(map(_is_activation, made)):
        return graph
    # Each float of the family becomes an integer of its own shape; what quantised it is that integer.
    tensors = list(graph.tensors)
    for i in family:
        tensors[i] = _quantised_as(tensors[i], made[0])
    gone = {id(op) for op in quantises}
    renamed = {op.outputs[0]: op.inputs[0] for op in quantises}
    ops = tuple(_renamed(op, renamed) for op in graph.ops if id(op) not in gone)
    outputs = tuple(renamed.get(i, i) for i in graph.outputs)
    return replace(graph, tensors=tuple(tensors), ops=ops, outputs=outputs)


def _family(graph: TfGraph, index: int) -> tuple[set[int], list[TfOp]]:
    """(the input and all that is only moved from it, the QUANTIZEs of those)."""
    family, quantises = {index}, []
    for op in graph.ops:
        if not op.inputs or op.inputs[0] not in family:
            continue
        if op.code == Builtin.QUANTIZE:
            quantises.append(op)
        elif op.code in _MOVES:
            family.add(op.outputs[0])
    return family, quantises


def _renamed(op: TfOp, names: dict[int, int]) -> TfOp:
    return replace(op, inputs=tuple(names.get(i, i) for i in op.inputs))


def _leaving(graph: TfGraph) -> TfGraph:
    chains: dict[int, _Chain] = {}
    tensors, ops = list(graph.tensors), []
    for op in graph.ops:
        now = replace(graph, tensors=tuple(tensors))
        one = len(op.outputs) == 1 and len(op.inputs) >= 1 and op.inputs[0] >= 0
        source = op.inputs[0] if one else -1
        chain = chains.get(source)
        if one and op.code == Builtin.DEQUANTIZE and _has_one_scale(tensors[source]):
            chains[op.outputs[0]] = _Chain(source, ())
        elif chain is not None and (function := _function(now, op)) is not None:
            chains[op.outputs[0]] = replace(chain, functions=(*chain.functions, function))
        elif chain is not None and op.code in _MOVES:
            # The integers are moved in the place of the floats.
            moved = _quantised_as(tensors[op.outputs[0]], tensors[chain.source])
            tensors.append(replace(moved, index=len(tensors)))
            ops.append(replace(op, inputs=(chain.source, *op.inputs[1:]), outputs=(len(tensors) - 1,)))
            chains[op.outputs[0]] = replace(chain, source=len(tensors) - 1)
            continue
        elif chain is not None and op.code == Builtin.QUANTIZE and _is_int8(tensors[chain.source]):
            ops.append(_table_op(now, op, chain))
            continue
        ops.append(op)
    outputs = tuple(chains[i].source if i in chains and not chains[i].functions else i for i in graph.outputs)
    return replace(graph, tensors=tuple(tensors), ops=tuple(ops), outputs=outputs)


def _quantised_as(tensor: TfTensor, pattern: TfTensor) -> TfTensor:
    return replace(
        tensor,
        dtype=pattern.dtype,
        scales=pattern.scales,
        zero_points=pattern.zero_points,
        quantized_dimension=pattern.quantized_dimension,
    )


def _has_one_scale(tensor: TfTensor) -> bool:
    return tensor.dtype in (TensorType.INT8, TensorType.INT16) and tensor.scales.size == 1


def _is_activation(tensor: TfTensor) -> bool:
    return _has_one_scale(tensor) and tensor.data is None


def _is_int8(tensor: TfTensor) -> bool:
    return tensor.dtype is TensorType.INT8


def _function(graph: TfGraph, op: TfOp) -> FloatFunction | None:
    if len(op.inputs) != 1 or graph.tensors[op.outputs[0]].dtype is not TensorType.FLOAT32:
        return None
    if op.code == Builtin.LEAKY_RELU:
        alpha = np.float32(Operands(graph, op).real_option(0))
        return lambda value: value if value > 0 else value * alpha
    return _FLOAT_FUNCTIONS.get(op.code)


def _table_op(graph: TfGraph, op: TfOp, chain: _Chain) -> TfOp:
    fused = replace(op, code=int(OpCode.TABLE), inputs=(chain.source,))
    ask = Operands(graph, fused)
    table = through_floats(ask.activation(0), chain.functions, ask.output())
    return replace(fused, table=table)
