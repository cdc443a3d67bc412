"""Which of two messages of a device is the newer one.

Boot and sequence numbers are u32 and wrap (SPEC section 1), so they are compared by serial arithmetic (RFC
1982).
"""

from __future__ import annotations

from typing import Final

U32: Final = 1 << 32
_HALF: Final = 1 << 31

Order = tuple[int, int]
"""(boot, sequence in that boot)."""


def newer_number(new: int, old: int) -> bool:
    """True when `new` lies less than half the circle after `old`."""
    return 0 < (new - old) % U32 < _HALF


def newer(new: Order, old: Order | None) -> bool:
    """True when `new` was sent after `old`. Nothing seen yet: everything is newer."""
    if old is None:
        return True
    if new[0] != old[0]:
        return newer_number(new[0], old[0])
    return newer_number(new[1], old[1])
