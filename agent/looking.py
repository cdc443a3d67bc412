"""Joins what tells of the host's devices; used by main."""

from __future__ import annotations

import time
from pathlib import Path

from tinyfleet.agent.adapters.emulated_boards import running_boards
from tinyfleet.agent.adapters.serial_ports import BY_ID, serial_ports
from tinyfleet.agent.adapters.usb_sysfs import SYSFS, usb_devices
from tinyfleet.agent.services.plugged import WatchedHost
from tinyfleet.agent.services.ports import Probes


def host_of(probes: Probes, sysfs: Path = SYSFS, by_id: Path = BY_ID) -> WatchedHost:
    def usb() -> object:
        return (usb_devices(sysfs), running_boards()) if sysfs.is_dir() else None

    return WatchedHost(
        *(probes, usb), lambda: serial_ports(by_id), lambda path: Path(path).exists(), time.monotonic
    )
