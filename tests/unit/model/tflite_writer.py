"""Writes `.tflite` files from nothing but the schema's field numbers: no TensorFlow, no flatbuffers package.

Tables are written parent first, so that every reference points forward, as FlatBuffers demands.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

INT8, INT32, FLOAT32, UINT8, INT64 = 9, 2, 0, 3, 4
FLOAT16, INT16, INT4, RESOURCE, UINT32 = 1, 7, 17, 13, 15
BOOL, UINT64 = 6, 12
SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = 0, 1, 2, 3, 4


@dataclass
class Scalar:
    layout: str
    value: float


@dataclass
class Numbers:
    dtype: str
    values: object
    align: int = 4


@dataclass
class Tables:
    items: list


Table = dict  # field number -> Scalar | Numbers | Tables | Table | str


@dataclass
class T:
    """A tensor. `data` makes it a constant."""

    shape: tuple
    scale: object = None
    zero: object = 0
    dtype: int = INT8
    data: object = None
    name: str = "t"
    axis: int = 0
    signature: object = None
    variable: bool = False


@dataclass
class O:  # noqa: E742 the tests read better with one letter
    """An op: builtin code, tensors, options (union type, table)."""

    code: int
    inputs: tuple
    outputs: tuple
    options: tuple = (0, None)
    custom: str = ""
    custom_options: bytes = b""


@dataclass
class Writer:
    out: bytearray = field(default_factory=bytearray)

    def pad(self, align, ahead=0):
        self.out += bytes(-(len(self.out) + ahead) % align)

    def table(self, fields):
        """Appends a table and everything it refers to; returns its position."""
        fields = {k: v for k, v in fields.items() if v is not None}
        sizes = {
            k: struct.calcsize("<" + v.layout) if isinstance(v, Scalar) else 4 for k, v in fields.items()
        }
        offsets, at = {}, 4
        for k in sorted(fields, key=lambda k: -sizes[k]):
            at += -at % sizes[k]
            offsets[k] = at
            at += sizes[k]
        slots = max(fields, default=-1) + 1
        vtable_bytes = 4 + 2 * slots
        self.pad(8, vtable_bytes)
        vtable = len(self.out)
        entries = [offsets.get(k, 0) for k in range(slots)]
        self.out += struct.pack(f"<HH{slots}H", vtable_bytes, at, *entries)
        start = len(self.out)
        self.out += struct.pack("<i", start - vtable) + bytes(at - 4)
        for k, v in fields.items():
            where = start + offsets[k]
            if isinstance(v, Scalar):
                struct.pack_into("<" + v.layout, self.out, where, v.value)
            else:
                self.refer(where, self.child(v))
        return start

    def refer(self, where, to):
        struct.pack_into("<I", self.out, where, to - where)

    def child(self, value):
        if isinstance(value, str):
            self.pad(4)
            at = len(self.out)
            self.out += struct.pack("<I", len(value.encode())) + value.encode() + b"\0"
            return at
        if isinstance(value, Numbers):
            values = np.asarray(value.values, value.dtype).reshape(-1)
            self.pad(value.align, 4)
            at = len(self.out)
            self.out += struct.pack("<I", values.size) + values.tobytes()
            return at
        if isinstance(value, Tables):
            self.pad(4)
            at = len(self.out)
            self.out += struct.pack("<I", len(value.items)) + bytes(4 * len(value.items))
            for i, item in enumerate(value.items):
                self.refer(at + 4 + 4 * i, self.table(item))
            return at
        return self.table(value)


def ints(values):
    return Numbers("<i4", values)


def options(kind, *fields):
    """(union type, table) from scalars in field order; a bare int is an i32, a tuple is (layout, value)."""
    table = {}
    for number, value in enumerate(fields):
        layout, number_value = value if isinstance(value, tuple) else ("i", value)
        table[number] = Scalar(layout, number_value)
    return kind, table


def conv_options(padding, stride_h, stride_w, activation, dil_h=1, dil_w=1):
    return options(1, ("b", padding), stride_w, stride_h, ("b", activation), dil_w, dil_h)


def depthwise_options(padding, stride_h, stride_w, multiplier, activation, dil_h=1, dil_w=1):
    return options(2, ("b", padding), stride_w, stride_h, multiplier, ("b", activation), dil_w, dil_h)


def pool_options(padding, stride_h, stride_w, kernel_h, kernel_w, activation):
    return options(5, ("b", padding), stride_w, stride_h, kernel_w, kernel_h, ("b", activation))


def fully_connected_options(activation):
    return options(8, ("b", activation))


def softmax_options(beta):
    return options(9, ("f", beta))


def add_options(activation):
    return options(11, ("b", activation))


def reshape_options(shape):
    return 17, {0: ints(shape)}


def reducer_options(keep_dims):
    return options(27, ("b", int(keep_dims)))


NUMPY_TYPES = {
    INT8: "i1",
    INT4: "i1",
    UINT8: "u1",
    INT16: "<i2",
    INT32: "<i4",
    UINT32: "<u4",
    INT64: "<i8",
    FLOAT32: "<f4",
    FLOAT16: "<f2",
}


def write_tflite(tensors, ops, inputs, outputs, more_graphs=()):
    """Bytes of a model. more_graphs: (tensors, ops, inputs, outputs) of further subgraphs."""
    graphs = [(tensors, ops, inputs, outputs), *more_graphs]
    buffers = [{}]
    codes = sorted({(op.code, op.custom) for graph in graphs for op in graph[1]})
    tables = [graph_table(*graph, codes, buffers) for graph in graphs]
    code_tables = [
        {0: Scalar("b", min(code, 127)), 1: custom or None, 2: Scalar("i", 1), 3: Scalar("i", code)}
        for code, custom in codes
    ]
    writer = Writer(bytearray(8))
    root = writer.table(
        {0: Scalar("I", 3), 1: Tables(code_tables), 2: Tables(tables), 3: "test", 4: Tables(buffers)}
    )
    struct.pack_into("<I4s", writer.out, 0, root, b"TFL3")
    return bytes(writer.out)


def graph_table(tensors, ops, inputs, outputs, codes, buffers):
    """A subgraph; its constants go into `buffers`."""
    tensor_tables = []
    for i, t in enumerate(tensors):
        buffer = 0
        if t.data is not None:
            buffer = len(buffers)
            raw = np.ascontiguousarray(t.data, NUMPY_TYPES[t.dtype]).tobytes()
            buffers.append({0: Numbers("u1", np.frombuffer(raw, "u1"), 16)})
        tensor_tables.append(
            {
                0: ints(t.shape),
                1: Scalar("b", t.dtype),
                2: Scalar("I", buffer),
                3: f"{t.name}{i}",
                4: quantization_table(t),
                5: Scalar("b", 1) if t.variable else None,
                7: None if t.signature is None else ints(t.signature),
            }
        )
    op_tables = [
        {
            0: Scalar("I", codes.index((op.code, op.custom))),
            1: ints(op.inputs),
            2: ints(op.outputs),
            3: Scalar("B", op.options[0]),
            4: op.options[1],
            5: Numbers("u1", list(op.custom_options)) if op.custom_options else None,
        }
        for op in ops
    ]
    return {0: Tables(tensor_tables), 1: ints(inputs), 2: ints(outputs), 3: Tables(op_tables), 4: "main"}


def quantization_table(t):
    if t.scale is None:
        return None
    scales = np.atleast_1d(np.asarray(t.scale, "<f4"))
    zeros = np.broadcast_to(np.asarray(t.zero), scales.shape)
    return {2: Numbers("<f4", scales), 3: Numbers("<i8", zeros, 8), 6: Scalar("i", t.axis)}
