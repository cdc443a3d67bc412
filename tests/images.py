"""Images as imgtool makes them (SPEC section 7), signed in memory."""

from __future__ import annotations

import hashlib
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tinyfleet.wire.artifact import ABI
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.image_format import (
    FLAG_NON_BOOTABLE,
    IMAGE_MAGIC,
    MODEL_HEADER_BYTES,
    TLV_INFO_MAGIC,
    TLV_PROTECTED_MAGIC,
    Tlv,
)

Key = ec.EllipticCurvePrivateKey | None
"""None: the image is not signed."""


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def der_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def model_image(content: bytes, key: Key, device_type: str, *, counter: int = 1) -> bytes:
    """Version 1.0.0, packed for any core."""
    extra = ((Tlv.CORE, b"\0"), (Tlv.ABI, ABI.to_bytes(2, "little")))
    return _image(
        *(content, key, device_type, counter, (1, 0, 0), ArtifactKind.MODEL, extra),
        header_bytes=MODEL_HEADER_BYTES,
        flags=FLAG_NON_BOOTABLE,
    )


def firmware_image(
    content: bytes,
    key: Key,
    device_type: str,
    *,
    counter: int = 1,
    version: tuple[int, int, int] = (1, 0, 0),
    header_bytes: int = 32,
    flags: int = 0,
    load_addr: int = 0,
) -> bytes:
    return _image(
        *(content, key, device_type, counter, version, ArtifactKind.FIRMWARE, ()),
        header_bytes=header_bytes,
        flags=flags,
        load_addr=load_addr,
    )


def _image(
    content: bytes,
    key: Key,
    device_type: str,
    counter: int,
    version: tuple[int, int, int],
    kind: ArtifactKind,
    extra: tuple[tuple[int, bytes], ...],
    *,
    header_bytes: int,
    flags: int,
    load_addr: int = 0,
) -> bytes:
    protected = _area(
        TLV_PROTECTED_MAGIC,
        (Tlv.SEC_CNT, counter.to_bytes(4, "little")),
        (Tlv.DEVICE_TYPE, device_type.encode()),
        (Tlv.KIND, bytes([kind])),
        *extra,
    )
    sizes = (load_addr, header_bytes, len(protected), len(content), flags)
    header = struct.pack("<IIHHIIBBHII", IMAGE_MAGIC, *sizes, *version, 0, 0)
    covered = header.ljust(header_bytes, b"\0") + content + protected
    digest = hashlib.sha256(covered).digest()
    tlvs: list[tuple[int, bytes]] = [(Tlv.SHA256, digest)]
    if key is not None:
        signature = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        tlvs += [(Tlv.PUBKEY, der_of(key)), (Tlv.ECDSA_SIG, signature)]
    return covered + _area(TLV_INFO_MAGIC, *tlvs)


def _area(magic: int, *entries: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HH", tag, len(value)) + value for tag, value in entries)
    return struct.pack("<HH", magic, 4 + len(body)) + body
