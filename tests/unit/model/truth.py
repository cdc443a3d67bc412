"""TensorFlow Lite Micro's own answers, from the pinned PyPI wheel."""

from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest

from tinyfleet.model.truth import PINNED


def wheel():
    """The wheel's runtime module; skips, saying why, where it is absent or another version."""
    try:
        found = version("tflite-micro")
    except PackageNotFoundError:
        pytest.skip(f"tflite-micro=={PINNED} is not installed; exactness against TFLM was not tested")
    if found != PINNED:
        pytest.skip(f"tflite-micro is {found}, the truth is {PINNED}; exactness against TFLM was not tested")
    return pytest.importorskip("tflite_micro.python.tflite_micro.runtime")


class Truth:
    """One model in TFLM, every intermediate tensor kept."""

    def __init__(self, tflite: bytes) -> None:
        runtime = wheel()
        self._interpreter = runtime.Interpreter.from_bytes(
            tflite,
            arena_size=4 * len(tflite) + 2**20,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )
        self.input_shape = tuple(self._interpreter.get_input_details(0)["shape"])

    def run(self, window: np.ndarray) -> np.ndarray:
        self._interpreter.set_input(window.reshape(self.input_shape), 0)
        self._interpreter.invoke()
        return self._interpreter.get_output(0)

    def run_all(self, window: np.ndarray, inputs: int, outputs: int) -> list[np.ndarray]:
        """All outputs for int8 inputs, one behind the other in `window`.

        A model of floats or uint8 at the edges gets the value that the int8 one stands for, and its answer is
        taken back the same way.
        """
        at = 0
        for i in range(inputs):
            details = self._interpreter.get_input_details(i)
            shape = tuple(details["shape"])
            size = int(np.prod(shape))
            values = window.reshape(-1)[at : at + size].reshape(shape)
            at += size
            if details["dtype"] == np.uint8:
                values = (values.view(np.uint8) ^ 0x80).astype(np.uint8)
            self._interpreter.set_input(values, i)
        self._interpreter.invoke()
        found = [self._interpreter.get_output(i) for i in range(outputs)]
        return [(y ^ 0x80).view(np.int8) if y.dtype == np.uint8 else y for y in found]

    def run_each(self, inputs: list[np.ndarray], outputs: int) -> list[np.ndarray]:
        """All outputs for inputs of their own types; what the model remembers goes on from the last run."""
        for i, values in enumerate(inputs):
            self._interpreter.set_input(values, i)
        self._interpreter.invoke()
        return [self._interpreter.get_output(i) for i in range(outputs)]

    def tensor(self, index: int) -> np.ndarray:
        """Tensor `index` of the graph after the last run."""
        return self._interpreter.GetTensor(index, 0)["tensor_data"]
