"""What pyOCD must find on each emulated machine, and QEMU does not say: debug identity, memory, flash."""

from __future__ import annotations

from dataclasses import dataclass, replace

ROM_TABLE = 0xE00FF000
SCS = 0xE000E000
DWT = 0xE0001000
FPB = 0xE0002000


@dataclass(frozen=True, slots=True)
class Core:
    """Debug identity of a core. Part numbers and designs: Arm's Technical Reference Manuals."""

    name: str
    dp_id: int
    ahb_ap_id: int
    rom_part: int
    scs_part: int
    dwt_part: int
    fpb_part: int
    breakpoints: int
    watchpoints: int
    has_fpu: bool
    has_basepri: bool
    fpb_version: int = 0

    def identity(self) -> dict[int, int]:
        """Words by address that QEMU reads as 0: ROM table, component IDs, unit counts."""
        words = {
            ROM_TABLE: 0xFFF0F003,
            ROM_TABLE + 4: 0xFFF02003,
            ROM_TABLE + 8: 0xFFF03003,
            ROM_TABLE + 12: 0,
            DWT: self.watchpoints << 28 | 1 << 25,
            FPB: self.fpb_version << 28 | self.breakpoints << 4,
        }
        components = (
            (ROM_TABLE, self.rom_part, 1),
            (SCS, self.scs_part, 14),
            (DWT, self.dwt_part, 14),
            (FPB, self.fpb_part, 14),
        )
        for base, part, component_class in components:
            words.update(_component_ids(base, part, component_class))
        return words


def _component_ids(base: int, part: int, component_class: int) -> dict[int, int]:
    """PIDR4-7, PIDR0-3, CIDR0-3 of a component designed by Arm (JEP106 0x3b, continuation 4)."""
    ids = (
        *(0x04, 0, 0, 0),
        *(part & 0xFF, 0xB0 | part >> 8, 0x0B, 0),
        *(0x0D, component_class << 4, 0x05, 0xB1),
    )
    return {base + 0xFD0 + 4 * i: value for i, value in enumerate(ids)}


CORTEX_M0 = Core(
    name="Cortex-M0",
    dp_id=0x0BB11477,
    ahb_ap_id=0x04770021,
    rom_part=0x471,
    scs_part=0x008,
    dwt_part=0x00A,
    fpb_part=0x00B,
    breakpoints=4,
    watchpoints=2,
    has_fpu=False,
    has_basepri=False,
)
CORTEX_M4 = Core(
    name="Cortex-M4",
    dp_id=0x2BA01477,
    ahb_ap_id=0x24770011,
    rom_part=0x4C4,
    scs_part=0x00C,
    dwt_part=0x002,
    fpb_part=0x003,
    breakpoints=6,
    watchpoints=4,
    has_fpu=True,
    has_basepri=True,
)


CORTEX_M7 = replace(
    CORTEX_M4,
    name="Cortex-M7",
    ahb_ap_id=0x84770001,
    rom_part=0x4C7,
    fpb_part=0x00E,
    fpb_version=1,
    breakpoints=8,
)


@dataclass(frozen=True, slots=True)
class Region:
    start: int
    size: int

    def holds(self, address: int, size: int) -> bool:
        return self.start <= address and address + size <= self.start + self.size


@dataclass(frozen=True, slots=True)
class Machine:
    """`chip` is pyOCD's name for it. `flash` is where the program lies and the core boots from, unless a
    bootloader is in its `rom`; `file_backed` says that it is a file QEMU maps, else the supervisor saves and
    restores it. `scratch` is 4 bytes of RAM. Only machines with a `rom` have a network card."""

    name: str
    core: Core
    chip: str
    flash: Region
    file_backed: bool
    scratch: int
    memory: tuple[Region, ...]
    devices: tuple[Region, ...]
    rom: Region | None = None

    def holds(self, address: int, size: int) -> bool:
        return any(r.holds(address, size) for r in (*self.memory, *self.devices))

    def is_memory(self, address: int, size: int) -> bool:
        """Whether accesses may be merged: not so for device registers."""
        return any(r.holds(address, size) for r in self.memory)

    def can_start(self, vectors: bytes, at: int) -> bool:
        """Whether a core reset on these 8 bytes of vector table at `at` would run rather than lock up."""
        stack, entry = int.from_bytes(vectors[:4], "little"), int.from_bytes(vectors[4:8], "little")
        code = (r for r in self.memory if r.holds(at, len(vectors)))
        return bool(entry & 1) and any(r.holds(entry & ~1, 2) for r in code) and self.is_memory(stack - 4, 4)


_PRIVATE_BUS = Region(0xE0000000, 0x100000)

MICROBIT = Machine(
    name="microbit",
    core=CORTEX_M0,
    chip="nrf51",
    flash=Region(0, 0x40000),
    file_backed=False,
    scratch=0x20003FF8,
    memory=(Region(0, 0x40000), Region(0x20000000, 0x4000)),
    # Factory and user information, peripherals, the GPIO ports above them, and the rest of the ROM tables.
    devices=(
        Region(0x10000000, 0x2000),
        Region(0x40000000, 0x20000000),
        _PRIVATE_BUS,
        Region(0xF0000000, 0x1000),
    ),
)
_SSRAM1, _SSRAM23, _MPS2_DEVICES = (
    Region(0, 0x400000),
    Region(0x20000000, 0x400000),
    Region(0x40000000, 0x10000000),
)


def _mps2(name: str, core: Core, flash: Region, *other_devices: Region) -> Machine:
    """Arm MPS2 with one of its Cortex-M images (Arm AN386, AN500); flash is its 16 MiB PSRAM."""
    return Machine(
        name=name,
        core=core,
        chip=name.replace("-", "_"),
        flash=flash,
        file_backed=True,
        scratch=0x203FFFF0,
        memory=(_SSRAM1, _SSRAM23, flash),
        devices=(_MPS2_DEVICES, *other_devices, _PRIVATE_BUS),
        rom=_SSRAM1,
    )


MPS2_AN386 = _mps2("mps2-an386", CORTEX_M4, Region(0x21000000, 0x1000000))
MPS2_AN500 = _mps2("mps2-an500", CORTEX_M7, Region(0x60000000, 0x1000000), Region(0xA0000000, 0x10000))
MACHINES = {machine.name: machine for machine in (MICROBIT, MPS2_AN386, MPS2_AN500)}
