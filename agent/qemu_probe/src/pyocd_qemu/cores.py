"""Debug identity of the cores, which QEMU does not have."""

from __future__ import annotations

from dataclasses import dataclass, replace

ROM_TABLE = 0xE00FF000
SCS = 0xE000E000
DWT = 0xE0001000
FPB = 0xE0002000

# CIDR1's component class; CoreSight architecture of Armv8-M units (DEVARCH).
_CLASS_ROM_TABLE, _CLASS_CORESIGHT, _CLASS_GENERIC = 1, 9, 14
_ARCH_SCS, _ARCH_DWT, _ARCH_FPB = 0x2A04, 0x1A02, 0x1A03
_DEVARCH, _DEVTYPE = 0xFBC, 0xFCC
_DEVARCH_ARM = 0x47700000


@dataclass(frozen=True, slots=True)
class Core:
    """Debug identity of a core. Part numbers and designs: Arm's Technical Reference Manuals.

    Units of an Armv8-M core share one part number; their architecture identifiers tell them apart.
    """

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
    is_v8: bool = False
    has_mve: bool = False

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
        words.update(_component_ids(ROM_TABLE, self.rom_part, _CLASS_ROM_TABLE))
        units = (
            (SCS, self.scs_part, _ARCH_SCS),
            (DWT, self.dwt_part, _ARCH_DWT),
            (FPB, self.fpb_part, _ARCH_FPB),
        )
        for base, part, architecture in units:
            if self.is_v8:
                words.update(_component_ids(base, part, _CLASS_CORESIGHT))
                words[base + _DEVARCH] = _DEVARCH_ARM | architecture
                words[base + _DEVTYPE] = 0
            else:
                words.update(_component_ids(base, part, _CLASS_GENERIC))
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
    # A real one reaches the code region alone; flash of mps2-an386 lies above it.
    fpb_version=1,
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
CORTEX_M55 = replace(
    CORTEX_M7,
    name="Cortex-M55",
    ahb_ap_id=0x84770005,
    rom_part=0x4D2,
    scs_part=0xD22,
    dwt_part=0xD22,
    fpb_part=0xD22,
    is_v8=True,
    has_mve=True,
)
