"""The process that runs TFLM: what it does not expect ends it, not us (a tensor index too large is enough).

Started as `python -m tinyfleet.model.truth.child`; commands on standard input, answers on what was
standard output; TFLM's own words go to standard error.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from tinyfleet.model.truth.frames import Array, receive, send


class Child:
    def __init__(self, tflite: bytes, arena_bytes: int) -> None:
        self._tflite = tflite
        self._arena_bytes = arena_bytes
        self.reset()

    def reset(self) -> None:
        """A new interpreter: its state is that of a first run, however a kernel keeps it."""
        from tflite_micro.python.tflite_micro import runtime

        self._interpreter: Any = runtime.Interpreter.from_bytes(
            self._tflite,
            arena_size=self._arena_bytes,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )

    def run(self, inputs: list[Array]) -> None:
        for i, values in enumerate(inputs):
            self._interpreter.set_input(values, i)
        self._interpreter.invoke()

    def tensor(self, index: int) -> Array:
        return np.ascontiguousarray(self._interpreter.GetTensor(index, 0)["tensor_data"])


def main() -> None:
    # TFLM prints to standard output, too: what is ours gets a file descriptor of its own.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    child: Child | None = None
    while True:
        try:
            said, arrays = receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            found: list[Array] = []
            if said["do"] == "load":
                child = Child(arrays[0].tobytes(), said["arena_bytes"])
            elif child is not None and said["do"] == "reset":
                child.reset()
            elif child is not None and said["do"] == "run":
                child.run(arrays)
            elif child is not None and said["do"] == "tensor":
                found = [child.tensor(said["index"])]
            send(answers, {"ok": True}, found)
        except Exception as error:  # the other side tells it on
            send(answers, {"ok": False, "why": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
