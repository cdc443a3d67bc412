"""What pyOCD must know of a machine it has no own support for: memory map and flash algorithm.

`microbit` needs nothing: pyOCD's own nRF51 support, real flash algorithm included, drives it.
"""

from __future__ import annotations

import struct
from typing import Any

from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion, RomRegion
from pyocd.coresight.coresight_target import CoreSightTarget
from pyocd.target import TARGET

from pyocd_qemu.machines import MPS2_AN386, MPS2_AN500, MPS3_AN547, Machine, Region

_SECTOR_BYTES = 0x1000
_HEADER_WORDS = 8

# flash_algorithm.s, assembled; a test assembles it again and compares.
CODE = bytes.fromhex(
    "0020704701231b03c3180022d24304c09842fcd100207047890805d0036810ca234008c00139f9d100207047"
)
_INIT, _ERASE_SECTOR, _PROGRAM_PAGE = 0x00, 0x04, 0x18


def flash_algorithm(load_address: int) -> dict[str, Any]:
    """As pyOCD takes it; 16 KiB of RAM from there on are used."""

    def entry(offset: int) -> int:
        return load_address + 4 * _HEADER_WORDS + offset | 1

    return {
        "load_address": load_address,
        # pyOCD lets every function return to a BKPT in the first word.
        "instructions": [
            0xE00ABE00,
            *[0] * (_HEADER_WORDS - 1),
            *struct.unpack(f"<{len(CODE) // 4}I", CODE),
        ],
        "pc_init": entry(_INIT),
        "pc_unInit": entry(_INIT),
        "pc_erase_sector": entry(_ERASE_SECTOR),
        "pc_program_page": entry(_PROGRAM_PAGE),
        "page_buffers": [load_address + 0x2000, load_address + 0x3000],
        "begin_stack": load_address + 0x1000,
        "static_base": load_address + 0x800,
        "min_program_length": 4,
        # pyOCD's analyzer takes sector numbers of 16 bits; ours lie above.
        "analyzer_supported": False,
    }


def _memory_map(machine: Machine, load_address: int, code: Region, data: Region) -> MemoryMap:
    return MemoryMap(
        # It is RAM, but boot code writes it at every start, which would undo software breakpoints.
        RomRegion(name="code", start=code.start, length=code.size),
        RamRegion(name="data", start=data.start, length=data.size),
        FlashRegion(
            name="flash",
            start=machine.flash.start,
            length=machine.flash.size,
            blocksize=_SECTOR_BYTES,
            page_size=_SECTOR_BYTES,
            is_boot_memory=True,
            algo=flash_algorithm(load_address),
        ),
    )


def _mps2(machine: Machine) -> MemoryMap:
    return _memory_map(machine, 0x20200000, Region(0x00000000, 0x400000), Region(0x20000000, 0x400000))


class _Chip(CoreSightTarget):  # type: ignore[misc]  # pyOCD has no types
    """Flash is plain memory that QEMU maps to a file."""

    VENDOR = "QEMU"
    MEMORY_MAP: MemoryMap

    def __init__(self, session: Any) -> None:
        super().__init__(session, self.MEMORY_MAP)


class Mps2An386(_Chip):
    MEMORY_MAP = _mps2(MPS2_AN386)


class Mps2An500(_Chip):
    MEMORY_MAP = _mps2(MPS2_AN500)


class Mps3An547(_Chip):
    MEMORY_MAP = _memory_map(MPS3_AN547, 0x30040000, Region(0x10000000, 0x80000), Region(0x30000000, 0x80000))


def register() -> None:
    """Makes pyOCD know the chips that are not its own."""
    TARGET[MPS2_AN386.chip] = Mps2An386
    TARGET[MPS2_AN500.chip] = Mps2An500
    TARGET[MPS3_AN547.chip] = Mps3An547
