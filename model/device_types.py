"""Which core a device type has: what models are packed for."""

from __future__ import annotations

from typing import Final

from tinyfleet.wire.enums import CoreVariant

_CORES: Final = {
    "mps2-an386": CoreVariant.DSP,
    "mps2-an500": CoreVariant.DSP,
    "mps3-an547": CoreVariant.MVE,
    "nrf52840": CoreVariant.DSP,
    "stm32l496": CoreVariant.DSP,
}
"""Cores of the device types that have more than plain C."""
_PLAIN: Final = ("microbit", "posix")


def core_of(device_type: str) -> CoreVariant:
    """What a model is packed for; PORTABLE, which runs everywhere, for a device type not known here."""
    return _CORES.get(device_type, CoreVariant.PORTABLE)


def device_types(core: CoreVariant) -> tuple[str, ...]:
    """Those known here that have this core."""
    plain = _PLAIN if core is CoreVariant.PORTABLE else ()
    return (*(name for name, own in _CORES.items() if own is core), *plain)


def known_device_types() -> tuple[str, ...]:
    return tuple(sorted((*_CORES, *_PLAIN)))
