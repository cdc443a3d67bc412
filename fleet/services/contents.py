"""What a payload is before it is signed: a compiled model, or a node's firmware or a bench app as binary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinyfleet.fleet.core.flash import map_of
from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.errors import ImageFormatError
from tinyfleet.wire.firmware import bare_place, place_of, read_facts

FIRMWARE_NAME = "firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model payload says of itself (ARTIFACT.md)."""

    name: str
    version: str
    core: CoreVariant
    abi: int
    labels: tuple[str, ...]


ReadModel = Callable[[bytes], ModelFacts]
"""Raises WireError when the payload is no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A model has core and labels; a firmware has ops, cores, an address, and a slot where it runs in one.
    `bare`: a bench app, programmed without its image's header, so that its own version is all it can tell.
    """

    kind: ArtifactKind
    device_type: str
    name: str
    version: str
    abi: int
    core: CoreVariant = CoreVariant.PORTABLE
    labels: tuple[str, ...] = ()
    ops: bytes = b""
    cores: frozenset[CoreVariant] = frozenset()
    address: int = 0
    slot: int | None = None
    bare: bool = False


def content_of(payload: bytes, device_type: str, read_model: ReadModel) -> Content:
    """What `payload` says of itself. Raises WireError when it is neither, BadInput for an unknown board."""
    try:
        firmware = read_facts(payload)
    except ImageFormatError:
        model = read_model(payload)
        return Content(
            kind=ArtifactKind.MODEL,
            device_type=device_type,
            name=model.name,
            version=model.version,
            abi=model.abi,
            core=model.core,
            labels=model.labels,
        )
    place = bare_place(firmware) or place_of(firmware, map_of(firmware.device_type))
    return Content(
        kind=ArtifactKind.FIRMWARE,
        device_type=firmware.device_type,
        name=FIRMWARE_NAME,
        version=firmware.version,
        abi=firmware.abi,
        ops=firmware.ops,
        cores=firmware.cores,
        address=place.address,
        slot=place.slot,
        bare=place.bare,
    )
