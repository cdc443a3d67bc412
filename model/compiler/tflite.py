"""The graph of a `.tflite`: tensors, ops, inputs and outputs, read with every reference checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.errors import TfliteError, UnsupportedModel
from tinyfleet.model.compiler.flatbuffer import FlatBuffer, Table
from tinyfleet.model.compiler.schema import IDENTIFIER, VERSION, Builtin, TensorType, builtin_name

RECORDS_MAX: Final = 4096
OPERANDS_MAX: Final = 256
CUSTOM_OPTIONS_MAX: Final = 2**28
RANK_MAX: Final = 8
ELEMENTS_MAX: Final = 2**28

_DTYPES: Final = {
    TensorType.FLOAT32: "<f4",
    TensorType.INT32: "<i4",
    TensorType.UINT8: "u1",
    TensorType.INT64: "<i8",
    TensorType.BOOL: "?",
    TensorType.INT16: "<i2",
    TensorType.INT8: "i1",
    TensorType.UINT64: "<u8",
    TensorType.UINT32: "<u4",
}


@dataclass(frozen=True, slots=True)
class TfTensor:
    """`data` is the constant's values in `shape`; None for an activation. Scales: one, or one a channel."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: TensorType
    data: npt.NDArray[Any] | None
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    quantized_dimension: int
    is_variable: bool
    is_dynamic: bool = False
    """Whether the model leaves a dim open; `shape` has 1 there, as TensorFlow Lite Micro takes it."""

    @property
    def elements(self) -> int:
        return prod(self.shape)

    def __str__(self) -> str:
        return f"tensor {self.index} '{self.name}'"


@dataclass(frozen=True, slots=True)
class Dilation:
    """In the place of a convolution's dilation and padding. The output's shape says what is padded behind."""

    height: int
    width: int
    pad_top: int
    pad_left: int


@dataclass(frozen=True, slots=True)
class TfOp:
    """`inputs` holds -1 for an optional operand that is absent. `table`, `dilation`: what folding made.

    `custom`: name of a custom op, whose options are bytes of its own making.
    """

    index: int
    code: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None
    table: tuple[int, ...] | None = None
    custom: str = ""
    dilation: Dilation | None = None
    custom_options: bytes = b""


@dataclass(frozen=True, slots=True)
class TfGraph:
    """beginnings: the graphs that CALL_ONCE ops run, by number. initial: bytes of variable tensors after a
    reset, where they are not what the interpreter gives any."""

    tensors: tuple[TfTensor, ...]
    ops: tuple[TfOp, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    beginnings: Mapping[int, TfGraph] = field(default_factory=dict)
    initial: Mapping[int, bytes] = field(default_factory=dict)

    def where(self, op: TfOp) -> str:
        """How messages name an op: index, name and the tensor it makes."""
        made = f" ({self.tensors[op.outputs[0]]})" if op.outputs else ""
        return f"op {op.index} {op.name}{made}"


def read_tflite(data: bytes) -> TfGraph:
    """The main graph (subgraph 0) with those that CALL_ONCE runs. TfliteError when the file is damaged or is
    no TensorFlow Lite model."""
    model = FlatBuffer(data).root(IDENTIFIER)
    version = model.integer(0, "I")
    if version != VERSION:
        raise TfliteError("model, version", expected=VERSION, actual=version)
    codes = model.tables(1, RECORDS_MAX)
    graphs = model.tables(2, RECORDS_MAX)
    buffers = model.tables(4, 4 * RECORDS_MAX)
    if not graphs:
        raise TfliteError("model, subgraphs", expected="at least one", actual="none")
    main = _read_graph(graphs[0], codes, buffers, "model")
    beginnings = {}
    for op in main.ops:
        if op.code == Builtin.CALL_ONCE:
            number = 0 if op.options is None else op.options.integer(0, "i")
            if not 1 <= number < len(graphs):
                expected = f"1 to {len(graphs) - 1}"
                raise TfliteError(f"{main.where(op)}, subgraph", expected=expected, actual=number)
            beginnings[number] = _read_graph(graphs[number], codes, buffers, f"subgraph {number}")
    return replace(main, beginnings=beginnings)


def _read_graph(graph: Table, codes: list[Table], buffers: list[Table], name: str) -> TfGraph:
    tensors = tuple(_read_tensor(table, i, buffers) for i, table in enumerate(graph.tables(0, RECORDS_MAX)))
    ops = tuple(
        _read_op(table, i, codes, len(tensors)) for i, table in enumerate(graph.tables(3, RECORDS_MAX))
    )
    count = len(tensors)
    inputs = _indices(graph, 1, f"{name}, inputs", count, optional=False)
    outputs = _indices(graph, 2, f"{name}, outputs", count, optional=False)
    made = {i for op in ops for i in op.outputs}
    tensors = tuple(_empty(t) if t.elements == 0 and t.index not in made else t for t in tensors)
    result = TfGraph(tensors, ops, inputs, outputs)
    _check_shapes(result)
    _check_order(result)
    return result


def _indices(table: Table, number: int, where: str, tensors: int, *, optional: bool) -> tuple[int, ...]:
    found = table.numbers(number, "<i4", OPERANDS_MAX)
    indices = () if found is None else tuple(int(i) for i in found)
    least = -1 if optional else 0
    for index in indices:
        if not least <= index < tensors:
            raise TfliteError(where, expected=f"tensors {least} to {tensors - 1}", actual=index)
    return indices


def _read_tensor(table: Table, index: int, buffers: list[Table]) -> TfTensor:
    name = table.text(3)
    where = f"tensor {index} '{name}'"
    dims = table.numbers(0, "<i4", RANK_MAX)
    shape = () if dims is None else tuple(int(d) for d in dims)
    if prod(max(d, 0) for d in shape) > ELEMENTS_MAX:
        raise TfliteError(f"{where}, shape", expected=f"at most {ELEMENTS_MAX} values", actual=shape)
    number = table.integer(1, "b")
    if number not in TensorType.__members__.values():
        raise TfliteError(f"{where}, type", expected="a TensorType", actual=number)
    buffer = table.integer(2, "I")
    if buffer >= len(buffers):
        raise TfliteError(f"{where}, buffer", expected=f"below {len(buffers)}", actual=buffer)
    scales, zero_points, dimension = _read_quantization(table.table(4), where)
    return TfTensor(
        index=index,
        name=name,
        shape=shape,
        dtype=TensorType(number),
        data=_read_data(buffers[buffer], TensorType(number), shape, where),
        scales=scales,
        zero_points=zero_points,
        quantized_dimension=dimension,
        is_variable=bool(table.integer(5, "b")),
        is_dynamic=_is_dynamic(table),
    )


def _is_dynamic(table: Table) -> bool:
    """By shape_signature, which has -1 for a dim that is known only at run time."""
    signature = table.numbers(7, "<i4", RANK_MAX)
    return signature is not None and bool(np.any(signature < 0))


def _read_data(
    buffer: Table, dtype: TensorType, shape: tuple[int, ...], where: str
) -> npt.NDArray[Any] | None:
    raw = buffer.numbers(0, "u1", ELEMENTS_MAX * 8)
    if raw is None or raw.size == 0:
        return None
    if dtype not in _DTYPES:
        return raw
    values = np.dtype(_DTYPES[dtype])
    if raw.size != prod(shape) * values.itemsize:
        raise TfliteError(
            f"{where}, data", expected=f"{prod(shape) * values.itemsize} bytes", actual=f"{raw.size} bytes"
        )
    return raw.view(values).reshape(shape)


def _read_quantization(
    table: Table | None, where: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], int]:
    """Scales, as many zero points, and the dimension they run along. Empty without quantisation."""
    if table is None:
        return np.empty(0, np.float32), np.empty(0, np.int64), 0
    scales = table.numbers(2, "<f4", ELEMENTS_MAX)
    zero_points = table.numbers(3, "<i8", ELEMENTS_MAX)
    scales = np.empty(0, np.float32) if scales is None else scales
    zero_points = np.zeros(scales.size, np.int64) if zero_points is None else zero_points
    if not bool(np.all(np.isfinite(scales))) or bool(np.any(scales <= 0)):
        # What converters write beside constants that are all zero; whoever needs a scale finds none.
        return np.empty(0, np.float32), np.empty(0, np.int64), 0
    if zero_points.size != scales.size:
        if zero_points.size != 1:
            raise TfliteError(f"{where}, zero_point", expected=scales.size, actual=zero_points.size)
        zero_points = np.repeat(zero_points, scales.size)
    return scales, zero_points, table.integer(6, "i")


def _read_op(table: Table, index: int, codes: list[Table], tensors: int) -> TfOp:
    number = table.integer(0, "I")
    if number >= len(codes):
        raise TfliteError(f"op {index}, opcode_index", expected=f"below {len(codes)}", actual=number)
    # Old writers fill the byte, new ones the int; the other is 0 (schema_utils.cc).
    code = max(codes[number].integer(0, "b"), codes[number].integer(3, "i"))
    name, custom = builtin_name(code), ""
    if code == Builtin.CUSTOM:
        custom = codes[number].text(1)
        name = f"CUSTOM {custom}"
    custom_options = table.numbers(5, "u1", CUSTOM_OPTIONS_MAX)
    return TfOp(
        index=index,
        code=code,
        name=name,
        inputs=_indices(table, 1, f"op {index} {name}, inputs", tensors, optional=True),
        outputs=_indices(table, 2, f"op {index} {name}, outputs", tensors, optional=False),
        options=table.table(4),
        custom=custom,
        custom_options=b"" if custom_options is None else custom_options.tobytes(),
    )


def _empty(tensor: TfTensor) -> TfTensor:
    """A constant without values, such as the shape of a scalar: nothing is stored for it."""
    dtype = _DTYPES.get(tensor.dtype)
    return (
        tensor
        if dtype is None or tensor.data is not None
        else replace(tensor, data=np.empty(tensor.shape, dtype))
    )


def _check_shapes(graph: TfGraph) -> None:
    """Of what the model computes with: converters leave tensors behind that nobody uses."""
    used = {*graph.inputs, *graph.outputs, *(i for op in graph.ops for i in (*op.inputs, *op.outputs))}
    for index in sorted(used - {-1}):
        tensor = graph.tensors[index]
        if any(d < 0 for d in tensor.shape):
            raise UnsupportedModel(
                f"{tensor} has no fixed shape, {tensor.shape}: convert the model with a fixed one, batch 1"
            )
        if 0 in tensor.shape and tensor.data is None:
            raise TfliteError(f"{tensor}, shape", expected="dims of 1 and more", actual=tensor.shape)


def _check_order(graph: TfGraph) -> None:
    """Every operand exists when its op runs, and nothing is made twice."""
    known = set(graph.inputs)
    if any(graph.tensors[i].data is not None for i in graph.inputs):
        raise TfliteError("model, inputs", expected="activations", actual="a constant")
    variables = {t.index for t in graph.tensors if t.is_variable}
    known.update(variables, (t.index for t in graph.tensors if t.data is not None))
    for op in graph.ops:
        for i in op.inputs:
            if i >= 0 and i not in known:
                raise TfliteError(
                    f"{graph.where(op)}, inputs",
                    expected="a tensor made before",
                    actual=str(graph.tensors[i]),
                )
        for i in op.outputs:
            if i in known and i not in variables:
                raise TfliteError(
                    f"{graph.where(op)}, outputs", expected="a tensor made once", actual=str(graph.tensors[i])
                )
            variables.discard(i)
            known.add(i)
    for i in graph.outputs:
        if i not in known:
            raise TfliteError(
                "model, outputs", expected="a tensor that an op makes", actual=str(graph.tensors[i])
            )
