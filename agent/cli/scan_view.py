"""What is plugged in: debug probes, serial ports."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from serial.tools import list_ports

from tinyfleet.agent.adapters.emulated_boards import console_of, use_folder
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.agent.config import Folders
from tinyfleet.agent.services.ports import ProbeInfo

Port = tuple[str, str]
"""Device path and description."""


def look(folders: Folders) -> tuple[list[ProbeInfo], list[Port]]:
    use_folder(folders.boards)
    ports = sorted((port.device, port.description or "") for port in list_ports.comports())
    return PyocdProbes().all(), ports


def as_json(probes: list[ProbeInfo], ports: list[Port]) -> dict[str, Any]:
    return {
        "probes": [
            {"unique_id": p.unique_id, "description": p.description, "emulated": p.emulated} for p in probes
        ],
        "ports": [{"device": device, "description": description} for device, description in ports],
    }


def table(probes: list[ProbeInfo], ports: list[Port]) -> Table:
    shown = Table()
    for column in ("kind", "id", "description", "console"):
        shown.add_column(column)
    for probe in probes:
        console = console_of(probe.unique_id) if probe.emulated else ""
        shown.add_row("probe", probe.unique_id, probe.description, console)
    for device, description in ports:
        shown.add_row("serial port", device, description, "")
    if not probes and not ports:
        shown.add_row("nothing", "", "no probe, no serial port; try `tinyfleet bench emulate`", "")
    return shown


def proposal(probes: list[ProbeInfo], ports: list[Port]) -> str:
    """A bench.yaml with every probe; what cannot be known is left to be filled in."""
    lines = ["agent: agent-1", "boards:"]
    for number, probe in enumerate(probes, 1):
        machine = probe.unique_id.removeprefix("qemu-").rpartition("-")[0] if probe.emulated else ""
        lines.append(f"  - name: {machine or 'board'}-{number}")
        lines.append(f"    device_type: {machine or '?'}")
        lines.append(f"    probe: {probe.unique_id}")
        if not probe.emulated:
            lines.append(f"    console: {ports[0][0] if len(ports) == 1 else '?'}")
    return "\n".join(lines)
