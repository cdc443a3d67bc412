"""Numbers of the MCUboot image format as SPEC section 7 uses it (MCUboot docs/design.md, "Image format")."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

IMAGE_MAGIC: Final = 0x96F3B83D
TLV_INFO_MAGIC: Final = 0x6907
TLV_PROTECTED_MAGIC: Final = 0x6908
HEADER_BYTES: Final = 32
MODEL_HEADER_BYTES: Final = 64
FLAG_NON_BOOTABLE: Final = 0x10
FLAG_RAM_LOAD: Final = 0x20
FLAG_ROM_FIXED: Final = 0x100
FIRMWARE_HEADER_BYTES: Final = 0x400
"""Behind it the vector table is aligned for any core."""

PUBKEY_BYTES: Final = 91
SIGNATURE_MAX_BYTES: Final = 72
DEVICE_TYPE_MAX: Final = 32
OPS_MAX: Final = 32


class Tlv(IntEnum):
    PUBKEY = 0x02
    SHA256 = 0x10
    ECDSA_SIG = 0x22
    DEPENDENCY = 0x40
    SEC_CNT = 0x50
    DEVICE_TYPE = 0xA0
    KIND = 0xA1
    CORE = 0xA2
    ABI = 0xA3
    OPS = 0xA4
    CORES = 0xA5


PROTECTED_TLVS: Final = frozenset(
    {Tlv.DEPENDENCY, Tlv.SEC_CNT, Tlv.DEVICE_TYPE, Tlv.KIND, Tlv.CORE, Tlv.ABI, Tlv.OPS, Tlv.CORES}
)
"""These count only in the protected area, the others only outside it."""

TLV_LENGTHS: Final = {
    Tlv.SHA256: (32, 32),
    Tlv.DEPENDENCY: (12, 12),
    Tlv.SEC_CNT: (4, 4),
    Tlv.DEVICE_TYPE: (0, DEVICE_TYPE_MAX),
    Tlv.KIND: (1, 1),
    Tlv.CORE: (1, 1),
    Tlv.ABI: (2, 2),
    Tlv.OPS: (0, OPS_MAX),
    Tlv.CORES: (1, 1),
}
"""Lengths the TLV walk checks. Key and signature have none: a wrong one is an untrusted signer, SIGNATURE."""
