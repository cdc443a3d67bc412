"""What a host says is plugged into it. Nothing here was opened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProbeInfo:
    """A debug probe that is plugged in. `board`: what its number says it sits on."""

    unique_id: str
    description: str
    emulated: bool
    board: str | None = None


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial port. `by_id` is the link that stays when others come and go; `location` is the USB path as
    Linux names it, `1-2.3`, with `:1.0` for one interface of several. What is not USB has none of that."""

    device: str
    description: str
    by_id: str | None = None
    vid: int | None = None
    pid: int | None = None
    serial: str | None = None
    location: str | None = None

    @property
    def path(self) -> str:
        """By which to name it in bench.yaml."""
        return self.by_id or self.device

    @property
    def usb_id(self) -> str | None:
        """VID:PID:serial, as lsusb writes numbers."""
        if self.vid is None or self.pid is None:
            return None
        return f"{self.vid:04x}:{self.pid:04x}" + (f":{self.serial}" if self.serial else "")

    @property
    def usb_path(self) -> str | None:
        """Where the device is plugged in, whichever interface this is."""
        return None if self.location is None else self.location.partition(":")[0]


def same_serial(serial: str, unique_id: str) -> bool:
    """Whether a USB device's serial number is the probe's id: J-Links tell pyOCD theirs without the zeros in
    front."""
    if serial.isdecimal() and unique_id.isdecimal():
        return serial.lstrip("0") == unique_id.lstrip("0")
    return serial.lower() == unique_id.lower()
