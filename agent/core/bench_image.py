"""Model images as a bench board takes them: unsigned, for whoever programs its flash holds its SWD port
anyway.

A signed image keeps its digest when key and signature are taken off, as neither is covered by it: what runs
on the bench is what the fleet will run.
"""

from __future__ import annotations

import hashlib
import struct

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.model.device_types import core_of
from tinyfleet.wire.artifact import ABI, decode_artifact
from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.image import Image, read_image, verify_digest
from tinyfleet.wire.image_format import (
    FLAG_NON_BOOTABLE,
    IMAGE_MAGIC,
    MODEL_HEADER_BYTES,
    TLV_INFO_MAGIC,
    TLV_PROTECTED_MAGIC,
    Tlv,
)

_HEADER = struct.Struct("<IIHHIIBBHII")
_TLV = struct.Struct("<HH")


def bench_image(data: bytes, device_type: str, name: str) -> Image:
    """The image to program, from a signed image or from a model's payload. Raises PlanError naming the
    file."""
    try:
        if data[:4] == IMAGE_MAGIC.to_bytes(4, "little"):
            image = _unsigned(read_image(data))
        else:
            image = read_image(wrap_model(data, device_type))
        verify_digest(image)
        decode_artifact(image.payload)
    except WireError as error:
        raise PlanError(f"{name}: no model: {error.what}", "build it: `tinyfleet model build`") from error
    if image.device_type != device_type or image.kind != ArtifactKind.MODEL:
        raise PlanError(
            f"{name} is an image of kind {image.kind} for {image.device_type!r}, "
            f"expected a model for {device_type!r}",
            "give the image signed for this device type, or the model as `tinyfleet model build` wrote it",
        )
    return image


def runnable_image(data: bytes, device_type: str, name: str) -> Image:
    """The same, and packed for a core that the device type has: a board would take any other, and then say
    that it has no model. Raises PlanError naming the file."""
    image = bench_image(data, device_type, name)
    core = decode_artifact(image.payload).core
    fits = sorted({core_of(device_type), CoreVariant.PORTABLE})
    if core not in fits:
        raise PlanError(
            f"{name} is packed for core {core.name}, expected {' or '.join(each.name for each in fits)} "
            f"for {device_type}",
            f"build it again: `tinyfleet model build … --device-type {device_type}`",
        )
    return image


def hashed_bytes(head: bytes, room_bytes: int) -> int | None:
    """How far an image reaches in flash before its last TLVs, by its first 32 bytes; None: there is none, or
    it claims more than `room_bytes`. Nothing is verified."""
    if len(head) < _HEADER.size:
        return None
    magic, _, header, protected, payload, *_ = _HEADER.unpack_from(head)
    reach = int(header) + int(payload) + int(protected)
    return reach if magic == IMAGE_MAGIC and reach + _TLV.size <= room_bytes else None


def tlvs_bytes(head: bytes) -> int | None:
    """Length of the area of last TLVs that begins with these 4 bytes; None: it is none."""
    if len(head) < _TLV.size:
        return None
    magic, total = _TLV.unpack_from(head)
    return int(total) if magic == TLV_INFO_MAGIC else None


def wrap_model(payload: bytes, device_type: str) -> bytes:
    """An unsigned MCUboot image (SPEC section 7) around a model's payload. Raises ArtifactError when it is
    none."""
    plan = decode_artifact(payload)
    major, minor, revision = _version(plan.metadata.version)
    protected = _area(
        TLV_PROTECTED_MAGIC,
        (Tlv.SEC_CNT, (0).to_bytes(4, "little")),
        (Tlv.DEVICE_TYPE, device_type.encode()),
        (Tlv.KIND, bytes([ArtifactKind.MODEL])),
        (Tlv.CORE, bytes([plan.core])),
        (Tlv.ABI, ABI.to_bytes(2, "little")),
    )
    header = _HEADER.pack(
        *(IMAGE_MAGIC, 0, MODEL_HEADER_BYTES, len(protected), len(payload), FLAG_NON_BOOTABLE),
        *(major, minor, revision, 0, 0),
    )
    hashed = header.ljust(MODEL_HEADER_BYTES, b"\0") + payload + protected
    return hashed + _area(TLV_INFO_MAGIC, (Tlv.SHA256, hashlib.sha256(hashed).digest()))


def _unsigned(image: Image) -> Image:
    kept = [(tag, value) for tag, value in image.tlvs if tag not in (Tlv.PUBKEY, Tlv.ECDSA_SIG)]
    return read_image(image.data[: image.header.hashed_bytes] + _area(TLV_INFO_MAGIC, *kept))


def _area(magic: int, *entries: tuple[int, bytes]) -> bytes:
    body = b"".join(_TLV.pack(tag, len(value)) + value for tag, value in entries)
    return _TLV.pack(magic, _TLV.size + len(body)) + body


def _version(text: str) -> tuple[int, int, int]:
    """major, minor, revision as an image's header holds them; what a version says beyond stays in the
    plan."""
    parts = text.split("+")[0].split(".")
    limits = (0xFF, 0xFF, 0xFFFF)
    numbers = [int(part) if part.isascii() and part.isdigit() else 0 for part in (*parts, "0", "0", "0")][:3]
    major, minor, revision = (min(number, limit) for number, limit in zip(numbers, limits, strict=True))
    return major, minor, revision
