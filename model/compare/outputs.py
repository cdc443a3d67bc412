"""What two models answer to the same inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compare.windows import InputError, Sequences, Step
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import OutputKind
from tinyfleet.wire.artifact_tensors import NUMPY

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class OutputsDiff:
    """Of the first output of each step. equal: steps whose real values are the same in both.

    agreeing: steps with the same best class; None for models that do not classify. flips: (class of a, class
    of b): how often. Changes are in real units, of b against a.
    """

    steps: int
    equal: int
    agreeing: int | None
    flips: dict[tuple[int, int], int]
    largest: float
    largest_at: tuple[int, int, int]
    """Sequence, step, element."""
    mean: float


def compare_outputs(a: Twin, b: Twin, of_a: Sequences, of_b: Sequences) -> OutputsDiff:
    """Runs both, each from reset at every sequence. InputError when their outputs have not the same size."""
    ends = [twin.plan.tensors[twin.plan.output.tensor] for twin in (a, b)]
    if ends[0].shape != ends[1].shape:
        shapes = [" x ".join(map(str, end.shape)) for end in ends]
        raise InputError(f"outputs are {shapes[0]} and {shapes[1]}: nothing to compare one by one")
    classify = a.plan.metadata.output_kind is OutputKind.CLASSES
    steps = equal = agreeing = 0
    flips: Counter[tuple[int, int]] = Counter()
    largest, where, total, count = 0.0, (0, 0, 0), 0.0, 0
    for number, (left, right) in enumerate(zip(of_a, of_b, strict=True)):
        a.reset()
        b.reset()
        for step, (mine, other) in enumerate(zip(left, right, strict=True)):
            before, after = _real(a, [*mine]), _real(b, [*other])
            change = after - before
            steps += 1
            equal += not change.any()
            at = int(np.argmax(np.abs(change)))
            if abs(change[at]) > abs(largest):
                largest, where = float(change[at]), (number, step, at)
            total, count = total + float(np.abs(change).sum()), count + change.size
            best = int(np.argmax(before)), int(np.argmax(after))
            agreeing += best[0] == best[1]
            if best[0] != best[1]:
                flips[best] += 1
    return OutputsDiff(
        steps=steps,
        equal=equal,
        agreeing=agreeing if classify else None,
        flips=dict(flips.most_common()) if classify else {},
        largest=largest,
        largest_at=where,
        mean=total / max(count, 1),
    )


def converted(sequences: Sequences, a: Twin, b: Twin) -> Sequences:
    """Sequences of a's integers as b's, by the real values they stand for. InputError when inputs differ in
    number or size; those behind the first keep their integers, a plan has no scale for them."""
    left = [a.plan.tensors[end.tensor] for end in a.plan.inputs]
    right = [b.plan.tensors[end.tensor] for end in b.plan.inputs]
    if [np.prod(t.shape) for t in left] != [np.prod(t.shape) for t in right]:
        shapes = [" + ".join("x".join(map(str, t.shape)) for t in side) for side in (left, right)]
        raise InputError(f"inputs are {shapes[0]} and {shapes[1]}: no window fits both")
    return [[_converted_step(step, a, b) for step in sequence] for sequence in sequences]


def _converted_step(step: Step, a: Twin, b: Twin) -> Step:
    found = []
    for number, values in enumerate(step):
        end = b.plan.inputs[number]
        tensor = b.plan.tensors[end.tensor]
        dtype = np.dtype(NUMPY[tensor.dtype])
        wide = values.astype(np.int64)
        if number == 0 and not _same_scaling(a, b):
            real = (wide - a.plan.input.zero_point) * a.plan.metadata.input_scale
            wide = np.rint(real / b.plan.metadata.input_scale).astype(np.int64) + end.zero_point
        limits = np.iinfo(dtype)
        found.append(wide.clip(limits.min, limits.max).astype(dtype).reshape(tensor.shape))
    return tuple(found)


def _same_scaling(a: Twin, b: Twin) -> bool:
    return (
        a.plan.input.zero_point == b.plan.input.zero_point
        and a.plan.metadata.input_scale == b.plan.metadata.input_scale
    )


def _real(twin: Twin, window: list[Array]) -> npt.NDArray[np.float64]:
    values = twin.run(window).reshape(-1).astype(np.float64)
    real: npt.NDArray[np.float64] = (values - twin.plan.output.zero_point) * twin.plan.metadata.output_scale
    return real
