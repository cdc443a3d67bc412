"""Who hangs on a port of a USB hub.

Paths as Linux names them: `1-2.3` is port 3 of the hub at port 2 of bus 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tinyfleet.agent.core.host_devices import same_serial


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """`serial`: as the device tells it, if it does; `ports`: its serial ports, such as /dev/ttyACM0."""

    path: str
    serial: str | None
    name: str
    is_hub: bool = False
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """What belongs to a board: serial numbers (its probe's, its meter's) and serial ports."""

    serials: frozenset[str]
    ports: frozenset[str]

    def owns(self, device: UsbDevice) -> bool:
        serial = device.serial
        named = serial is not None and any(same_serial(serial, own) for own in self.serials)
        return named or not self.ports.isdisjoint(device.ports)


def path_of(location: str, port: int) -> str:
    """The path of what is plugged into that port of the hub at `location` (`1`: bus 1 itself)."""
    return f"{location}.{port}" if "-" in location else f"{location}-{port}"


def is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(above + ".")


def why_not_to_switch(
    devices: Collection[UsbDevice], port_path: str, mine: UsbIdentity, others: Iterable[UsbIdentity]
) -> str | None:
    """Why switching the port off would harm somebody else, or not reach the board; None when nothing that is
    known speaks against it.

    A single device of unknown owner there is believed to be the board: not every board has a serial number.
    """
    below = [device for device in devices if is_below(device.path, port_path) and not device.is_hub]
    owners = list(others)
    for device in below:
        if any(other.owns(device) for other in owners):
            return f"{device.name} at {device.path} is another board's"
    elsewhere = [device for device in devices if mine.owns(device) and device not in below]
    if elsewhere and not any(mine.owns(device) for device in below):
        return f"the board is at {elsewhere[0].path}, not at {port_path}"
    strange = [device for device in below if not mine.owns(device)]
    if strange and len(below) > 1:
        return f"{strange[0].name} at {strange[0].path} hangs there, too, and is not known to be the board's"
    return None
