"""What is gone before lowering: constants, floats at the edges, uint8, and float functions between integers.

The graph that comes out computes the same bytes. Inputs and outputs may be other tensors than before: where
the model quantises its float input first, its int8 input is the one that counts, and uint8 is the same byte
with its top bit flipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tinyfleet.model.compiler.evaluate import evaluate
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Builtin, TensorType
from tinyfleet.model.compiler.tables import FloatFunction, through_floats
from tinyfleet.model.compiler.tflite import TfGraph, TfOp, TfTensor
from tinyfleet.model.compiler.variables import with_states
from tinyfleet.wire.artifact_ops import OpCode

_UINT8_ZERO: Final = 128


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
    Builtin.SIN: _single(math.sin),
    Builtin.SQRT: _single(math.sqrt),
    Builtin.SQUARE: lambda value: value * value,
    Builtin.TANH: _single(math.tanh),
}


@dataclass(frozen=True, slots=True)
class _Chain:
    """A float tensor that is some functions of an int8 one."""

    source: int
    functions: tuple[FloatFunction, ...]


def fold(graph: TfGraph) -> TfGraph:
    """UnsupportedModel when constants do not fit together."""
    graph = _without_uint8(with_states(graph))
    graph = _with_constants(graph)
    graph = _without_floats(graph)
    return _without_unused(graph)


def _without_uint8(graph: TfGraph) -> TfGraph:
    """uint8 tensors that only QUANTIZE and DEQUANTIZE touch, as int8 ones."""
    other = {
        i
        for op in graph.ops
        if op.code not in (Builtin.QUANTIZE, Builtin.DEQUANTIZE)
        for i in (*op.inputs, *op.outputs)
    }
    tensors = tuple(
        t if t.dtype is not TensorType.UINT8 or t.index in other or t.data is not None else _as_int8(t)
        for t in graph.tensors
    )
    return replace(graph, tensors=tensors)


def _as_int8(tensor: TfTensor) -> TfTensor:
    return replace(tensor, dtype=TensorType.INT8, zero_points=tensor.zero_points - _UINT8_ZERO)


def _with_constants(graph: TfGraph) -> TfGraph:
    tensors = list(graph.tensors)
    ops = []
    for op in graph.ops:
        answer = evaluate(replace(graph, tensors=tuple(tensors)), op)
        if answer is None:
            ops.append(op)
        else:
            tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], data=answer)
    return replace(graph, tensors=tuple(tensors), ops=tuple(ops))


def _without_floats(graph: TfGraph) -> TfGraph:
    chains: dict[int, _Chain] = {}
    inputs = list(graph.inputs)
    ops = []
    for op in graph.ops:
        one = len(op.inputs) == 1 and len(op.outputs) == 1 and op.inputs[0] >= 0
        source = op.inputs[0] if one else -1
        chain = chains.get(source)
        if one and op.code == Builtin.DEQUANTIZE and _is_activation(graph.tensors[source]):
            chains[op.outputs[0]] = _Chain(source, ())
        elif chain is not None and (function := _function(graph, op)) is not None:
            chains[op.outputs[0]] = replace(chain, functions=(*chain.functions, function))
        elif chain is not None and op.code == Builtin.QUANTIZE:
            ops.append(_table_op(graph, op, chain))
            continue
        elif one and op.code == Builtin.QUANTIZE and _enters_here(graph, op, inputs):
            inputs[inputs.index(source)] = op.outputs[0]
            continue
        ops.append(op)
    outputs = tuple(chains[i].source if i in chains and not chains[i].functions else i for i in graph.outputs)
    return replace(graph, ops=tuple(ops), inputs=tuple(inputs), outputs=outputs)


def _is_activation(tensor: TfTensor) -> bool:
    return tensor.dtype is TensorType.INT8 and tensor.scales.size == 1 and tensor.data is None


def _function(graph: TfGraph, op: TfOp) -> FloatFunction | None:
    if graph.tensors[op.outputs[0]].dtype is not TensorType.FLOAT32:
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


def _enters_here(graph: TfGraph, op: TfOp, inputs: list[int]) -> bool:
    """Whether a QUANTIZE is all that the model does with a float input."""
    source, made = op.inputs[0], graph.tensors[op.outputs[0]]
    if source not in inputs or graph.tensors[source].dtype is not TensorType.FLOAT32:
        return False
    users = sum(i == source for other in graph.ops for i in other.inputs)
    return users == 1 and source not in graph.outputs and _is_activation(made)


def _without_unused(graph: TfGraph) -> TfGraph:
    """What a state is given matters where the state is read, in this run or the next."""
    ends = set(graph.outputs)
    while True:
        wanted = set(ends)
        kept = []
        for op in reversed(graph.ops):
            if wanted.isdisjoint(op.outputs):
                continue
            kept.append(op)
            wanted.update(op.inputs)
        states = {i for op in kept for i in op.inputs if i >= 0 and graph.tensors[i].is_variable}
        if states <= ends:
            return replace(graph, ops=tuple(reversed(kept)))
        ends |= states
