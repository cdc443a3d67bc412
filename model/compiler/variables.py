"""Resource variables as state tensors: what VAR_HANDLE, CALL_ONCE, READ_VARIABLE and ASSIGN_VARIABLE mean.

Sources: tensorflow/lite/micro/micro_resource_variable.cc and micro/kernels/{var_handle,assign_variable,
call_once}.cc. A variable has the bytes of its first assigned tensor's zero point until something is assigned;
the graph of a CALL_ONCE runs here, so that what it assigns is what a reset restores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinyfleet.model.compiler.errors import UnsupportedModel
from tinyfleet.model.compiler.evaluate import evaluate
from tinyfleet.model.compiler.schema import Builtin, TensorType
from tinyfleet.model.compiler.tflite import TfGraph, TfOp, TfTensor

Name = tuple[str, str]
"""Container and shared name."""


@dataclass(frozen=True, slots=True)
class _Variable:
    tensor: TfTensor
    initial: bytes


def with_states(graph: TfGraph) -> TfGraph:
    """The graph without handles: a READ_VARIABLE reads a state tensor, an ASSIGN_VARIABLE makes one.

    UnsupportedModel when a variable is never assigned, or a CALL_ONCE does what cannot be done here.
    """
    names = _handles(graph)
    first_values = _first_values(graph, names)
    initial: dict[Name, bytes] = {}
    for number, beginning in graph.beginnings.items():
        _run(beginning, f"subgraph {number}", first_values, initial)
    variables: dict[Name, _Variable] = {}
    for name, value in first_values.items():
        state = replace(
            value,
            index=len(graph.tensors) + len(variables),
            name=name[1],
            data=None,
            is_variable=True,
        )
        variables[name] = _Variable(state, initial.get(name, _default(value)))
    ops = [_with_state(graph, op, names, variables) for op in graph.ops if op.code not in _GONE]
    return replace(
        graph,
        tensors=(*graph.tensors, *(variable.tensor for variable in variables.values())),
        ops=tuple(ops),
        beginnings={},
        initial={variable.tensor.index: variable.initial for variable in variables.values()},
    )


_GONE = (Builtin.CALL_ONCE, Builtin.VAR_HANDLE)


def _handles(graph: TfGraph) -> dict[int, Name]:
    """Handle tensor -> variable."""
    names = {}
    for op in graph.ops:
        if op.code == Builtin.VAR_HANDLE and op.outputs and op.options is not None:
            names[op.outputs[0]] = (op.options.text(0), op.options.text(1))
    return names


def _name(graph: TfGraph, op: TfOp, names: dict[int, Name]) -> Name:
    name = names.get(op.inputs[0]) if op.inputs else None
    if name is None:
        raise UnsupportedModel(f"{graph.where(op)}: its variable has no VAR_HANDLE in the same graph")
    return name


def _first_values(graph: TfGraph, names: dict[int, Name]) -> dict[Name, TfTensor]:
    """What each variable is first assigned, in the order in which the interpreter prepares ops."""
    values: dict[Name, TfTensor] = {}
    for owner, handles in ((graph, names), *((g, _handles(g)) for g in graph.beginnings.values())):
        for op in owner.ops:
            if op.code == Builtin.ASSIGN_VARIABLE and len(op.inputs) == 2:
                values.setdefault(_name(owner, op, handles), owner.tensors[op.inputs[1]])
    return values


def _default(value: TfTensor) -> bytes:
    """MicroResourceVariables::Allocate: every byte is the zero point, cast to int8."""
    if value.dtype in (TensorType.RESOURCE, TensorType.STRING, TensorType.VARIANT):
        raise UnsupportedModel(f"{value} is {value.dtype.name}; a variable holds numbers")
    zero = int(value.zero_points[0]) % 256 if value.zero_points.size else 0
    return bytes([zero]) * (value.elements * _WIDTHS.get(value.dtype, 1))


_WIDTHS = {
    TensorType.FLOAT32: 4,
    TensorType.INT16: 2,
    TensorType.INT32: 4,
    TensorType.UINT32: 4,
    TensorType.INT64: 8,
    TensorType.UINT64: 8,
}


def _run(graph: TfGraph, where: str, first_values: dict[Name, TfTensor], initial: dict[Name, bytes]) -> None:
    """Runs the graph of a CALL_ONCE: constants, what is made of constants, and assignments."""
    names, tensors = _handles(graph), list(graph.tensors)
    for op in graph.ops:
        now = replace(graph, tensors=tuple(tensors))
        if op.code == Builtin.VAR_HANDLE:
            continue
        if op.code == Builtin.ASSIGN_VARIABLE and len(op.inputs) == 2:
            value = tensors[op.inputs[1]]
            if value.data is None:
                raise UnsupportedModel(
                    f"{where}, {now.where(op)}: {value} is not known when the model is compiled"
                )
            name = _name(now, op, names)
            content = np.ascontiguousarray(value.data).tobytes()
            if len(content) != len(_default(first_values[name])):
                raise UnsupportedModel(
                    f"{where}, {now.where(op)}: {value} is not of the size of variable {name[1]}"
                )
            initial[name] = content
            continue
        answer = evaluate(now, op)
        if answer is None:
            raise UnsupportedModel(f"{where}, {now.where(op)}: CALL_ONCE may only assign constants here")
        tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], data=answer)


def _with_state(graph: TfGraph, op: TfOp, names: dict[int, Name], variables: dict[Name, _Variable]) -> TfOp:
    if op.code not in (Builtin.READ_VARIABLE, Builtin.ASSIGN_VARIABLE):
        return op
    name = _name(graph, op, names)
    if name not in variables:
        raise UnsupportedModel(f"{graph.where(op)}: variable {name[1]} is never assigned")
    state = variables[name].tensor
    if op.code == Builtin.READ_VARIABLE:
        return replace(op, inputs=(state.index,))
    return replace(op, inputs=op.inputs[1:], outputs=(state.index,))
