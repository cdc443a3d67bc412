"""What is gone before lowering: constants, floats at the edges, uint8, and float functions between integers.

The graph that comes out computes the same bytes. Inputs and outputs may be other tensors than before: where
the model quantises its float input first, its int8 input is the one that counts, and uint8 is the same byte
with its top bit flipped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tinyfleet.model.compiler.dilation import with_dilation
from tinyfleet.model.compiler.evaluate import evaluate
from tinyfleet.model.compiler.floats import without_floats
from tinyfleet.model.compiler.lower_circular import with_circular_buffers
from tinyfleet.model.compiler.schema import Builtin, TensorType
from tinyfleet.model.compiler.tflite import TfGraph, TfTensor
from tinyfleet.model.compiler.variables import with_states

_UINT8_ZERO: Final = 128


def fold(graph: TfGraph) -> TfGraph:
    """UnsupportedModel when constants do not fit together."""
    graph = _without_uint8(with_states(with_circular_buffers(graph)))
    graph = _with_constants(graph)
    graph = with_dilation(without_floats(graph))
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
