"""Where a model's instructions go, op by op."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from tinyfleet.model.compiler.describe import Summary, describe
from tinyfleet.model.measure.cores import MeasureCore
from tinyfleet.model.measure.errors import MeasureError
from tinyfleet.model.measure.firmware import ready
from tinyfleet.model.measure.run import measure
from tinyfleet.model.twin import ModelStatus, Twin
from tinyfleet.wire.artifact import Vector, decode_artifact, encode_artifact
from tinyfleet.wire.artifact_tensors import NUMPY

_SEED = 1


@dataclass(frozen=True, slots=True)
class OpProfile:
    """instructions: executed, in steps of the core's tick. elements: of what the op makes."""

    index: int
    name: str
    packed: bool
    output: tuple[int, ...]
    instructions: int
    macs: int
    elements: int

    @property
    def per_mac(self) -> float | None:
        return self.instructions / self.macs if self.macs else None

    @property
    def per_element(self) -> float:
        return self.instructions / self.elements


@dataclass(frozen=True, slots=True)
class Profile:
    """run_instructions: an inference whole; load_instructions: loading and checking the plan once.

    given: what the model was fed with, in words. equal: whether the board's answers were the twin's.
    """

    core: MeasureCore
    summary: Summary
    ops: tuple[OpProfile, ...]
    run_instructions: int
    load_instructions: int
    given: str
    equal: bool

    @property
    def op_instructions(self) -> int:
        return sum(op.instructions for op in self.ops)


def profile(core: MeasureCore, payload: bytes) -> Profile:
    """Runs a plan once on the emulated core. MeasureError when it cannot run there."""
    summary = describe(payload)
    fed, given = _with_one_vector(payload)
    room = core.room_bytes - len(fed)
    if summary.arena_bytes > room:
        raise MeasureError(
            f"the plan and its arena of {summary.arena_bytes:,} bytes do not fit the {core.room_bytes:,} "
            f"bytes of memory of the emulated {core.machine}"
        )
    got = measure(core, ready(core), fed)
    if got.status == ModelStatus.CORE:
        raise MeasureError(
            f"the plan is packed for core {summary.core.name}, which {core.label} cannot run: build it for "
            "this device type, or profile the model it was made from"
        )
    if got.status != ModelStatus.OK or not got.ops:
        raise MeasureError(f"the emulated core refuses the plan: {ModelStatus(got.status).name}")
    ops = tuple(
        OpProfile(op.index, op.name, op.packed, op.output, time.instructions, op.macs, prod(op.output))
        for op, time in zip(summary.ops, got.ops, strict=True)
    )
    return Profile(
        core, summary, ops, got.run_instructions, got.load_instructions, given, got.equal == got.vectors
    )


def _with_one_vector(payload: bytes) -> tuple[bytes, str]:
    """The plan with one golden vector to run; a random one, answered by the twin, where it has none."""
    plan = decode_artifact(payload)
    if plan.vectors:
        return encode_artifact(replace(plan, vectors=plan.vectors[:1])), "the first golden vector"
    twin = Twin(payload)
    rng = np.random.default_rng(_SEED)
    window = b""
    for end in plan.inputs:
        tensor = plan.tensors[end.tensor]
        limits = np.iinfo(NUMPY[tensor.dtype])
        values = rng.integers(limits.min, limits.max, tensor.shape, NUMPY[tensor.dtype], endpoint=True)
        window += values.tobytes()
    answer = b"".join(values.tobytes() for values in twin.run_all(window))
    return encode_artifact(replace(plan, vectors=(Vector.single(window, answer),))), "random input"
