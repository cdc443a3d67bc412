"""Whether a board for which an agent speaks may get a firmware: what a node and its bootloader check, in
their order."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass, field

from tinyfleet.agent.core.bridge import Failure
from tinyfleet.agent.core.bridge_check import shortened
from tinyfleet.wire.artifact import ABI, Artifact
from tinyfleet.wire.enums import ArtifactKind, Result
from tinyfleet.wire.errors import ImageError, WireError
from tinyfleet.wire.firmware import FirmwareFacts, bare_place, read_facts
from tinyfleet.wire.image import Accepts, Image, ImageVersion, Verify, check_image, read_image
from tinyfleet.wire.image_format import FLAG_NON_BOOTABLE, FLAG_RAM_LOAD, HEADER_BYTES


@dataclass(frozen=True, slots=True)
class CheckedFirmware:
    """A firmware that may go onto the board. `payload`: as it lies in a bench board's flash."""

    digest: bytes
    counter: int
    version: ImageVersion
    payload: bytes = field(repr=False)


def check_firmware(
    data: bytes,
    wanted: bytes,
    *,
    device_type: str,
    counter: int,
    room_bytes: int | None,
    trusted: Collection[bytes],
    verify: Verify,
    bare: bool,
    running: Artifact | None,
) -> CheckedFirmware | Failure:
    """Whether the board may get the image `data`. `counter`: the lowest security counter it takes;
    `room_bytes` None: it was not asked. `bare`: a bench board, whose flash takes the payload alone; a node
    sees to place and model by itself. `running`: the model that must go on running there."""
    accepts = Accepts(kind=ArtifactKind.FIRMWARE, device_type=device_type, security_counter=counter)
    try:
        image = read_image(data)
        digest = check_image(image, trusted=trusted, verify=verify, accepts=accepts)
    except ImageError as error:
        return Failure(error.result, shortened(str(error)))
    except WireError as error:
        return Failure(Result.INTEGRITY, shortened(str(error)))
    if not hmac.compare_digest(digest, wanted):
        return Failure(Result.INTEGRITY, "the artifact is another image than the wanted one")
    size_bytes = len(image.payload if bare else data)
    if room_bytes is not None and size_bytes > room_bytes:
        return Failure(
            Result.NO_FLASH, f"the firmware has {size_bytes} bytes, the board room for {room_bytes}"
        )
    found = _unfit(image, device_type, running) if bare else None
    if found is not None:
        return Failure(Result.UNSUPPORTED_TYPE, shortened(found))
    return CheckedFirmware(digest, image.security_counter or 0, image.header.version, image.payload)


def _unfit(image: Image, device_type: str, running: Artifact | None) -> str | None:
    """Why a bench board cannot start it, or could not run its model any more."""
    try:
        facts = read_facts(image.payload)
    except WireError as error:
        return f"no bench app: {error}"
    header, place = image.header, bare_place(facts)
    if facts.device_type != device_type:
        return f"built for {facts.device_type}"
    alone = header.header_bytes == HEADER_BYTES and not header.flags & (FLAG_NON_BOOTABLE | FLAG_RAM_LOAD)
    if place is None or not alone or header.load_addr != place.address:
        return "a node's firmware, or linked for another place than the bench app's"
    if header.version.release != tuple(int(part) for part in facts.version.split(".")):
        return f"signed as {header.version}, the app says {facts.version} of itself"
    return None if running is None else _dropped(facts, running)


def _dropped(facts: FirmwareFacts, model: Artifact) -> str | None:
    if facts.abi != ABI:
        return f"it has runtime ABI {facts.abi}, the running model needs {ABI}"
    if model.core not in facts.cores:
        return f"it does not run the running model's core {model.core.name}"
    for op in model.ops:
        if not (op.code // 8 < len(facts.ops) and facts.ops[op.code // 8] >> op.code % 8 & 1):
            return f"it lacks {op.code.name}, which the running model needs"
    return None
