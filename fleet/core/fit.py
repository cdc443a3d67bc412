"""Whether a model or firmware can run on a device at all, by the device's own word (its birth).

Asked before anything is sent: a model that cannot run costs no byte on air. What a birth does not tell (how
the input is wired, what else is stored) the node checks itself; a device that was never heard of is let try.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from tinyfleet.fleet.core.release import Artifact
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result
from tinyfleet.wire.messages import Birth

Release3 = tuple[int, int, int]
"""Major, minor, revision: what dependencies compare."""


@dataclass(frozen=True, slots=True)
class OpUse:
    """One op of a model: its place in the plan and the tensor it makes, an index into the plan's table."""

    code: OpCode
    index: int
    tensor: int


@dataclass(frozen=True, slots=True)
class InputKind:
    """What a window is."""

    sensor: str
    unit: str
    rate_mhz: int
    samples: int
    channels: int

    def __str__(self) -> str:
        return (
            f"{self.samples} x {self.channels} of {self.sensor or 'any sensor'} in {self.unit or 'no unit'} "
            f"at {self.rate_mhz / 1000:g} Hz"
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model is asked and answers. `classes`: it chooses one of several."""

    input: InputKind
    classes: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNeeds:
    """What a model asks of a node. `image_bytes` is its signed image, as it lies in a slot."""

    image_bytes: int
    core: CoreVariant
    abi: int
    arena_bytes: int
    ops: tuple[OpUse, ...]
    firmware: Release3 | None = None
    """It needs a firmware of this version or a newer one."""
    answers: Answers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareOffer:
    """What a firmware brings, by its image. `slot`: it runs in that one alone."""

    image: bytes
    image_bytes: int
    version: Release3
    security_counter: int
    abi: int
    ops: bytes
    cores: frozenset[CoreVariant]
    slot: int | None = None


ReadOffer = Callable[[Artifact], FirmwareOffer]
"""As ReadNeeds, for a firmware."""

ReadNeeds = Callable[[Artifact], ModelNeeds]
"""Raises NotFound or BadInput when the artifact's file is not what it should be."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a model cannot run there, in the words the node would use; `detail` names what is missing."""

    result: Result
    detail: str


@dataclass(frozen=True, slots=True)
class _Runtime:
    """What a model meets on a node: by its birth, or by the firmware that comes with the model."""

    abi: int
    ops: bytes
    cores: frozenset[CoreVariant]
    version: Release3 | None


def misfit(needs: ModelNeeds, birth: Birth) -> Misfit | None:
    """The first reason why this device would refuse the model, None when it says nothing against it.

    A birth without model slots says nothing about room.
    """
    return _misfit(needs, birth, _runtime_of(birth))


def misfit_of_release(
    birth: Birth,
    model: ModelNeeds | None,
    firmware: FirmwareOffer | None,
    running: ModelNeeds | None,
    *,
    changes_model: bool,
) -> Misfit | None:
    """The first reason against a release's firmware or model. `running`: needs of the model that runs now,
    which the firmware must keep, unless the release `changes_model`.
    """
    if firmware is None or firmware.image == birth.firmware.image:
        return None if model is None else misfit(model, birth)
    found = _against_firmware(firmware, birth)
    if found is not None:
        return found
    runtime = _Runtime(firmware.abi, firmware.ops, firmware.cores, firmware.version)
    if model is not None:
        return _misfit(model, birth, runtime)
    if running is None or changes_model:
        return None
    found = _misfit(running, replace(birth, slots=()), runtime)
    if found is None:
        return None
    return Misfit(
        Result.UNSUPPORTED_TYPE, f"the running model could not run on that firmware: {found.detail}"
    )


def _against_firmware(offer: FirmwareOffer, birth: Birth) -> Misfit | None:
    rooms = [slot.size_bytes for slot in birth.slots if slot.kind is ArtifactKind.FIRMWARE]
    if not rooms:
        return Misfit(Result.UNSUPPORTED_TYPE, "the node cannot install firmware: it has no slots for it")
    if offer.image_bytes > max(rooms):
        return Misfit(
            Result.NO_FLASH,
            f"the firmware has {offer.image_bytes} bytes, the largest firmware slot {max(rooms)}",
        )
    if offer.security_counter < birth.firmware.security_counter:
        return Misfit(
            Result.DOWNGRADE,
            f"security counter {offer.security_counter}, the node refuses below "
            f"{birth.firmware.security_counter}",
        )
    if offer.slot is not None and offer.slot == birth.firmware.slot:
        return Misfit(Result.UNSUPPORTED_TYPE, f"linked for slot {offer.slot}, which runs now")
    return None


def _runtime_of(birth: Birth) -> _Runtime:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", birth.firmware.version)
    version = None if numbers is None else (int(numbers[1]), int(numbers[2]), int(numbers[3]))
    return _Runtime(birth.abi, birth.ops, frozenset({CoreVariant.PORTABLE, birth.core}), version)


def _misfit(needs: ModelNeeds, birth: Birth, runtime: _Runtime) -> Misfit | None:
    room_bytes = max((s.size_bytes for s in birth.slots if s.kind is ArtifactKind.MODEL), default=None)
    if room_bytes is not None and needs.image_bytes > room_bytes:
        return Misfit(
            Result.NO_FLASH, f"the image has {needs.image_bytes} bytes, the largest model slot {room_bytes}"
        )
    if needs.firmware is not None and runtime.version is not None and runtime.version < needs.firmware:
        wanted, there = (".".join(map(str, v)) for v in (needs.firmware, runtime.version))
        return Misfit(Result.UNSUPPORTED_TYPE, f"needs firmware {wanted} or newer, the node has {there}")
    if needs.abi != runtime.abi:
        return Misfit(
            Result.UNSUPPORTED_TYPE, f"built for runtime ABI {needs.abi}, the node has {runtime.abi}"
        )
    if needs.core not in runtime.cores:
        names = birth.core.name if len(runtime.cores) > 1 else CoreVariant.PORTABLE.name
        return Misfit(Result.UNSUPPORTED_TYPE, f"packed for core {needs.core.name}, the node has {names}")
    for op in needs.ops:
        if not _has(runtime.ops, op.code):
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
