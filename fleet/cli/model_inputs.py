"""Inputs from a file, for commands that feed a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np

from tinyfleet.fleet.cli.model_file import FILE
from tinyfleet.fleet.core.errors import BadInput

if TYPE_CHECKING:
    from tinyfleet.model.compare import Sequences
    from tinyfleet.model.twin import Twin

INPUTS_MAX_BYTES: Final = 2**30
_WINDOWS: Final = "windows"


def inputs_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--inputs",
        type=FILE,
        help="Windows to feed: .npy [windows, …] of int8, of floats (real values) or of int16 raw sensor "
        "values; .npz with an array for each input, in order (or one named windows).",
    )(function)


def read_arrays(path: Path) -> list[np.ndarray[Any, Any]]:
    """The arrays of an .npy or .npz, never an object of Python. BadInput."""
    if path.stat().st_size > INPUTS_MAX_BYTES:
        raise BadInput(f"{path} has more than {INPUTS_MAX_BYTES:,} bytes: give fewer windows")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return [loaded]
        with loaded:
            names = [_WINDOWS] if _WINDOWS in loaded.files else loaded.files
            return [loaded[name] for name in names]
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise BadInput(f"{path} is no .npy or .npz of numbers: {error}") from error


def read_inputs(path: Path, twin: Twin) -> Sequences:
    """Raises BadInput saying what the model takes."""
    from tinyfleet.model.compare import InputError, given_sequences

    arrays = read_arrays(path)
    metadata = twin.plan.metadata
    scales = [metadata.input_scale] * len(arrays)
    if len(arrays) > 1 and any(array.dtype.kind == "f" for array in arrays[1:]):
        raise BadInput(
            f"{path}: floats for the first input only; a plan has no scale for the others: give integers"
        )
    try:
        return given_sequences(twin, arrays, scales, raw=True)
    except InputError as error:
        raise BadInput(f"{path}: {error}") from error
