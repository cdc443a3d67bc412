"""Golden inputs of a ModelSpec to golden vectors: sequences of steps from reset, run by the host twin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyfleet.model.compiler.errors import SpecError
from tinyfleet.model.compiler.spec import Golden, ModelSpec, Raw, Window
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import Step, Vector
from tinyfleet.wire.artifact_tensors import NUMPY


def golden_vectors(twin: Twin, spec: ModelSpec) -> tuple[Vector, ...]:
    """Those of `golden_inputs`, then of `golden_raw`. SpecError when they do not fit the model."""
    if spec.golden_raw and spec.input.raw_scale is None:
        raise SpecError("golden_raw needs input.raw_scale: what one raw step means to the model")
    sequences = [_steps(twin, one) for one in spec.golden_inputs]
    sequences += [_raw_steps(twin, one) for one in spec.golden_raw]
    lengths = sorted({len(steps) for steps in sequences})
    if len(lengths) > 1 or 0 in lengths:
        raise SpecError(f"golden inputs have {lengths} steps; all must have the same number, 1 or more")
    for i, steps in enumerate(sequences):
        for step in steps:
            if len(step) != twin.plan.input_bytes:
                raise SpecError(
                    f"golden input {i} has {len(step)} bytes, the model takes {twin.plan.input_bytes}"
                )
    return tuple(_vector(twin, steps) for steps in sequences)


def _vector(twin: Twin, steps: Sequence[bytes]) -> Vector:
    twin.reset()
    return Vector(tuple(Step(step, b"".join(y.tobytes() for y in twin.run_all(step))) for step in steps))


def _steps(twin: Twin, golden: Golden) -> list[bytes]:
    if isinstance(golden, bytes | np.ndarray):
        return [_bytes(twin, golden)]
    return [_bytes(twin, step) for step in golden]


def _bytes(twin: Twin, window: Window) -> bytes:
    """A window's values in the type of the model's inputs, whatever smaller integers they came as."""
    if isinstance(window, bytes):
        return window
    dtype = NUMPY[twin.plan.tensors[twin.plan.input.tensor].dtype]
    return window.astype(dtype, casting="safe").tobytes()


def _raw_steps(twin: Twin, golden: Raw) -> list[bytes]:
    steps = [golden] if isinstance(golden, np.ndarray) else golden
    return [twin.quantize(raw).tobytes() for raw in steps]
