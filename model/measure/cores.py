"""The cores that can be measured: which build of `firmware/apps/measure`, on which emulated machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinyfleet.model.device_types import core_of
from tinyfleet.wire.enums import CoreVariant


@dataclass(frozen=True, slots=True)
class MeasureCore:
    """`preset`: of CMake. `plan_address`: memory of `room_bytes` on `machine`, for the plan and the arena.

    tick_instructions: what the machine's clock counts at once.
    """

    preset: str
    label: str
    variant: CoreVariant
    machine: str = "mps2-an386"
    plan_address: int = 0x21000000
    room_bytes: int = 2**24
    tick_instructions: int = 40


DSP: Final = MeasureCore("measure-dsp", "M4, DSP kernels", CoreVariant.DSP)
MVE: Final = MeasureCore(
    "measure-mve",
    "M55, Helium kernels",
    CoreVariant.MVE,
    machine="mps3-an547",
    plan_address=0x70000000,
    tick_instructions=50,
)
PORTABLE: Final = MeasureCore("measure-portable", "M4, portable kernels", CoreVariant.PORTABLE)
M0PLUS: Final = MeasureCore("measure-m0plus", "M0+ code on an M4", CoreVariant.PORTABLE)
"""QEMU has no M0+ with enough RAM: an M4 runs code that was compiled for the M0+."""

CORES: Final = (DSP, MVE, PORTABLE, M0PLUS)

_BY_DEVICE_TYPE: Final = {"microbit": M0PLUS}
_BY_VARIANT: Final = {core.variant: core for core in reversed(CORES)}


def core_of_device(device_type: str) -> MeasureCore:
    """The core nearest to a device type's; plain C on an M4 for one not known here."""
    return _BY_DEVICE_TYPE.get(device_type) or _BY_VARIANT.get(core_of(device_type), PORTABLE)
