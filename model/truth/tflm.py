"""Our side of the process that runs TFLM."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from math import prod
from typing import Any, Final, Self

import numpy as np

from tinyfleet.model.compiler.tflite import TfGraph, read_tflite
from tinyfleet.model.truth.errors import TruthError, WheelMissing
from tinyfleet.model.truth.frames import Array, receive, send

WHEEL: Final = "tflite-micro"
PINNED: Final = "0.dev20261023182759"
"""The version that every kernel is held against (requirements-truth.txt)."""
_ROOM_BYTES: Final = 2**22
_LAST_WORDS: Final = 3


def wheel_version() -> str | None:
    try:
        return version(WHEEL)
    except PackageNotFoundError:
        return None


class Tflm:
    """One model in TFLM, every intermediate tensor kept. A context manager: leaving it ends the process.

    Raises WheelMissing, TruthError.
    """

    def __init__(self, tflite: bytes) -> None:
        if wheel_version() is None:
            raise WheelMissing(
                f"{WHEEL} is not installed here, so there is nothing to compare with: pip install "
                f"{WHEEL}=={PINNED} flatbuffers (from a checkout: pip install -r requirements-truth.txt)"
            )
        self._graph = read_tflite(tflite)
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tinyfleet.model.truth.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
        )
        try:
            self._ask({"do": "load", "arena_bytes": _arena_bytes(self._graph, tflite)}, [_as_array(tflite)])
        except TruthError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        self._process.kill()
        self._process.wait()
        self._words.close()

    def reset(self) -> None:
        self._ask({"do": "reset"})

    def run(self, inputs: Sequence[Array]) -> None:
        """One step. Arrays in the order and with the types of the model's inputs, any shape."""
        shaped = []
        for index, values in zip(self._graph.inputs, inputs, strict=True):
            shaped.append(values.reshape(self._graph.tensors[index].shape))
        self._ask({"do": "run"}, shaped)

    def tensor(self, index: int) -> Array:
        """Tensor `index` of the graph after the last step."""
        if not 0 <= index < len(self._graph.tensors):
            raise ValueError(f"tensor {index} of {len(self._graph.tensors)}")
        return self._ask({"do": "tensor", "index": index})[0]

    def _ask(self, say: dict[str, Any], arrays: Sequence[Array] = ()) -> list[Array]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        try:
            send(self._process.stdin, say, arrays)
            said, found = receive(self._process.stdout)
        except (EOFError, BrokenPipeError) as error:
            status = self._process.wait()
            raise TruthError(
                f"TensorFlow Lite Micro ended (status {status}) while it was to {say['do']}: "
                f"{self._last_words()}"
            ) from error
        if not said["ok"]:
            raise TruthError(
                f"TensorFlow Lite Micro cannot {say['do']} this model: {said['why']}; {self._last_words()}"
            )
        return found

    def _last_words(self) -> str:
        self._words.seek(0)
        lines = [line.strip() for line in self._words.read().decode("utf-8", "replace").splitlines()]
        lines = [line for line in lines if line]
        return " / ".join(lines[-_LAST_WORDS:]) or "it said nothing"


def _as_array(data: bytes) -> Array:
    return np.frombuffer(data, np.uint8)


def _arena_bytes(graph: TfGraph, tflite: bytes) -> int:
    """Room for all activations at once, and for what TFLM keeps beside them."""
    activations = sum(8 * prod(tensor.shape) for tensor in graph.tensors if tensor.data is None)
    return 4 * len(tflite) + 2 * activations + _ROOM_BYTES
