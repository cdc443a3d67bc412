"""r0-r15 and xPSR of a stopped core, fetched in one packet and written back in one.

A flash algorithm is called by writing up to nine registers; a packet each was two thirds of the time that
programming took.
"""

from __future__ import annotations

import struct

from pyocd_qemu.errors import LinkError
from pyocd_qemu.gdb import GdbLink

XPSR = 25
"""gdb's number of xPSR; r0-r15 have their own."""

_GENERAL = 16
_WORDS = struct.Struct("<17I")
_HALF_WORD_DIGITS = 4


class CoreRegisters:
    """What is written reaches the core with `flush`, which must come before it runs or steps; once it has,
    `forget` what it held. Raises LinkError."""

    def __init__(self, gdb: GdbLink) -> None:
        self._gdb = gdb
        self._words: list[int] | None = None
        self._changed = False

    def read(self, number: int) -> int:
        return self._all()[min(number, _GENERAL)]

    def write(self, number: int, value: int) -> None:
        self._all()[min(number, _GENERAL)] = value
        self._changed = True

    def flush(self) -> None:
        packet = self._packet()
        if packet is not None:
            self._gdb.tell(packet)
        self._changed = False

    def resume(self) -> None:
        """Writes what changed and lets the core run, in one go."""
        self._gdb.resume(self._packet())
        self.forget()

    def fetch_with(self, address: int) -> int | None:
        """Fetches the registers, and with them the half-word of memory at `address`; None: there is none."""
        general, code = self._gdb.ask_all("g", f"m{address:x},2")
        self._words = _parsed(general)
        self._changed = False
        try:
            return int.from_bytes(bytes.fromhex(code), "little") if len(code) == _HALF_WORD_DIGITS else None
        except ValueError:
            return None

    def forget(self) -> None:
        self._words = None
        self._changed = False

    def _packet(self) -> str | None:
        if not self._changed or self._words is None:
            return None
        return f"G{_WORDS.pack(*self._words).hex()}"

    def _all(self) -> list[int]:
        if self._words is None:
            self._words = _parsed(self._gdb.ask("g"))
        return self._words


def _parsed(answer: str) -> list[int]:
    try:
        return list(_WORDS.unpack_from(bytes.fromhex(answer)))
    except (ValueError, struct.error) as error:
        raise LinkError(f"QEMU answered {answer[:40]!r} to g", "which QEMU is this?") from error
