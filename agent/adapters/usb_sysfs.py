"""USB devices as Linux tells them in sysfs; nothing is opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tinyfleet.agent.core.host_devices import same_serial
from tinyfleet.agent.core.usb_tree import UsbDevice

SYSFS: Final = Path("/sys/bus/usb/devices")
USB: Final = Path("/dev/bus/usb")
_DEVICE: Final = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")
_HUB_CLASS: Final = "09"


def usb_devices(root: Path = SYSFS) -> list[UsbDevice]:
    """Every device but the buses themselves, by path; none where there is no sysfs."""
    if not root.is_dir():
        return []
    return [_device(path) for path in sorted(root.iterdir()) if _DEVICE.fullmatch(path.name)]


def usb_node(serial: str, root: Path = SYSFS, dev: Path = USB) -> Path | None:
    """The node of the device with that serial number, as pyOCD tells it; None when it is not there."""
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        own = _attribute(path, "serial") if _DEVICE.fullmatch(path.name) else None
        bus, number = _attribute(path, "busnum") or "", _attribute(path, "devnum") or ""
        if own is not None and same_serial(own, serial) and bus.isdecimal() and number.isdecimal():
            return dev / f"{int(bus):03}" / f"{int(number):03}"
    return None


def _device(path: Path) -> UsbDevice:
    name = _attribute(path, "product") or _attribute(path, "idProduct") or "a device"
    # Interfaces lie below the device as PATH:CONFIG.INTERFACE; a serial port below that, or one deeper.
    ttys = {tty.name for pattern in ("*:*/tty/tty*", "*:*/tty*") for tty in path.glob(pattern)}
    return UsbDevice(
        path=path.name,
        serial=_attribute(path, "serial"),
        name=name,
        is_hub=_attribute(path, "bDeviceClass") == _HUB_CLASS,
        ports=tuple(sorted(f"/dev/{tty}" for tty in ttys if tty != "tty")),
    )


def _attribute(path: Path, name: str) -> str | None:
    """None for what the device does not tell, or when it just went away."""
    try:
        return (path / name).read_text(errors="replace").strip() or None
    except OSError:
        return None
