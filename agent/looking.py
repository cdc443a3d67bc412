"""Joins what tells of the host's devices, and locks them; used by main."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tinyfleet.agent.adapters.emulated_boards import running_boards
from tinyfleet.agent.adapters.serial_ports import BY_ID, serial_ports
from tinyfleet.agent.adapters.usb_lock import lock_usb
from tinyfleet.agent.adapters.usb_sysfs import SYSFS, USB, usb_devices, usb_node
from tinyfleet.agent.core.bench_file import BenchFile
from tinyfleet.agent.services.plugged import WatchedHost
from tinyfleet.agent.services.ports import Probes


def hardware_of(
    bench: BenchFile, sysfs: Path = SYSFS, dev: Path = USB
) -> Callable[[str], Callable[[], None]]:
    """Locks a board's probe for the whole host, by the board's name. An emulated one has its own lock."""

    def take(name: str) -> Callable[[], None]:
        board = bench.board(name)
        real = board is not None and board.probe is not None and not board.is_emulated_probe
        node = usb_node(board.probe or "", sysfs, dev) if board is not None and real else None
        return (lambda: None) if node is None else lock_usb(name, node)

    return take


def host_of(probes: Probes, sysfs: Path = SYSFS, by_id: Path = BY_ID) -> WatchedHost:
    def usb() -> object:
        return (usb_devices(sysfs), running_boards()) if sysfs.is_dir() else None

    return WatchedHost(
        *(probes, usb), lambda: serial_ports(by_id), lambda path: Path(path).exists(), time.monotonic
    )
