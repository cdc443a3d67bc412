"""What is plugged in: debug probes, serial ports."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from tinyfleet.agent.adapters.emulated_boards import console_of, use_folder
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.errors import NoSuchBoardError
from tinyfleet.agent.core.host_devices import ProbeInfo, SerialPort
from tinyfleet.agent.core.proposal import console_of_probe, meter_kind
from tinyfleet.agent.looking import host_of
from tinyfleet.agent.services.plugged import Plugged


def look(folders: Folders) -> Plugged:
    use_folder(folders.boards)
    return host_of(PyocdProbes()).look()


def as_json(plugged: Plugged) -> dict[str, Any]:
    return {
        "probes": [asdict(probe) | {"console": _console(probe, plugged)} for probe in plugged.probes],
        "ports": [
            asdict(port) | {"path": port.path, "usb_id": port.usb_id, "meter": meter_kind(port)}
            for port in plugged.ports
        ],
    }


def table(plugged: Plugged) -> Table:
    shown = Table()
    for column in ("kind", "id", "what it says it is", "console, or where"):
        shown.add_column(column, overflow="fold")
    for probe in plugged.probes:
        kind = "emulated board" if probe.emulated else "probe"
        what = f"{probe.description}, on {probe.board}" if probe.board else probe.description
        shown.add_row(*map(Text, (kind, probe.unique_id, what, _console(probe, plugged) or "")))
    for port in plugged.ports:
        kind = f"meter ({meter_kind(port)})" if meter_kind(port) else "serial port"
        name = port.device if port.by_id is None else f"{port.device}\n{Path(port.by_id).name}"
        what = port.description + (f"\n{port.usb_id}" if port.usb_id else "")
        shown.add_row(*map(Text, (kind, name, what, f"USB {port.usb_path}" if port.usb_path else "")))
    if not plugged.probes and not plugged.ports:
        shown.add_row("nothing", "", "no probe, no serial port; try `tinyfleet bench emulate`", "")
    return shown


def _console(probe: ProbeInfo, plugged: Plugged) -> str | None:
    if not probe.emulated:
        port: SerialPort | None = console_of_probe(probe, plugged.ports)
        return None if port is None else port.path
    try:
        return console_of(probe.unique_id)
    except NoSuchBoardError:
        return None  # it ended meanwhile
