"""Joins a board's power switch, as bench.yaml names it, with what switches; used by main."""

from __future__ import annotations

from pathlib import Path

from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards, EmulatedSwitch
from tinyfleet.agent.adapters.switches import CommandSwitch, UsbHubSwitch
from tinyfleet.agent.adapters.usb_sysfs import SYSFS, usb_devices
from tinyfleet.agent.core.attachments import CommandSwitchSpec, UsbSwitchSpec
from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec
from tinyfleet.agent.core.usb_tree import UsbIdentity, path_of, why_not_to_switch
from tinyfleet.agent.services.power_switch import PowerSwitch


def switch_of(
    bench: BenchFile, spec: BoardSpec, boards: EmulatedBoards, sysfs: Path = SYSFS
) -> PowerSwitch | None:
    """None for a board without a switch."""
    switch = spec.switch
    if switch is None:
        return None
    if isinstance(switch, UsbSwitchSpec):
        others = [other for other in bench.boards if other.name != spec.name]
        path = path_of(switch.location, switch.port)

        def objection() -> str | None:
            # Looked up each time: where a port's link leads changes when it is plugged in again.
            return why_not_to_switch(usb_devices(sysfs), path, identity(spec), map(identity, others))

        return UsbHubSwitch(spec.name, switch, objection)
    if isinstance(switch, CommandSwitchSpec):
        return CommandSwitch(spec.name, switch)
    return None if spec.probe is None else EmulatedSwitch(spec.name, spec.probe, boards)


def identity(spec: BoardSpec) -> UsbIdentity:
    """By what a board's USB devices are known: its probe's and meter's serial numbers, their serial ports."""
    meter = spec.meter
    serials = (spec.probe, getattr(meter, "serial", None))
    ports = (spec.console, getattr(meter, "port", None))
    return UsbIdentity(
        frozenset(serial for serial in serials if serial),
        # By their by-id names, which are links.
        frozenset(str(Path(port).resolve()) for port in ports if port and "://" not in port),
    )
