"""One loaded plan on the host: the same C code, the same bytes as on a node."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tinyfleet.model.twin.library import open_library
from tinyfleet.wire.artifact import Artifact, ArtifactError, Tensor, decode_artifact

Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]

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

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.plan.tensors[self.plan.input.tensor].shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.plan.tensors[self.plan.output.tensor].shape

    def run(self, window: bytes | Int8) -> Int8:
        """The first output for one int8 window (as many values as all inputs have, any shape)."""
        return self.run_all(window)[0]

    def run_all(self, window: bytes | Int8) -> list[Int8]:
        """All outputs. Values of several inputs stand one behind the other."""
        self._write_input(window)
        status = self._lib.tf_model_run(self._model, self._pointer("uint8_t", self._arena), self._arena.size)
        if status != ModelStatus.OK:
            raise PlanRefused(ModelStatus(status), 0)
        return [self._view(self.plan.tensors[end.tensor]).copy() for end in self.plan.outputs]

    def run_many(self, windows: Int8) -> Int8:
        """Outputs [n, …] for windows [n, …]."""
        outputs = np.empty((len(windows), *self.output_shape), np.int8)
        for i, window in enumerate(windows):
            outputs[i] = self.run(window)
        return outputs

    def run_raw(self, raw: Int16) -> Int8:
        """Output for a raw sensor window: what a node does between its sensor and its class."""
        return self.run(self.quantize(raw))

    def quantize(self, raw: Int16) -> Int8:
        """Raw sensor window (i16, unit of the metadata) to input bytes, as the node does it."""
        values = np.ascontiguousarray(raw, np.int16).reshape(-1)
        self._expect(values.size, self.plan.tensors[self.plan.input.tensor].size_bytes)
        out = np.empty(values.size, np.int8)
        self._lib.tf_model_quantize(
            self._model, self._pointer("int16_t", values), self._pointer("int8_t", out)
        )
        return out

    def scores(self, output: Int8) -> npt.NDArray[np.uint8]:
        """Scores 0..255 of output values, as telemetry counts them."""
        flat = [self._lib.tf_model_score(self._model, int(q)) for q in output.reshape(-1)]
        return np.array(flat, np.uint8).reshape(output.shape)

    def trace(self, window: bytes | Int8) -> Iterator[tuple[int, Int8]]:
        """Runs op by op: (op index, copy of its output)."""
        self._write_input(window)
        at = 0
        arena = self._pointer("uint8_t", self._arena)
        for i, op in enumerate(self.plan.ops):
            at = self._lib.tf_twin_step(self._model, at, arena)
            yield i, self._view(self.plan.tensors[op.outputs[0]]).copy()

    def failed_vector(self) -> int | None:
        """Index of the first golden vector whose output differs, as in a node's trial; None: all pass."""
        arena = self._pointer("uint8_t", self._arena)
        for i in range(len(self.plan.vectors)):
            self._lib.tf_model_begin_vector(self._model, arena, i)
            self._lib.tf_model_run(self._model, arena, self._arena.size)
            if not self._lib.tf_model_vector_passes(self._model, arena, i):
                return i
        return None

    def _write_input(self, window: bytes | Int8) -> None:
        if isinstance(window, bytes):
            values = np.frombuffer(window, np.int8)
        elif window.dtype == np.int8:
            values = np.ascontiguousarray(window).reshape(-1)
        else:
            raise ValueError(f"a window is int8, not {window.dtype}; quantize() takes raw int16 values")
        self._expect(values.size, self.plan.input_bytes)
        at = 0
        for end in self.plan.inputs:
            room = self._view(self.plan.tensors[end.tensor]).reshape(-1)
            room[:] = values[at : at + room.size]
            at += room.size

    def _expect(self, values: int, expected: int) -> None:
        if values != expected:
            raise ValueError(f"the window has {values} values, {self.plan.metadata.name} takes {expected}")

    def _view(self, tensor: Tensor) -> Int8:
        part = self._arena[tensor.offset : tensor.offset + tensor.size_bytes]
        return part.view(np.int8).reshape(tensor.shape)

    @staticmethod
    def _aligned(size: int) -> npt.NDArray[np.uint8]:
        room = np.zeros(size + _ALIGN, np.uint8)
        start = -room.ctypes.data % _ALIGN
        return room[start : start + size]

    def _pointer(self, kind: str, array: npt.NDArray[np.generic]) -> object:
        return self._ffi.cast(f"{kind} *", array.ctypes.data)


def runtime_ops() -> frozenset[int]:
    """Op codes of this build of the runtime, as `birth` would report them."""
    ffi, lib = open_library()
    bitmap = ffi.new("uint8_t[32]")
    lib.tf_runtime_ops(bitmap)
    return frozenset(code for code in range(256) if bitmap[code // 8] >> code % 8 & 1)
