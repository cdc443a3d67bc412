"""The host twin held against TensorFlow Lite Micro: every tensor that both have, after every op."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compare.unwritten import Unwritten, masked
from tinyfleet.model.compare.windows import Sequences, Step
from tinyfleet.model.compiler.fold import fold
from tinyfleet.model.compiler.schema import TensorType
from tinyfleet.model.compiler.tflite import TfGraph, read_tflite
from tinyfleet.model.truth import Tflm
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import Place, Tensor

Array = npt.NDArray[Any]

_COMPARED: Final = frozenset(
    {
        TensorType.INT8,
        TensorType.UINT8,
        TensorType.INT16,
        TensorType.INT32,
        TensorType.INT64,
        TensorType.UINT32,
        TensorType.UINT16,
        TensorType.UINT64,
        TensorType.BOOL,
    }
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that is not the same. sequence, step: of the first window where it differs.

    op: number in the plan, -1 for an input. tensor, name: the model's own. largest: of all values, as ours
    minus theirs. place: indices of the first value that differs.
    """

    op: int
    op_name: str
    tensor: int
    name: str
    sequence: int
    step: int
    shape: tuple[int, ...]
    differing: int
    values: int
    largest: int
    place: tuple[int, ...]
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """tensors: how many were compared at each step; elsewhere: what the model's ops make and the plan has not
    (folded away), or keeps as state. first: the earliest op's, over all windows.

    differing: windows in which something differs.
    """

    sequences: int
    steps: int
    tensors: int
    elsewhere: int
    first: Difference | None
    differing: int


def check(tflite: bytes, payload: bytes, numbers: dict[int, int], sequences: Sequences) -> CheckResult:
    """`numbers`: plan tensor of each tensor of the model (`lower_named`). Raises WheelMissing, TruthError."""
    pair = _Pair(tflite, payload, numbers)
    with Tflm(tflite) as tflm:
        for number, sequence in enumerate(sequences):
            if number:
                tflm.reset()
            pair.twin.reset()
            for step, window in enumerate(sequence):
                pair.step(tflm, window, number, step)
    return CheckResult(
        sequences=len(sequences),
        steps=max((len(sequence) for sequence in sequences), default=0),
        tensors=pair.compared,
        elsewhere=pair.elsewhere,
        first=pair.first,
        differing=len(pair.differing),
    )


class _Pair:
    def __init__(self, tflite: bytes, payload: bytes, numbers: dict[int, int]) -> None:
        self.twin = Twin(payload)
        self.graph: TfGraph = read_tflite(tflite)
        self._folded = fold(self.graph)
        self._origins = {
            number: index for index, number in numbers.items() if self._comparable(index, number)
        }
        self._finished = self._finishing_ops()
        self.compared = sum(map(len, self._finished.values()))
        made = {i for op in self.graph.ops for i in op.outputs}
        self.elsewhere = len(made) - self.compared
        self._unwritten = Unwritten(self.graph)
        self.first: Difference | None = None
        self.differing: set[int] = set()

    def step(self, tflm: Tflm, window: Step, sequence: int, step: int) -> None:
        tflm.run(self._as_the_model_takes_it(window))
        unwritten = self._unwritten
        waits = [unwritten.behind(flag) for flag in unwritten.flags if not tflm.tensor(flag).any()]
        for op, tensor, ours in self._values(window):
            index = self._origins[tensor]
            if any(index in behind for behind in waits):
                continue
            written = unwritten.written(index)
            ours = masked(ours, written)
            theirs = masked(_comparable_values(tflm.tensor(index), ours), written)
            if np.array_equal(ours, theirs):
                continue
            self.differing.add(sequence)
            if self.first is None or op < self.first.op:
                self.first = self._difference(op, tensor, ours, theirs, sequence, step)

    def _values(self, window: Step) -> Iterator[tuple[int, int, Array]]:
        """(op, plan tensor, values) of each tensor that is compared, when it is whole."""
        for op, _ in self.twin.trace([*window]):
            for tensor in self._finished.get(op, ()):
                yield op, tensor, self.twin.tensor(tensor)

    def _finishing_ops(self) -> dict[int, list[int]]:
        """Tensors by the op after which they are whole: the last that writes into their memory before anybody
        reads them. What is made of parts, with no op of its own, is whole before its first reader."""
        plan = self.twin.plan
        finished: dict[int, list[int]] = {}
        for tensor in self._origins:
            writers = [i for i, op in enumerate(plan.ops) if tensor in op.outputs]
            readers = [i for i, op in enumerate(plan.ops) if tensor in op.inputs]
            if writers:
                finished.setdefault(self._last_part(writers[-1], tensor), []).append(tensor)
            elif readers and readers[0] > 0:
                finished.setdefault(readers[0] - 1, []).append(tensor)
            elif not readers and any(end.tensor == tensor for end in plan.outputs):
                finished.setdefault(len(plan.ops) - 1, []).append(tensor)
        return finished

    def _last_part(self, op: int, tensor: int) -> int:
        """The last op, from `op` on, that writes a part of the tensor before anybody reads it."""
        plan = self.twin.plan
        whole = plan.tensors[tensor]
        last = op
        for i in range(op + 1, len(plan.ops)):
            if any(_meet(plan.tensors[t], whole) for t in plan.ops[i].inputs):
                break
            written = [plan.tensors[t] for t in (*plan.ops[i].outputs, *plan.ops[i].temps)]
            parts = [part for part in written if _meet(part, whole)]
            if any(part.size_bytes >= whole.size_bytes for part in parts):
                break
            last = i if parts else last
        return last

    def _comparable(self, index: int, number: int) -> bool:
        if index >= len(self.graph.tensors):
            return False
        tensor, plan = self.graph.tensors[index], self.twin.plan
        # State is what it was before a run or after it, and TFLM is asked after it.
        kept = tensor.is_variable or any(state.tensor == number for state in plan.states)
        in_arena = plan.tensors[number].place is Place.ARENA
        return tensor.data is None and tensor.dtype in _COMPARED and in_arena and not kept

    def _as_the_model_takes_it(self, window: Step) -> list[Array]:
        """Where the model's own input is float or uint8, the value that the plan's integer stands for."""
        values = []
        for array, index, folded in zip(window, self.graph.inputs, self._folded.inputs, strict=True):
            dtype = self.graph.tensors[index].dtype
            if dtype is TensorType.UINT8:
                array = (array.view(np.uint8) ^ 0x80).astype(np.uint8)
            elif dtype is TensorType.FLOAT32:
                known = self._folded.tensors[folded]
                array = (array.astype(np.int64) - int(known.zero_points[0])).astype(
                    np.float32
                ) * known.scales[0]
            values.append(array)
        return values

    def _difference(
        self, op: int, tensor: int, ours: Array, theirs: Array, sequence: int, step: int
    ) -> Difference:
        index = self._origins[tensor]
        wrong = ours.reshape(-1) != theirs.reshape(-1)
        gap = ours.reshape(-1).astype(np.int64) - theirs.reshape(-1).astype(np.int64)
        at = int(np.argmax(wrong))
        return Difference(
            op=op,
            op_name=self.twin.plan.ops[op].code.name,
            tensor=index,
            name=self.graph.tensors[index].name,
            sequence=sequence,
            step=step,
            shape=ours.shape,
            differing=int(wrong.sum()),
            values=ours.size,
            largest=int(gap[np.argmax(np.abs(gap))]),
            place=tuple(int(i) for i in np.unravel_index(at, ours.shape)),
            ours=int(ours.reshape(-1)[at]),
            theirs=int(theirs.reshape(-1)[at]),
        )


def _meet(a: Tensor, b: Tensor) -> bool:
    if a.place is not b.place:
        return False
    return a.offset < b.offset + b.size_bytes and b.offset < a.offset + a.size_bytes


def _comparable_values(theirs: Array, ours: Array) -> Array:
    """Their values in our type and shape: uint8 is the same byte with its top bit flipped."""
    if theirs.dtype == np.uint8 and ours.dtype == np.int8:
        theirs = (theirs ^ 0x80).view(np.int8)
    return theirs.reshape(ours.shape)
