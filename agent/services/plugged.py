"""What is plugged into the host now.

Probes are listed anew only when something came or went: listing asks every USB device for its name, also
those that somebody is at work with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tinyfleet.agent.core.host_devices import ProbeInfo, SerialPort
from tinyfleet.agent.services.ports import Probes


@dataclass(frozen=True, slots=True)
class Plugged:
    probes: tuple[ProbeInfo, ...]
    ports: tuple[SerialPort, ...]


class Host(Protocol):
    def look(self) -> Plugged: ...

    def has(self, path: str) -> bool:
        """Whether there is a file, device or folder of that name."""


class WatchedHost:
    """`usb` answers with another value whenever a probe could have come or gone; with None where that cannot
    be told."""

    def __init__(
        self,
        probes: Probes,
        usb: Callable[[], object],
        ports: Callable[[], list[SerialPort]],
        has: Callable[[str], bool],
    ) -> None:
        self._probes = probes
        self._usb = usb
        self._ports = ports
        self._has = has
        self._last: tuple[object, tuple[ProbeInfo, ...]] = (None, ())

    def look(self) -> Plugged:
        # Before the list: what comes in between is seen the next time.
        usb = self._usb()
        if usb is None or usb != self._last[0]:
            self._last = (usb, tuple(self._probes.all()))
        return Plugged(self._last[1], tuple(self._ports()))

    def has(self, path: str) -> bool:
        return self._has(path)
