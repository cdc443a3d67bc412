"""Golden sets from .npz files, as examples/livestock keeps them.

`windows`: [n, …] int16 raw sensor values, or int8 model input; `labels`: [n], optional. Expected outputs
are the host twin's: the node's own code, run here.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.model.twin import Twin, TwinBuildError
from tinyfleet.wire.errors import WireError

_REPLACE = "give the golden set that belongs to this model"


def load_golden(path: Path, payload: bytes) -> GoldenSet:
    """The set at `path` for the model with that payload. Raises PlanError naming the file."""
    windows, labels = _read(path)
    try:
        twin = Twin(payload)
        if windows.dtype == np.int16:
            inputs = [twin.quantize(window).tobytes() for window in windows]
        else:
            inputs = [window.tobytes() for window in windows]
        outputs = tuple(twin.run(window).tobytes() for window in inputs)
    except ValueError as error:
        raise PlanError(f"{path}: {error}", _REPLACE) from error
    except (WireError, TwinBuildError) as error:
        raise PlanError(f"{path}: the host twin cannot run the model: {error}", "see `make setup`") from error
    return GoldenSet(tuple(inputs), labels, outputs)


def _read(path: Path) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.generic]], tuple[int, ...] | None]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            windows = arrays["windows"]
            labels = tuple(int(x) for x in arrays["labels"]) if "labels" in arrays else None
    except KeyError as error:
        raise PlanError(f"{path} has no array {error.args[0]!r}, expected `windows`", _REPLACE) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise PlanError(f"{path}: not a golden set: {error}", _REPLACE) from error
    if windows.dtype not in (np.int16, np.int8) or windows.ndim < 2 or len(windows) == 0:
        raise PlanError(
            f"{path}: windows are {windows.dtype} of shape {windows.shape}, expected int16 or int8 [n, …]",
            _REPLACE,
        )
    return windows, labels
