"""What pyOCD must know of a machine it has no own support for: memory map and flash algorithm.

`microbit` needs nothing: pyOCD's own nRF51 support, real flash algorithm included, drives it.
"""

from __future__ import annotations

import struct
from typing import Any

from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
from pyocd.coresight.coresight_target import CoreSightTarget
from pyocd.target import TARGET

from pyocd_qemu.machines import MPS2_AN386, MPS2_AN500, Machine

_SECTOR_BYTES = 0x1000
_LOAD_ADDRESS = 0x20200000
_HEADER_WORDS = 8

# flash_algorithm.s, assembled; a test assembles it again and compares.
CODE = bytes.fromhex(
    "0020704701231b03c3180022d24304c09842fcd100207047890805d0036810ca234008c00139f9d100207047"
)
_INIT, _ERASE_SECTOR, _PROGRAM_PAGE = 0x00, 0x04, 0x18


def _entry(offset: int) -> int:
    return _LOAD_ADDRESS + 4 * _HEADER_WORDS + offset | 1


FLASH_ALGORITHM: dict[str, Any] = {
    "load_address": _LOAD_ADDRESS,
    # pyOCD lets every function return to a BKPT in the first word.
    "instructions": [0xE00ABE00, *[0] * (_HEADER_WORDS - 1), *struct.unpack(f"<{len(CODE) // 4}I", CODE)],
    "pc_init": _entry(_INIT),
    "pc_unInit": _entry(_INIT),
    "pc_erase_sector": _entry(_ERASE_SECTOR),
    "pc_program_page": _entry(_PROGRAM_PAGE),
    "page_buffers": [_LOAD_ADDRESS + 0x2000, _LOAD_ADDRESS + 0x3000],
    "begin_stack": _LOAD_ADDRESS + 0x1000,
    "static_base": _LOAD_ADDRESS + 0x800,
    "min_program_length": 4,
    # pyOCD's analyzer takes sector numbers of 16 bits; ours lie above.
    "analyzer_supported": False,
}


def _memory_map(machine: Machine) -> MemoryMap:
    return MemoryMap(
        RamRegion(name="code", start=0x00000000, length=0x400000),
        RamRegion(name="sram", start=0x20000000, length=0x400000),
        FlashRegion(
            name="flash",
            start=machine.flash.start,
            length=machine.flash.size,
            blocksize=_SECTOR_BYTES,
            page_size=_SECTOR_BYTES,
            is_boot_memory=True,
            algo=FLASH_ALGORITHM,
        ),
    )


class _Mps2(CoreSightTarget):  # type: ignore[misc]  # pyOCD has no types
    """Flash is the machine's 16 MiB PSRAM, which QEMU maps to a file."""

    VENDOR = "QEMU"
    MEMORY_MAP: MemoryMap

    def __init__(self, session: Any) -> None:
        super().__init__(session, self.MEMORY_MAP)


class Mps2An386(_Mps2):
    MEMORY_MAP = _memory_map(MPS2_AN386)


class Mps2An500(_Mps2):
    MEMORY_MAP = _memory_map(MPS2_AN500)


def register() -> None:
    """Makes pyOCD know the chips that are not its own."""
    TARGET[MPS2_AN386.chip] = Mps2An386
    TARGET[MPS2_AN500.chip] = Mps2An500
