"""What models are fed with when they are compared: sequences of steps from reset.

A step is one array for each input of the plan, in that input's integers. A model without state is reset
before every window, so its sequences have one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import Artifact
from tinyfleet.wire.artifact_tensors import NUMPY

Array = npt.NDArray[Any]
Step = tuple[Array, ...]
Sequences = list[list[Step]]

STREAM_STEPS: Final = 12
"""Steps of a random sequence for a model with state: enough for what it remembers to be used."""
_SIGMAS: Final = (0.02, 0.1, 0.25)


class InputError(ValueError):
    """Given inputs that do not fit the model; the message says what it takes."""


def random_sequences(plan: Artifact, count: int, seed: int, steps: int | None = None) -> Sequences:
    """Noise of several widths around the zero point, so that not everything saturates, the whole range, and
    each end of it."""
    rng = np.random.default_rng(seed)
    length = steps or (STREAM_STEPS if plan.states else 1)
    return [[_random_step(plan, rng, number) for _ in range(length)] for number in range(count)]


def _random_step(plan: Artifact, rng: np.random.Generator, number: int) -> Step:
    arrays = []
    for end in plan.inputs:
        tensor = plan.tensors[end.tensor]
        dtype = np.dtype(NUMPY[tensor.dtype])
        least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        kind = number % (len(_SIGMAS) + 3)
        if kind < len(_SIGMAS):
            noise = rng.normal(end.zero_point, _SIGMAS[kind] * (most - least), tensor.shape)
            arrays.append(np.rint(noise).clip(least, most).astype(dtype))
        elif kind == len(_SIGMAS):
            arrays.append(rng.integers(least, most, tensor.shape, dtype, endpoint=True))
        else:
            edge = least if kind == len(_SIGMAS) + 1 else most
            arrays.append(np.full(tensor.shape, edge, dtype))
    return tuple(arrays)


def given_sequences(
    twin: Twin, arrays: Sequence[Array], scales: Sequence[float], *, raw: bool = False
) -> Sequences:
    """`arrays`: one for each input, each [windows, …]; of a model with state [steps, …], which is one
    sequence, or [sequences, steps, …]. Values: integers of the input's own type; floats are real values,
    quantised by `scales` and the zero point; with `raw`, int16 are raw sensor values that the model's
    metadata scales. Raises InputError.
    """
    plan = twin.plan
    if len(arrays) != len(plan.inputs):
        raise InputError(f"{len(arrays)} arrays of inputs, the model has {len(plan.inputs)} inputs")
    columns = [_windows(twin, number, array, scales[number], raw=raw) for number, array in enumerate(arrays)]
    counts = sorted({len(column) for column in columns})
    if len(counts) > 1 or counts == [0]:
        raise InputError(f"the inputs have {counts} windows; expected as many of each, 1 or more")
    steps = list(zip(*columns, strict=True))
    if not plan.states:
        return [[step] for step in steps]
    length = _steps_of(arrays[0], prod(plan.tensors[plan.input.tensor].shape))
    return [steps[at : at + length] for at in range(0, len(steps), length)]


def _windows(twin: Twin, number: int, array: Array, scale: float, *, raw: bool) -> list[Array]:
    plan = twin.plan
    end = plan.inputs[number]
    tensor = plan.tensors[end.tensor]
    dtype = np.dtype(NUMPY[tensor.dtype])
    elements = prod(tensor.shape)
    if array.size % elements or array.size == 0:
        raise InputError(
            f"input {number} has {array.size} values {array.shape}; expected windows of {elements} "
            f"({'x'.join(map(str, tensor.shape))})"
        )
    flat = array.reshape(-1, elements)
    if raw and array.dtype == np.int16 and number == 0 and end.multiplier:
        return [twin.quantize(np.ascontiguousarray(row)).reshape(tensor.shape) for row in flat]
    if array.dtype.kind == "f":
        limits = np.iinfo(dtype)
        values = np.rint(flat.astype(np.float64) / scale) + end.zero_point
        flat = values.clip(limits.min, limits.max).astype(dtype)
    elif array.dtype != dtype:
        fits = array.dtype.kind in "iu" and _inside(array, dtype)
        if not fits:
            raise InputError(
                f"input {number} is {array.dtype}; expected {dtype}, or floats (real values), or int16 raw "
                "sensor values for a model that says how they are scaled"
            )
        flat = flat.astype(dtype)
    return [row.reshape(tensor.shape) for row in flat]


def _inside(array: Array, dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return bool(array.min() >= limits.min and array.max() <= limits.max)


def _steps_of(array: Array, elements: int) -> int:
    """Steps of a sequence: the dim before those of a window, all windows where there is but one before."""
    for axis in range(array.ndim):
        if prod(array.shape[axis:]) == elements:
            return array.shape[axis - 1] if axis > 0 else 1
    return array.size // elements


def vector_sequences(plan: Artifact) -> Sequences:
    """Those of the golden vectors inside a plan."""
    return [[_split(plan, step.input) for step in vector.steps] for vector in plan.vectors]


def _split(plan: Artifact, content: bytes) -> Step:
    arrays, at = [], 0
    for end in plan.inputs:
        tensor = plan.tensors[end.tensor]
        values = np.frombuffer(content, NUMPY[tensor.dtype], prod(tensor.shape), at)
        arrays.append(values.reshape(tensor.shape))
        at += tensor.size_bytes
    return tuple(arrays)
