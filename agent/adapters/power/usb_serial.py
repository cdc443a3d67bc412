"""Which USB device a serial port is of. Nothing is opened."""

from __future__ import annotations

from pathlib import Path

from serial.tools import list_ports


def serial_number(address: str) -> str:
    """Empty where the port is not of USB, or tells none."""
    real = str(Path(address).resolve())
    return next((port.serial_number or "" for port in list_ports.comports() if port.device == real), "")
