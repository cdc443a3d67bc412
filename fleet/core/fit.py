"""Whether a model can run on a device at all, by the device's own word (its birth).

Asked before anything is sent: a model that cannot run costs no byte on air. What a birth does not tell (how
the input is wired, what else is stored) the node checks itself; a device that was never heard of is let try.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinyfleet.fleet.core.release import Artifact
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result
from tinyfleet.wire.messages import Birth


@dataclass(frozen=True, slots=True)
class OpUse:
    """One op of a model: its place in the plan and the tensor it makes, an index into the plan's table."""

    code: OpCode
    index: int
    tensor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNeeds:
    """What a model asks of a node. `image_bytes` is its signed image, as it lies in a slot."""

    image_bytes: int
    core: CoreVariant
    abi: int
    arena_bytes: int
    ops: tuple[OpUse, ...]


ReadNeeds = Callable[[Artifact], ModelNeeds]
"""Raises NotFound or BadInput when the artifact's file is not what it should be."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a model cannot run there, in the words the node would use; `detail` names what is missing."""

    result: Result
    detail: str


def misfit(needs: ModelNeeds, birth: Birth) -> Misfit | None:
    """The first reason why this device would refuse the model, None when it says nothing against it.

    A birth without model slots says nothing about room.
    """
    room_bytes = max((s.size_bytes for s in birth.slots if s.kind is ArtifactKind.MODEL), default=None)
    if room_bytes is not None and needs.image_bytes > room_bytes:
        return Misfit(
            Result.NO_FLASH, f"the image has {needs.image_bytes} bytes, the largest model slot {room_bytes}"
        )
    if needs.abi != birth.abi:
        return Misfit(Result.UNSUPPORTED_TYPE, f"built for runtime ABI {needs.abi}, the node has {birth.abi}")
    if needs.core not in (CoreVariant.PORTABLE, birth.core):
        return Misfit(
            Result.UNSUPPORTED_TYPE, f"packed for core {needs.core.name}, the node has {birth.core.name}"
        )
    for op in needs.ops:
        if not _has(birth.ops, op.code):
            return Misfit(
                Result.OP_MISSING, f"the node lacks {op.code.name}: op {op.index}, tensor {op.tensor}"
            )
    if needs.arena_bytes > birth.arena_bytes:
        return Misfit(
            Result.ARENA_TOO_SMALL,
            f"the model needs an arena of {needs.arena_bytes} bytes, the node has {birth.arena_bytes}",
        )
    return None


def _has(ops: bytes, code: OpCode) -> bool:
    """Bit n of byte n/8 is op code n (SPEC section 3, birth)."""
    return code // 8 < len(ops) and bool(ops[code // 8] >> code % 8 & 1)
