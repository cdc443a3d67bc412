"""Debug port and AHB access port as registers (ADIv5.2), for what pyOCD does before and beside the memory
interface."""

from __future__ import annotations

from pyocd_qemu.cores import ROM_TABLE, Core
from pyocd_qemu.memory import BoardMemory

_DP_DPIDR, _DP_CTRL_STAT = 0x0, 0x4
_POWER_REQUESTS = 0x50000000
_CTRL_WRITABLE = 0x50000FFF
_AP_CSW, _AP_TAR, _AP_DRW, _AP_BD0, _AP_BD3, _AP_BASE, _AP_IDR = 0x00, 0x04, 0x0C, 0x10, 0x1C, 0xF8, 0xFC
_CSW_DEVICE_ENABLED = 0x40
_CSW_READ_ONLY = 0xC0
_CSW_INCREMENT = 0x30
_BASE_PRESENT = 3


class DebugPort:
    """One access port, number 0; every other reads as absent."""

    def __init__(self, core: Core, memory: BoardMemory) -> None:
        self._core = core
        self._memory = memory
        self._control = 0
        self._csw = 0x43000052
        self._tar = 0

    def read_dp(self, address: int) -> int:
        register = address & 0xC
        if register == _DP_DPIDR:
            return self._core.dp_id
        if register == _DP_CTRL_STAT:
            # Each power-up acknowledge stands one bit above its request.
            return self._control | (self._control & _POWER_REQUESTS) << 1
        return 0

    def write_dp(self, address: int, value: int) -> None:
        if address & 0xC == _DP_CTRL_STAT:
            self._control = value & _CTRL_WRITABLE

    def read_ap(self, address: int) -> int:
        if address >> 24:
            return 0
        register = address & 0xFC
        if register == _AP_CSW:
            return self._csw
        if register == _AP_TAR:
            return self._tar
        if register == _AP_DRW:
            return self._read_data()
        if _AP_BD0 <= register <= _AP_BD3:
            return int(self._memory.read_memory((self._tar & ~0xF) + register - _AP_BD0))
        if register == _AP_BASE:
            return ROM_TABLE | _BASE_PRESENT
        return self._core.ahb_ap_id if register == _AP_IDR else 0

    def write_ap(self, address: int, value: int) -> None:
        if address >> 24:
            return
        register = address & 0xFC
        if register == _AP_CSW:
            self._csw = value & ~_CSW_READ_ONLY | _CSW_DEVICE_ENABLED
        elif register == _AP_TAR:
            self._tar = value
        elif register == _AP_DRW:
            self._write_data(value)
        elif _AP_BD0 <= register <= _AP_BD3:
            self._memory.write_memory((self._tar & ~0xF) + register - _AP_BD0, value)

    def _lane(self) -> tuple[int, int]:
        """Width in bits, and where in the word the addressed bytes travel."""
        size = 1 << (self._csw & 3)
        return 8 * size, 8 * (self._tar & 3 & ~(size - 1))

    def _advance(self) -> None:
        if self._csw & _CSW_INCREMENT:
            self._tar += 1 << (self._csw & 3)

    def _read_data(self) -> int:
        bits, shift = self._lane()
        value = int(self._memory.read_memory(self._tar, bits)) << shift
        self._advance()
        return value

    def _write_data(self, value: int) -> None:
        bits, shift = self._lane()
        self._memory.write_memory(self._tar, value >> shift & (1 << bits) - 1, bits)
        self._advance()
