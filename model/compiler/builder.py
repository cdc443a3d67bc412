"""Collects what lowering emits (constants, tensors, ops) and turns it into a plan's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.errors import UnsupportedModel
from tinyfleet.model.compiler.memory import ALIGN, Layout, Lifetime, lay_out
from tinyfleet.model.compiler.schema import TensorType
from tinyfleet.model.compiler.tflite import TfGraph, TfTensor
from tinyfleet.wire.artifact import Dtype, Op, Place, Tensor
from tinyfleet.wire.artifact_ops import PACKED, PLAIN, OpCode, Params
from tinyfleet.wire.enums import CoreVariant

WEIGHTS_ALIGN = 16
TABLE_ALIGN = 4


@dataclass(frozen=True, slots=True)
class _Emitted:
    """An op before tensors have offsets. `in_place`: inputs whose memory the output may take over.

    scratch_bytes: of a packed op's one temp; 0 for none.
    """

    code: OpCode
    inputs: tuple[int, ...]
    output: int
    params: Params
    in_place: tuple[int, ...]
    variant: int = PLAIN
    scratch_bytes: int = 0


class Builder:
    """One plan in the making. Values are named by their index in the source's tensor table."""

    def __init__(self, graph: TfGraph, core: CoreVariant = CoreVariant.PORTABLE) -> None:
        self.graph = graph
        self.core = core
        self._constants = bytearray()
        self._placed: dict[tuple[bytes, int], int] = {}
        self._ops: list[_Emitted] = []
        # Tensor -> the tensor whose memory it is in, and where in it: a reshape's output is its input under
        # another shape, a part of a split begins behind the parts before it.
        self._storage: dict[int, tuple[int, int]] = {}

    def weights(self, values: npt.NDArray[np.int8]) -> int:
        """Offset of packed weights in CONSTANTS."""
        return self._add(np.ascontiguousarray(values, "i1").tobytes(), WEIGHTS_ALIGN)

    def table(self, values: Sequence[int], dtype: str) -> int:
        """Offset of a table of integers; equal tables are stored once."""
        return self.blob(np.array(values, dtype).tobytes())

    def blob(self, content: bytes) -> int:
        """Offset of a table of records."""
        return self._add(content, TABLE_ALIGN)

    def records(self, values: npt.NDArray[np.int64], multiple: int) -> int:
        """Offset of channel records [channels][4], filled up to a multiple of what a kernel takes at once."""
        filler = np.zeros((-len(values) % multiple, 4), np.int64)
        filler[:, 3] = 1
        return self._add(np.concatenate([values, filler]).astype("<i4").tobytes(), TABLE_ALIGN)

    def emit(
        self,
        code: OpCode,
        inputs: tuple[int, ...],
        output: int,
        params: Params,
        in_place: tuple[int, ...] = (),
    ) -> None:
        self._ops.append(_Emitted(code, inputs, output, params, in_place))

    def emit_packed(
        self, code: OpCode, source: int, output: int, params: Params, scratch_bytes: int = 0
    ) -> None:
        """An op in the packing of this plan's core."""
        self._ops.append(_Emitted(code, (source,), output, params, (), PACKED, scratch_bytes))

    def alias(self, source: int, output: int) -> None:
        """`output` is `source` under another shape: no op, no memory."""
        self._storage[output] = (source, 0)

    def view(self, source: int, output: int, offset: int) -> bool:
        """`output` is a piece of `source`; False where it would not be aligned."""
        if (self._offset(source) + offset) % ALIGN:
            return False
        self._storage[output] = (source, offset)
        return True

    def home(self, index: int) -> int:
        """The tensor whose memory `index` lies in."""
        return self._root(index)

    def put_inside(self, part: int, whole: int, offset: int) -> bool:
        """`part` is made inside `whole` from the start. False when its memory is settled already: constants,
        what is a piece of another tensor, and where it would not be aligned."""
        if part in self._storage or self.graph.tensors[part].data is not None or offset % ALIGN:
            return False
        if self._root(whole) == part:
            return False
        self._storage[part] = (whole, offset)
        return True

    def finish(
        self, graph_inputs: tuple[int, ...], graph_outputs: tuple[int, ...]
    ) -> tuple[list[Tensor], list[Op], Layout, bytes, dict[int, int]]:
        """(tensors, ops, arena, constants, plan tensor of each source tensor that the plan uses)."""
        used: list[int] = []
        for i in (*graph_inputs, *(i for op in self._ops for i in (*op.inputs, op.output)), *graph_outputs):
            if i not in used:
                used.append(i)
        self._reuse_memory(graph_inputs, graph_outputs)
        lives = self._lifetimes(graph_inputs, graph_outputs)
        roots = list(lives)
        busy = {at: Lifetime(op.scratch_bytes, at, at) for at, op in enumerate(self._ops) if op.scratch_bytes}
        layout = lay_out([*(lives[root] for root in roots), *busy.values()])
        offsets = dict(zip(roots, layout.offsets[: len(roots)], strict=True))
        scratch_offsets = dict(zip(busy, layout.offsets[len(roots) :], strict=True))
        numbers = {index: number for number, index in enumerate(used)}
        tensors = [self._place(self.graph.tensors[i], offsets) for i in used]
        ops = []
        for at, op in enumerate(self._ops):
            temps: tuple[int, ...] = ()
            if at in busy:
                temps = (len(tensors),)
                tensors.append(Tensor(scratch_offsets[at], Place.ARENA, Dtype.INT8, (busy[at].size_bytes,)))
            sources = tuple(numbers[i] for i in op.inputs)
            ops.append(Op(op.code, sources, (numbers[op.output],), op.params, temps, op.variant))
        return tensors, ops, layout, bytes(self._constants), numbers

    def _add(self, blob: bytes, align: int) -> int:
        at = self._placed.get((blob, align))
        if at is None:
            self._constants += bytes(-len(self._constants) % align)
            at = len(self._constants)
            self._constants += blob
            self._placed[blob, align] = at
        return at

    def _root(self, index: int) -> int:
        while index in self._storage:
            index = self._storage[index][0]
        return index

    def _offset(self, index: int) -> int:
        """Where a tensor begins in its root, in bytes (values are int8)."""
        offset = 0
        while index in self._storage:
            index, step = self._storage[index]
            offset += step
        return offset

    def _is_constant(self, index: int) -> bool:
        return self.graph.tensors[self._root(index)].data is not None

    def _place(self, tensor: TfTensor, offsets: dict[int, int]) -> Tensor:
        if tensor.dtype is not TensorType.INT8:
            raise UnsupportedModel(f"{tensor} is {tensor.dtype.name}; the plan's tensors are int8")
        root = self.graph.tensors[self._root(tensor.index)]
        offset = self._offset(tensor.index)
        if root.data is not None:
            at = self._add(root.data.tobytes(), TABLE_ALIGN) + offset
            return Tensor(at, Place.CONSTANT, Dtype.INT8, tensor.shape)
        return Tensor(offsets[root.index] + offset, Place.ARENA, Dtype.INT8, tensor.shape)

    def _lifetimes(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> dict[int, Lifetime]:
        lives: dict[int, Lifetime] = {}

        def touch(index: int, at: int) -> None:
            if self._is_constant(index):
                return
            root = self._root(index)
            life = lives.get(root, Lifetime(self.graph.tensors[root].elements, at, at))
            lives[root] = replace(life, first=min(life.first, at), last=max(life.last, at))

        for i in inputs:
            touch(i, -1)
        for at, op in enumerate(self._ops):
            for i in (*op.inputs, op.output):
                touch(i, at)
        for i in outputs:
            touch(i, len(self._ops))
        return lives

    def _reuse_memory(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        """Lets an output take its input's memory where the op can work in place and the input ends there."""
        for at, op in enumerate(self._ops):
            if op.output in self._storage:
                continue
            lives = self._lifetimes(inputs, outputs)
            for operand in op.in_place:
                root = self._root(op.inputs[operand])
                if self._is_constant(root) or lives[root].last != at:
                    continue
                sharing = [k for k, i in enumerate(op.inputs) if self._root(i) == root]
                same_size = lives[root].size_bytes == self.graph.tensors[op.output].elements
                if same_size and all(k in op.in_place for k in sharing):
                    self.alias(root, op.output)
                    break
