"""Flash content of machines whose flash is no file: saved from QEMU's memory, put back through the flash
controller.

Loading it with QEMU's own `-device loader` would not do: that puts the old bytes back at every reset.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyocd_qemu.machines import Machine
from pyocd_qemu.qtest import QtestLink
from pyocd_qemu.registry import FLASH_NAME

# nRF51 Reference Manual 3.0, chapter 6: non-volatile memory controller.
_NVMC_CONFIG, _NVMC_ERASE_ALL = 0x4001E504, 0x4001E50C
_READ_ONLY, _WRITE_ENABLED, _ERASE_ENABLED = 0, 1, 2


def save_flash(bus: QtestLink, machine: Machine, folder: Path) -> None:
    """Writes the flash into the board's folder if it has changed; a power cut leaves the old content or the
    new."""
    content = bus.read(machine.flash.start, machine.flash.size)
    if content == _saved(folder):
        return
    partial = folder / (FLASH_NAME + ".part")
    # A device may keep secrets in its flash.
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    partial.replace(folder / FLASH_NAME)


def restore_flash(bus: QtestLink, machine: Machine, folder: Path) -> None:
    """Puts saved content back. Without any (or of another size) the flash is erased: QEMU itself starts
    with zeros."""
    content = _saved(folder)
    bus.write_value(_NVMC_CONFIG, _ERASE_ENABLED, 32)
    bus.write_value(_NVMC_ERASE_ALL, 1, 32)
    if len(content) == machine.flash.size:
        bus.write_value(_NVMC_CONFIG, _WRITE_ENABLED, 32)
        bus.write(machine.flash.start, content)
    bus.write_value(_NVMC_CONFIG, _READ_ONLY, 32)


def _saved(folder: Path) -> bytes:
    try:
        return (folder / FLASH_NAME).read_bytes()
    except FileNotFoundError:
        return b""
