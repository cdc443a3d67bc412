"""Where things lie in a board's flash (SPEC section 8). Offsets are relative to the flash's start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Region:
    name: str
    offset: int
    size_bytes: int

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """`base` is the address the core sees; sector is the smallest erase, write unit the smallest write.

    `execution` is where a bootloader copies firmware to; its offset is an address of the core.
    """

    board: str
    base: int
    size_bytes: int
    sector_bytes: int
    write_bytes: int
    regions: tuple[Region, ...]
    execution: Region | None = None

    def __getitem__(self, name: str) -> Region:
        """The region of that name; KeyError when the board has none."""
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(f"{self.board} has no flash region {name!r}; it has {[r.name for r in self.regions]}")


ERASED_BYTE: Final = 0xFF

MPS2_AN386: Final = MemoryMap(
    board="mps2-an386",
    base=0x2100_0000,
    size_bytes=16 * MIB,
    sector_bytes=4096,
    write_bytes=4,
    regions=(
        Region("trust", 0x000000, 4 * KIB),
        Region("state_a", 0x001000, 4 * KIB),
        Region("state_b", 0x002000, 4 * KIB),
        Region("boot_a", 0x003000, 4 * KIB),
        Region("boot_b", 0x004000, 4 * KIB),
        Region("config_state_a", 0x005000, 4 * KIB),
        Region("config_state_b", 0x006000, 4 * KIB),
        Region("config_a", 0x010000, 32 * KIB),
        Region("config_b", 0x018000, 32 * KIB),
        Region("events", 0x020000, 128 * KIB),
        Region("firmware_a", 0x100000, 1 * MIB),
        Region("firmware_b", 0x200000, 1 * MIB),
        Region("model_a", 0x300000, 2 * MIB),
        Region("model_b", 0x500000, 2 * MIB),
        Region("replay", 0x700000, 1 * MIB),
        Region("staging", 0x800000, 2 * MIB),
        Region("spare", 0xA00000, 5 * MIB),
        Region("ring", 0xF00000, 256 * KIB),
        Region("reserved", 0xF40000, 768 * KIB),
    ),
    execution=Region("execution", 0x10000, 1 * MIB),
)

MPS2_AN500: Final = replace(MPS2_AN386, board="mps2-an500", base=0x6000_0000)

POSIX: Final = MemoryMap(
    board="posix",
    base=0,
    size_bytes=8 * MIB,
    sector_bytes=4096,
    write_bytes=4,
    regions=(
        Region("trust", 0x000000, 4 * KIB),
        Region("state_a", 0x001000, 4 * KIB),
        Region("state_b", 0x002000, 4 * KIB),
        Region("config_state_a", 0x003000, 4 * KIB),
        Region("config_state_b", 0x004000, 4 * KIB),
        Region("config_a", 0x010000, 32 * KIB),
        Region("config_b", 0x018000, 32 * KIB),
        Region("ring", 0x020000, 256 * KIB),
        Region("model_a", 0x100000, 2 * MIB),
        Region("model_b", 0x300000, 2 * MIB),
        Region("replay", 0x500000, 1 * MIB),
        Region("staging", 0x600000, 2 * MIB),
    ),
)

NRF52840: Final = MemoryMap(
    board="nrf52840",
    base=0,
    size_bytes=1 * MIB,
    sector_bytes=4096,
    write_bytes=4,
    regions=(
        Region("boot", 0x00000, 32 * KIB),
        Region("trust", 0x08000, 4 * KIB),
        Region("state_a", 0x09000, 4 * KIB),
        Region("state_b", 0x0A000, 4 * KIB),
        Region("boot_a", 0x0B000, 4 * KIB),
        Region("boot_b", 0x0C000, 4 * KIB),
        Region("config_state_a", 0x0D000, 4 * KIB),
        Region("config_state_b", 0x0E000, 4 * KIB),
        Region("config_a", 0x0F000, 8 * KIB),
        Region("config_b", 0x11000, 8 * KIB),
        Region("replay", 0x13000, 36 * KIB),
        Region("ring", 0x1C000, 16 * KIB),
        Region("firmware_a", 0x20000, 192 * KIB),
        Region("firmware_b", 0x50000, 192 * KIB),
        Region("model_a", 0x80000, 224 * KIB),
        Region("model_b", 0xB8000, 224 * KIB),
        Region("staging", 0xF0000, 64 * KIB),
    ),
)
STM32L496: Final = replace(NRF52840, board="stm32l496", base=0x0800_0000, sector_bytes=2048, write_bytes=8)

# The bench app instead of the node: it starts where the flash does.
MPS2_AN386_BENCH: Final = MemoryMap(
    board="mps2-an386-bench",
    base=0x2100_0000,
    size_bytes=16 * MIB,
    sector_bytes=4096,
    write_bytes=4,
    regions=(
        Region("app", 0x000000, 1 * MIB),
        Region("model", 0x300000, 2 * MIB),
        Region("golden", 0x800000, 8 * MIB),
    ),
)

MPS2_AN500_BENCH: Final = replace(MPS2_AN386_BENCH, board="mps2-an500-bench", base=0x6000_0000)

# QEMU cannot write this board's flash, so its large memory takes the part; the app lies in the core's own.
MPS3_AN547: Final = MemoryMap(
    board="mps3-an547",
    base=0x7000_0000,
    size_bytes=16 * MIB,
    sector_bytes=4096,
    write_bytes=4,
    regions=(
        Region("model", 0x300000, 2 * MIB),
        Region("golden", 0x800000, 8 * MIB),
    ),
)

MICROBIT: Final = MemoryMap(
    board="microbit",
    base=0,
    size_bytes=256 * KIB,
    sector_bytes=1024,
    write_bytes=4,
    regions=(
        Region("app", 0x00000, 64 * KIB),
        Region("model", 0x10000, 96 * KIB),
        Region("golden", 0x28000, 96 * KIB),
    ),
)

BENCH_BOARDS: Final = {
    "microbit": MICROBIT,
    "mps2-an386": MPS2_AN386_BENCH,
    "mps2-an500": MPS2_AN500_BENCH,
    # Its boot ROM copies the app from flash to the core's instruction memory, where it is built to run.
    "mps3-an547": replace(
        MPS3_AN547,
        regions=(Region("app", 0, 508 * KIB), *MPS3_AN547.regions),
        execution=Region("execution", 0x1000_0000, 508 * KIB),
    ),
}
"""Where the bench app and its data lie, by device type."""

BOARDS: Final = (
    *(MPS2_AN386, MPS2_AN500, POSIX, NRF52840, STM32L496),
    *(MICROBIT, MPS2_AN386_BENCH, MPS2_AN500_BENCH, MPS3_AN547),
)
