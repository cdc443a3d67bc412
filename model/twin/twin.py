"""One loaded plan on the host: the same C code, the same bytes as on a node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet.model.twin.library import open_library
from tinyfleet.wire.artifact import Artifact, ArtifactError, Tensor, decode_artifact
from tinyfleet.wire.artifact_tensors import NUMPY

Int16 = npt.NDArray[np.int16]
Integers = npt.NDArray[Any]
Window = bytes | Integers | Sequence[Integers]

_ALIGN = 16


class ModelStatus(IntEnum):
    """tf_model_status_t of `tinyfleet/runtime.h`."""

    OK = 0
    MALFORMED = 1
    ABI = 2
    CORE = 3
    OP = 4
    ARENA = 5


class PlanRefused(ArtifactError):
    """The node's loader refuses this plan. `where_at`: byte offset in the payload, or the op index for OP."""

    def __init__(self, status: ModelStatus, where_at: int) -> None:
        self.status = status
        self.where_at = where_at
        unit = "op" if status is ModelStatus.OP else "payload, byte"
        super().__init__(f"{unit} {where_at}", expected="a plan the node loads", actual=status.name)


class Twin:
    """A plan loaded by the node's own loader. Not for use by several threads at once: it has one arena.

    Raises ArtifactError for a payload that is no plan, PlanRefused for one that the node refuses,
    TwinBuildError where there is no C compiler.
    """

    def __init__(self, payload: bytes) -> None:
        self.plan: Artifact = decode_artifact(payload)
        self._ffi, self._lib = open_library()
        self._payload = self._aligned(len(payload))
        self._payload[:] = np.frombuffer(payload, np.uint8)
        # uint64_t: the struct holds pointers.
        self._model = self._ffi.new("uint64_t[]", (self._lib.tf_twin_model_bytes() + 7) // 8)
        status = ModelStatus(
            self._lib.tf_twin_load(self._model, self._pointer("uint8_t", self._payload), len(payload))
        )
        if status is not ModelStatus.OK:
            raise PlanRefused(status, self._lib.tf_twin_where(self._model))
        self._arena = self._aligned(max(self.plan.arena_bytes, _ALIGN))
        self.reset()

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.plan.tensors[self.plan.input.tensor].shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.plan.tensors[self.plan.output.tensor].shape

    def reset(self) -> None:
        """What a streaming model remembers, as at its first run. A new Twin is reset."""
        self._lib.tf_model_reset(self._model, self._pointer("uint8_t", self._arena))

    def run(self, window: Window) -> Integers:
        """The first output for one window. What the model remembers goes on from run to run."""
        return self.run_all(window)[0]

    def run_all(self, window: Window) -> list[Integers]:
        """All outputs. `window`: the bytes of all inputs, one behind the other; their values, where all have
        one type; or one array for each input. Shapes do not matter, types do (ValueError)."""
        self._write_input(window)
        status = self._lib.tf_model_run(self._model, self._pointer("uint8_t", self._arena), self._arena.size)
        if status != ModelStatus.OK:
            raise PlanRefused(ModelStatus(status), 0)
        return [self._view(self.plan.tensors[end.tensor]).copy() for end in self.plan.outputs]

    def run_many(self, windows: Integers) -> Integers:
        """Outputs [n, …] for windows [n, …], each from reset."""
        output = self.plan.tensors[self.plan.output.tensor]
        outputs: Integers = np.empty((len(windows), *output.shape), NUMPY[output.dtype])
        for i, window in enumerate(windows):
            self.reset()
            outputs[i] = self.run(window)
        return outputs

    def run_raw(self, raw: Int16) -> Integers:
        """Output for a raw sensor window: what a node does between its sensor and its class."""
        return self.run(self.quantize(raw))

    def quantize(self, raw: Int16) -> Integers:
        """Raw sensor window (i16, unit of the metadata) to input values, as the node does it."""
        source = self.plan.tensors[self.plan.input.tensor]
        values = np.ascontiguousarray(raw, np.int16).reshape(-1)
        self._expect(values.size, prod(source.shape), "values")
        out: Integers = np.empty(values.size, NUMPY[source.dtype])
        self._lib.tf_model_quantize(self._model, self._pointer("int16_t", values), self._pointer("void", out))
        return out

    def scores(self, output: Integers) -> npt.NDArray[np.uint8]:
        """Scores 0..255 of output values, as telemetry counts them."""
        flat = [self._lib.tf_model_score(self._model, int(q)) for q in output.reshape(-1)]
        return np.array(flat, np.uint8).reshape(output.shape)

    def trace(self, window: Window) -> Iterator[tuple[int, Integers]]:
        """Runs op by op: (op index, copy of its first output)."""
        self._write_input(window)
        at = 0
        arena = self._pointer("uint8_t", self._arena)
        for i, op in enumerate(self.plan.ops):
            at = self._lib.tf_twin_step(self._model, at, arena)
            yield i, self._view(self.plan.tensors[op.outputs[0]]).copy()

    def tensor(self, number: int) -> Integers:
        """What the memory of the plan's tensor `number`, one in the arena, holds now (copy)."""
        return self._view(self.plan.tensors[number]).copy()

    def failed_vector(self) -> int | None:
        """Index of the first golden vector whose output differs, as in a node's trial; None: all pass."""
        arena = self._pointer("uint8_t", self._arena)
        for i in range(len(self.plan.vectors)):
            if not self._lib.tf_model_vector_passes(self._model, arena, self._arena.size, i):
                return i
        return None

    def _write_input(self, window: Window) -> None:
        sources = [self.plan.tensors[end.tensor] for end in self.plan.inputs]
        if isinstance(window, bytes):
            content = window
        else:
            parts = [window] if isinstance(window, np.ndarray) else list(window)
            dtypes = [NUMPY[source.dtype] for source in sources]
            wanted = dtypes if len(parts) > 1 else sorted(set(dtypes))
            got = [np.asarray(part).dtype for part in parts]
            if got != [np.dtype(dtype) for dtype in wanted]:
                raise ValueError(
                    f"a window of {self.plan.metadata.name} is {_names(wanted)}, not {_names(got)}; "
                    "quantize() takes raw int16 values"
                )
            content = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
        self._expect(len(content), self.plan.input_bytes, "bytes")
        at = 0
        for source in sources:
            room = self._arena[source.offset : source.offset + source.size_bytes]
            room[:] = np.frombuffer(content, np.uint8, room.size, at)
            at += room.size

    def _expect(self, got: int, expected: int, what: str) -> None:
        if got != expected:
            raise ValueError(f"the window has {got} {what}, {self.plan.metadata.name} takes {expected}")

    def _view(self, tensor: Tensor) -> Integers:
        part = self._arena[tensor.offset : tensor.offset + tensor.size_bytes]
        values: Integers = part.view(NUMPY[tensor.dtype]).reshape(tensor.shape)
        return values

    @staticmethod
    def _aligned(size: int) -> npt.NDArray[np.uint8]:
        room = np.zeros(size + _ALIGN, np.uint8)
        start = -room.ctypes.data % _ALIGN
        return room[start : start + size]

    def _pointer(self, kind: str, array: npt.NDArray[np.generic]) -> object:
        return self._ffi.cast(f"{kind} *", array.ctypes.data)


def _names(dtypes: Iterable[npt.DTypeLike]) -> str:
    return ", ".join(np.dtype(dtype).name for dtype in dtypes)


def runtime_ops() -> frozenset[int]:
    """Op codes of this build of the runtime, as `birth` would report them."""
    ffi, lib = open_library()
    bitmap = ffi.new("uint8_t[32]")
    lib.tf_runtime_ops(bitmap)
    return frozenset(code for code in range(256) if bitmap[code // 8] >> code % 8 & 1)
