"""Core registers by the selector a debugger gives (DCRSR.REGSEL), where gdb has no number for them.

Sources: Armv7-M ARM, C1.6.3; Armv8-M ARM, DCRSR; for SYSm both, MRS.
"""

from __future__ import annotations

from typing import Final

XPSR: Final = 16
MSP: Final = 17
PSP: Final = 18
FPSCR: Final = 33
VPR: Final = 36
S0: Final = 0x40

_NON_SECURE: Final = 0x80
_PRIMASK, _BASEPRI, _FAULTMASK, _CONTROL = 0x10, 0x11, 0x13, 0x14

SYSM: Final = {MSP: 8, PSP: 9}

SYSM_V8: Final = {
    **SYSM,
    24: _NON_SECURE | 8,
    25: _NON_SECURE | 9,
    26: 8,
    27: 9,
    28: 10,
    29: 11,
    30: _NON_SECURE | 10,
    31: _NON_SECURE | 11,
}
"""Both worlds' stack pointers and their limits, as Secure code names them."""


def packed(selector: int, *, has_basepri: bool, is_v8: bool) -> list[tuple[int, int]]:
    """(SYSm, shift) of the registers that this selector packs into one word; none: it is no such."""
    bank = {20: 0, 34: 0, 35: _NON_SECURE} if is_v8 else {20: 0}
    if selector not in bank:
        return []
    parts = [(_PRIMASK, 0), (_CONTROL, 24)]
    if has_basepri:
        parts += [(_BASEPRI, 8), (_FAULTMASK, 16)]
    return [(bank[selector] | sysm, shift) for sysm, shift in parts]


def half_of_d(selector: int) -> tuple[int, int]:
    """The number of the D register that holds this S register, and how far up it stands in it."""
    single = selector - S0
    return single // 2, single % 2 * 32
