"""Collects what lowering emits (constants, tensors, ops) and turns it into a plan's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.draft import Drafts
from tinyfleet.model.compiler.dtypes import DTYPES
from tinyfleet.model.compiler.emitted import Emitted, Piece, Scratch, Storage
from tinyfleet.model.compiler.errors import UnsupportedModel
from tinyfleet.model.compiler.memory import Layout, lay_out, widest_gap
from tinyfleet.model.compiler.packing_mve import takes_as_is
from tinyfleet.model.compiler.schema import TensorType
from tinyfleet.model.compiler.tflite import TfGraph, TfTensor
from tinyfleet.wire.artifact import Dtype, Op, Place, State, Tensor
from tinyfleet.wire.artifact_ops import DIMS_MAX, PLAIN, CopyParams, OpCode, Params
from tinyfleet.wire.artifact_tensors import DTYPE_BYTES
from tinyfleet.wire.enums import CoreVariant

WEIGHTS_ALIGN = 16
TABLE_ALIGN = 4


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What a state holds after a reset: `initial` bytes, or `fill` in every element."""

    fill: int
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Placed:
    """numbers: plan tensor of each source tensor that the plan uses."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    states: tuple[State, ...]
    layout: Layout
    constants: bytes
    numbers: dict[int, int]


class Builder:
    """One plan in the making. Values are named by their index in the source's tensor table; what lowering
    adds to it comes behind."""

    def __init__(self, graph: TfGraph, core: CoreVariant = CoreVariant.PORTABLE) -> None:
        self.core = core
        self._tensors = list(graph.tensors)
        self._constants = bytearray()
        self._placed: dict[tuple[bytes, int], int] = {}
        self._ops: list[Emitted] = []
        self._states: dict[int, _Beginning] = {}
        self._storage = Storage()
        for tensor in graph.tensors:
            if tensor.is_variable:
                self.keep(tensor.index, initial=graph.initial.get(tensor.index, _zero_of(tensor)))

    def new(self, dtype: TensorType, shape: tuple[int, ...]) -> int:
        """A tensor that the source has not."""
        index = len(self._tensors)
        self._tensors.append(
            TfTensor(
                index=index,
                name="made by the compiler",
                shape=shape,
                dtype=dtype,
                data=None,
                scales=np.empty(0, np.float32),
                zero_points=np.empty(0, np.int64),
                quantized_dimension=0,
                is_variable=False,
            )
        )
        return index

    def keep(self, index: int, fill: int = 0, initial: bytes | None = None) -> None:
        """The tensor is state: nothing else gets its memory, and a reset fills it (`fill` is an i16) or gives
        it these bytes. RuntimeError when it is a part of another tensor."""
        if index in self._storage:
            raise RuntimeError(f"tensor {index} is in another's memory")
        self._states[index] = _Beginning(fill, initial)

    def weights(self, values: npt.NDArray[np.int8]) -> int:
        """Offset of packed weights in CONSTANTS."""
        return self._add(np.ascontiguousarray(values, "i1").tobytes(), WEIGHTS_ALIGN)

    def table(self, values: Sequence[int], dtype: str) -> int:
        """Offset of a table of integers; equal tables are stored once."""
        return self.blob(np.array(values, dtype).tobytes())

    def blob(self, content: bytes) -> int:
        """Offset of a table of records."""
        return self._add(content, TABLE_ALIGN)

    def records(self, values: npt.NDArray[np.int64]) -> int:
        """Offset of channel records."""
        return self.blob(values.astype("<i4").tobytes())

    def emit(
        self,
        code: OpCode,
        inputs: tuple[int, ...],
        output: int | tuple[int, ...],
        params: Params,
        in_place: tuple[int, ...] = (),
        scratch: tuple[Scratch, ...] = (),
        pieces: tuple[Piece, ...] = (),
    ) -> None:
        """An op that every core has. State that it reads and writes is an output."""
        outputs = output if isinstance(output, tuple) else (output,)
        variant = self.core if takes_as_is(self.core, code, params) else PLAIN
        emitted = Emitted(code, inputs, outputs, params, in_place, variant, scratch, pieces=pieces)
        self._ops.append(emitted)

    def emit_packed(
        self, code: OpCode, source: int, output: int, params: Params, scratch_bytes: int = 0, most: int = 0
    ) -> None:
        """An op in the packing of this plan's core. `most`: of scratch, where the arena has room for it."""
        scratch = (Scratch(Dtype.INT8, scratch_bytes, most),) if scratch_bytes else ()
        self._ops.append(Emitted(code, (source,), (output,), params, (), self.core, scratch))

    def emit_copy(self, source: int, output: int) -> None:
        """`output` gets the bytes of `source`. Left out where it can lie there from the start."""
        params = whole_copy(self._bytes(source))
        self._ops.append(Emitted(OpCode.COPY, (source,), (output,), params, (0,), copies=True))

    def computed(self, index: int) -> int:
        """The tensor itself, or a copy in the arena where it lies in a constant: outputs are read there."""
        tensor = self._tensors[index]
        if self._tensors[self._storage.root(index)].data is None:
            return index
        copy = self.new(tensor.dtype, tensor.shape)
        self.emit(OpCode.COPY, (index,), copy, whole_copy(self._bytes(index)))
        return copy

    def alias(self, source: int, output: int) -> None:
        """`output` is `source` under another shape: no op, no memory."""
        self._storage.put(output, source)

    def finish(self, graph_inputs: tuple[int, ...], graph_outputs: tuple[int, ...]) -> Placed:
        """The plan's tables. UnsupportedModel where a tensor is of a type that no plan holds."""
        self._drop_unused_states()
        draft = Drafts(
            self._ops,
            self._storage,
            frozenset(self._states),
            (graph_inputs, graph_outputs),
            self._bytes,
            lambda index: self._tensors[index].data is not None,
        ).best()
        self._ops, self._storage, lives = draft.ops, draft.storage, draft.lives
        touched = (i for op in self._ops for i in (*op.inputs, *op.outputs))
        used = list(dict.fromkeys((*graph_inputs, *touched, *graph_outputs, *self._states)))
        roots = list(lives)
        scratch = [(at, one) for at, op in enumerate(self._ops) for one in op.scratch]
        layout = lay_out([*lives.values(), *draft.scratch])
        offsets = dict(zip(roots, layout.offsets[: len(roots)], strict=True))
        numbers = {index: number for number, index in enumerate(used)}
        tensors = [self._place(self._tensors[i], offsets) for i in used]
        temps: dict[int, list[int]] = {}
        for (at, one), offset in zip(scratch, layout.offsets[len(roots) :], strict=True):
            room = one.size_bytes
            if one.most > one.elements and len(self._ops[at].scratch) == 1:
                offset, room = widest_gap(list(lives.values()), layout, at)
            elements = max(one.elements, min(one.most, room // DTYPE_BYTES[one.dtype]))
            temps.setdefault(at, []).append(len(tensors))
            tensors.append(Tensor(offset, Place.ARENA, one.dtype, (elements,)))
        ops = tuple(
            Op(
                op.code,
                tuple(numbers[i] for i in op.inputs),
                tuple(numbers[i] for i in op.outputs),
                op.params,
                tuple(temps.get(at, ())),
                op.variant,
            )
            for at, op in enumerate(self._ops)
        )
        states = tuple(
            State(numbers[i], *self._beginning(self._tensors[i], one)) for i, one in self._states.items()
        )
        return Placed(tuple(tensors), ops, states, layout, bytes(self._constants), numbers)

    def _drop_unused_states(self) -> None:
        used = {i for op in self._ops for i in (*op.inputs, *op.outputs)}
        self._states = {i: one for i, one in self._states.items() if i in used}

    def _beginning(self, tensor: TfTensor, one: _Beginning) -> tuple[int, int | None]:
        """(fill, where the initial bytes are)."""
        if one.initial is None:
            return one.fill, None
        width = DTYPE_BYTES[self._dtype(tensor)]
        value = int.from_bytes(one.initial[:width], "little", signed=True)
        if one.initial == one.initial[:width] * tensor.elements and -(2**15) <= value < 2**15:
            return value, None
        return 0, self._add(one.initial, TABLE_ALIGN)

    def _add(self, blob: bytes, align: int) -> int:
        at = self._placed.get((blob, align))
        if at is None:
            self._constants += bytes(-len(self._constants) % align)
            at = len(self._constants)
            self._constants += blob
            self._placed[blob, align] = at
        return at

    def _bytes(self, index: int) -> int:
        return self._tensors[index].elements * DTYPE_BYTES[self._dtype(self._tensors[index])]

    @staticmethod
    def _dtype(tensor: TfTensor) -> Dtype:
        if tensor.dtype not in DTYPES:
            names = ", ".join(dtype.name for dtype in DTYPES)
            raise UnsupportedModel(f"{tensor} is {tensor.dtype.name}; a plan's tensors are {names}")
        return DTYPES[tensor.dtype]

    def _place(self, tensor: TfTensor, offsets: dict[int, int]) -> Tensor:
        root = self._tensors[self._storage.root(tensor.index)]
        offset = self._storage.offset(tensor.index)
        dtype = self._dtype(tensor)
        if root.data is not None:
            align = max(TABLE_ALIGN, DTYPE_BYTES[dtype])
            return Tensor(self._add(root.data.tobytes(), align) + offset, Place.CONSTANT, dtype, tensor.shape)
        return Tensor(offsets[root.index] + offset, Place.ARENA, dtype, tensor.shape)


def _zero_of(tensor: TfTensor) -> bytes:
    """What TensorFlow Lite Micro's interpreter resets a variable tensor to (ResetTensorData): zero, or the
    zero point of an int8."""
    is_int8 = tensor.dtype is TensorType.INT8 and tensor.zero_points.size > 0
    value = int(tensor.zero_points[0]) % 256 if is_int8 else 0
    width = DTYPE_BYTES[DTYPES[tensor.dtype]] if tensor.dtype in DTYPES else 1
    return bytes([value]) * (tensor.elements * width)


def whole_copy(size_bytes: int) -> CopyParams:
    outer = (1,) * (DIMS_MAX - 1)
    none = (0,) * (DIMS_MAX - 1)
    return CopyParams((*outer, size_bytes), (*none, 1), (*none, 1), 0, 0, 0, 0)  # type: ignore[arg-type]
