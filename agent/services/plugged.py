"""What is plugged into the host now.

Probes are listed anew when something came or went, and else once a minute: listing asks every USB device for
its name, also those that somebody is at work with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tinyfleet.agent.core.host_devices import ProbeInfo, SerialPort
from tinyfleet.agent.services.ports import Probes

SETTLE_S: Final = 5.0
AGAIN_S: Final = 60.0


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
    be told. `clock` counts seconds."""

    def __init__(
        self,
        probes: Probes,
        usb: Callable[[], object],
        ports: Callable[[], list[SerialPort]],
        has: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._probes = probes
        self._usb = usb
        self._ports = ports
        self._has = has
        self._clock = clock
        self._listed: tuple[ProbeInfo, ...] = ()
        self._usb_before: object = None
        self._changed_s = self._listed_s = 0.0

    def look(self) -> Plugged:
        # Before the list: what comes in between is seen the next time.
        usb, now_s = self._usb(), self._clock()
        if usb is None or usb != self._usb_before:
            self._usb_before, self._changed_s = usb, now_s
        # What was just plugged in has no name yet for whom udev has not let in.
        if now_s - self._changed_s < SETTLE_S or now_s - self._listed_s >= AGAIN_S:
            self._listed, self._listed_s = tuple(self._probes.all()), now_s
        return Plugged(self._listed, tuple(self._ports()))

    def has(self, path: str) -> bool:
        return self._has(path)
