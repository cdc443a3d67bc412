"""The serial ports of this host, by pyserial's list and udev's links; none is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from serial.tools import list_ports

from tinyfleet.agent.core.host_devices import SerialPort

_NOTHING: Final = (None, "", "n/a")
BY_ID: Final = Path("/dev/serial/by-id")


def serial_ports(by_id: Path = BY_ID) -> list[SerialPort]:
    """Every port, by device. A port that goes away meanwhile is left out, or has no link."""
    links = _links(by_id)
    ports = []
    for port in sorted(list_ports.comports()):
        # pyserial says n/a where the system says nothing.
        words = [
            word for word in (port.manufacturer, port.product or port.description) if word not in _NOTHING
        ]
        ports.append(
            SerialPort(
                device=port.device,
                description=" ".join(words),
                by_id=links.get(os.path.realpath(port.device)),
                vid=port.vid,
                pid=port.pid,
                serial=port.serial_number,
                location=port.location,
            )
        )
    return ports


def _links(folder: Path) -> dict[str, str]:
    """The link of each device; of several, the first by name."""
    try:
        links = sorted(folder.iterdir(), reverse=True)
    except OSError:
        return {}
    return {os.path.realpath(link): str(link) for link in links}
