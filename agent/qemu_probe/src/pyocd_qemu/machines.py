"""The emulated machines: memory, flash, and what QEMU does not say of them."""

from __future__ import annotations

from dataclasses import dataclass

from pyocd_qemu import boot_rom
from pyocd_qemu.cores import CORTEX_M0, CORTEX_M4, CORTEX_M7, CORTEX_M55, Core


@dataclass(frozen=True, slots=True)
class Region:
    start: int
    size: int

    def holds(self, address: int, size: int) -> bool:
        return self.start <= address and address + size <= self.start + self.size


@dataclass(frozen=True, slots=True)
class Backing:
    """The file behind a machine's large memory: how long, and where in it the flash lies."""

    size: int
    flash_offset: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """`chip` is pyOCD's name for it. `flash` is where programs lie; with a `backing` part of a file that QEMU
    maps, else the supervisor saves and restores it. The core boots from flash, unless a bootloader is in its
    `rom`; `boot_rom` is one that it always has. `scratch` is 16 bytes of RAM. `secure` says that only the
    core itself, in Secure state, reaches device registers.
    """

    name: str
    core: Core
    chip: str
    flash: Region
    scratch: int
    memory: tuple[Region, ...]
    devices: tuple[Region, ...]
    backing: Backing | None = None
    rom: Region | None = None
    boot_rom: bytes | None = None
    has_network: bool = False
    secure: bool = False

    @property
    def file_backed(self) -> bool:
        return self.backing is not None

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
    scratch=0x20003FF0,
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
        scratch=0x203FFFF0,
        memory=(_SSRAM1, _SSRAM23, flash),
        devices=(_MPS2_DEVICES, *other_devices, _PRIVATE_BUS),
        backing=Backing(flash.size),
        rom=_SSRAM1,
        has_network=True,
    )


MPS2_AN386 = _mps2("mps2-an386", CORTEX_M4, Region(0x21000000, 0x1000000))
MPS2_AN500 = _mps2("mps2-an500", CORTEX_M7, Region(0x60000000, 0x1000000), Region(0xA0000000, 0x10000))

# Arm MPS3 with FPGA image AN547 (Arm DAI0547), by Secure addresses. The first half of each 512 MiB of DDR is
# Non-secure, so flash is where Secure code finds it, 256 MiB into the DDR.
_ITCM, _DTCM = Region(boot_rom.ITCM, 0x80000), Region(0x30000000, 0x80000)
_DDR_BYTES = 0x80000000
MPS3_AN547 = Machine(
    name="mps3-an547",
    core=CORTEX_M55,
    chip="mps3_an547",
    flash=Region(boot_rom.FLASH, 0x1000000),
    scratch=0x3007FFF0,
    memory=(
        _ITCM,
        Region(0x11000000, 0x200000),
        _DTCM,
        Region(0x31000000, 0x400000),
        Region(boot_rom.FLASH, 0x10000000),
    ),
    devices=(Region(0x40000000, 0x20000000), _PRIVATE_BUS),
    backing=Backing(_DDR_BYTES, flash_offset=0x10000000),
    rom=_ITCM,
    boot_rom=boot_rom.ELF,
    secure=True,
)
MACHINES = {machine.name: machine for machine in (MICROBIT, MPS2_AN386, MPS2_AN500, MPS3_AN547)}
