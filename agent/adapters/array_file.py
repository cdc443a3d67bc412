"""Windows and their labels in .npz files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyfleet.agent.core.errors import PlanError

_REPLACE = "give a golden set: an .npz with `windows` and `labels`"


def read_arrays(path: Path) -> tuple[npt.NDArray[np.generic], tuple[int, ...] | None]:
    """`windows`, and `labels` (one a window) where it has them. Raises PlanError naming the file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            windows: npt.NDArray[np.generic] = arrays["windows"]
            labels = tuple(int(x) for x in arrays["labels"]) if "labels" in arrays else None
    except KeyError as error:
        raise PlanError(f"{path} has no array {error.args[0]!r}, expected `windows`", _REPLACE) from error
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror or error}", _REPLACE) from error
    except (TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # numpy's own words are of pickles, and of trusting the file.
        raise PlanError(f"{path}: expected an .npz file, got something else", _REPLACE) from error
    count = len(windows) if windows.ndim else 0
    if labels is not None and len(labels) != count:
        raise PlanError(f"{path}: {len(labels)} labels for {count} windows", "make it again")
    return windows, labels
