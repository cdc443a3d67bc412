"""Vector catch (DEMCR.VC_*): the core stops where a fault handler begins, as QEMU has no such thing.

HardFault is watched always: one without a handler is a lockup, which aborts QEMU unless the core is stopped
before; and it is what QEMU makes of a BKPT instruction.
"""

from __future__ import annotations

from typing import Final

from pyocd_qemu.gdb import HARDWARE_BREAKPOINT, GdbLink
from pyocd_qemu.machines import Machine
from pyocd_qemu.qtest import QtestLink

HARD_FAULT: Final = 3
VTOR: Final = 0xE000ED08

# Exception numbers by the DEMCR bits that catch them (Armv7-M ARM, C1.6.5): HARDERR; MMERR; BUSERR; NOCPERR,
# CHKERR and STATERR, which all are usage faults.
_BITS: Final = {HARD_FAULT: 1 << 10, 4: 1 << 4, 5: 1 << 8, 6: 0b111 << 5}


class FaultCatch:
    """`wanted` is DEMCR."""

    def __init__(self, machine: Machine, bus: QtestLink, gdb: GdbLink) -> None:
        self._machine = machine
        self._bus = bus
        self._gdb = gdb
        self._points: set[int] = set()
        self._muted: set[int] = set()
        self.wanted = 0

    def asks_for(self, exception: int) -> bool:
        return bool(self.wanted & _BITS.get(exception, 0))

    def begins_at(self, address: int) -> bool:
        """Whether a watched handler begins there."""
        return address in self._points

    def is_stale(self, table: int) -> bool:
        """Whether the vectors at `table` name other handlers than those watched. Works while it runs."""
        return self._handlers(table) != self._points

    def arm(self, table: int) -> None:
        """Watches the handlers that the vectors at `table` name. The core must be stopped."""
        wanted = self._handlers(table)
        for address in self._points - wanted:
            self._gdb.clear_point(HARDWARE_BREAKPOINT, address)
        for address in wanted - self._points:
            self._gdb.set_point(HARDWARE_BREAKPOINT, address)
        self._points = wanted

    def mute(self, handler: int) -> None:
        """No more stops there until the next reset."""
        self._gdb.clear_point(HARDWARE_BREAKPOINT, handler)
        self._points.discard(handler)
        self._muted.add(handler)

    def disarm(self) -> None:
        for address in self._points:
            self._gdb.clear_point(HARDWARE_BREAKPOINT, address)
        self._points = set()

    def forget(self) -> None:
        """After a reset, which has taken all points away."""
        self._points = set()
        self._muted = set()

    def _handlers(self, table: int) -> set[int]:
        caught = [HARD_FAULT]
        if self._machine.core.has_basepri:
            caught += [number for number in _BITS if self.asks_for(number) and number != HARD_FAULT]
        tables = [table]
        if self._machine.boot_rom is not None:
            # The boot ROM is about to put this one where the core looks.
            tables.append(self._machine.flash.start)
        handlers = {self._bus.read_value(at + 4 * number, 32) & ~1 for at in tables for number in caught}
        return handlers - self._muted
