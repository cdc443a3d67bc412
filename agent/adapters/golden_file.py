"""Golden sets from .npz files, as examples/livestock keeps them.

`windows`: [n, …] int16 raw sensor values, or int8 model input; `labels`: [n], optional. A window of a model
that keeps state may be several inputs, one behind the other: steps from reset, whose last answer counts.
Expected outputs are the host twin's: the node's own code, run here.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyfleet.agent.adapters.array_file import read_arrays
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.model.twin import Twin, TwinBuildError
from tinyfleet.wire.artifact_metadata import OutputKind
from tinyfleet.wire.artifact_tensors import DTYPE_BYTES
from tinyfleet.wire.errors import WireError

_REPLACE = "give the golden set that belongs to this model"


def load_golden(path: Path, payload: bytes) -> GoldenSet:
    """The set at `path` for the model with that payload. Raises PlanError naming the file."""
    windows, labels = _read(path)
    try:
        twin = Twin(payload)
        sequences = [_steps(twin, window) for window in windows]
        outputs = tuple(_last_output(twin, steps) for steps in sequences)
    except ValueError as error:
        raise PlanError(f"{path}: {error}", _REPLACE) from error
    except (WireError, TwinBuildError) as error:
        raise PlanError(f"{path}: the host twin cannot run the model: {error}", "see `make setup`") from error
    inputs = tuple(b"".join(steps) for steps in sequences)
    width = DTYPE_BYTES[twin.plan.tensors[twin.plan.output.tensor].dtype]
    metadata = twin.plan.metadata
    classes = len(metadata.labels) if metadata.output_kind is OutputKind.CLASSES else 0
    scores = tuple(map(int, twin.scores(np.arange(-128, 128, dtype=np.int8)))) if width == 1 else ()
    return GoldenSet(inputs, labels, outputs, width, classes, scores)


def _steps(twin: Twin, window: npt.NDArray[np.generic]) -> list[bytes]:
    """The model's inputs in a window. ValueError when it is none, or several of a model without state."""
    values = prod(twin.input_shape)
    flat = window.reshape(-1)
    count = flat.size // values if twin.plan.states and flat.size % values == 0 else 1
    parts = np.split(flat, count)
    if window.dtype == np.int16 and twin.plan.input.multiplier:
        return [twin.quantize(part.astype(np.int16)).tobytes() for part in parts]
    return [part.tobytes() for part in parts]


def _last_output(twin: Twin, steps: list[bytes]) -> bytes:
    twin.reset()
    return [twin.run(step) for step in steps][-1].tobytes()


def _read(path: Path) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.generic]], tuple[int, ...] | None]:
    windows, labels = read_arrays(path)
    if windows.dtype not in (np.int16, np.int8) or windows.ndim < 2 or len(windows) == 0:
        raise PlanError(
            f"{path}: windows are {windows.dtype} of shape {windows.shape}, expected int16 or int8 [n, …]",
            _REPLACE,
        )
    return windows, labels
