"""The core's memory-mapped debug registers, which QEMU does not have (Armv6-M/Armv7-M ARM, chapter C1)."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from pyocd_qemu.core_control import CoreControl
from pyocd_qemu.cores import DWT, FPB, ROM_TABLE
from pyocd_qemu.gdb import HARDWARE_BREAKPOINT, WATCH_ACCESS, WATCH_READ, WATCH_WRITE
from pyocd_qemu.machines import Machine


class Register(IntEnum):
    AIRCR = 0xE000ED0C
    DFSR = 0xE000ED30
    DHCSR = 0xE000EDF0
    DCRSR = 0xE000EDF4
    DCRDR = 0xE000EDF8
    DEMCR = 0xE000EDFC
    DSCSR = 0xE000EE08
    DAUTHSTATUS = 0xE000EFB8


_DEBUG_KEY, _RESET_KEY = 0xA05F, 0x05FA
_C_DEBUGEN, _C_HALT, _C_STEP, _C_MASKINTS, _C_KEPT = 1, 2, 4, 8, 0x2D
_S_REGRDY, _S_HALT, _S_SLEEP, _S_LOCKUP = 1 << 16, 1 << 17, 1 << 18, 1 << 19
_S_RETIRE, _S_RESET = 1 << 24, 1 << 25
_REGWNR = 1 << 16
_VC_CORERESET = 1
_RESET_REQUEST = 0b101
_FP_COMP0, _DWT_COMP0 = FPB + 8, DWT + 0x20
_DWT_STRIDE = 16
_DWT_MASK, _DWT_FUNCTION = 4, 8
_DWT_KINDS = {5: WATCH_READ, 6: WATCH_WRITE, 7: WATCH_ACCESS}
_DWT_KINDS_V8 = {6: WATCH_READ, 5: WATCH_WRITE, 4: WATCH_ACCESS}
_DWT_SIZE_SHIFT_V8 = 10
# Armv8-M: the core counts as being in Secure state, all of it open to debuggers.
_S_SDE = 1 << 20
_DSCSR_CDS = 1 << 16
_ALL_DEBUG_ALLOWED = 0xFF
_FP_UPPER_HALF = 2
_UNIT_BYTES = 0x1000
# A status poll gives the core this long, or pyOCD's busy waiting starves it.
_POLL_S = 0.001


class DebugRegisters:
    """`read` and `write` answer None and False for an address that QEMU itself shall serve."""

    def __init__(self, machine: Machine, core: CoreControl) -> None:
        self._machine = machine
        self._core = core
        self._words = machine.core.identity()
        self._debug_enabled = False
        self._control = 0
        self._catch = 0
        self._data = 0
        self._was_reset = False
        self._reset_held = False
        self._breakpoints: dict[int, int] = {}
        self._watchpoints: dict[int, tuple[int, int, int]] = {}
        # By address, and no chain of comparisons: programming 100 KB passes here four thousand times.
        self._readers: dict[int, Callable[[], int]] = {
            Register.DHCSR: self._status,
            Register.DCRSR: lambda: 0,
            Register.DCRDR: lambda: self._data,
            Register.DEMCR: lambda: self._catch,
            Register.DFSR: self._fault_status,
        }
        self._writers: dict[int, Callable[[int], None]] = {
            Register.DHCSR: self._command,
            Register.DCRSR: self._transfer,
            Register.DCRDR: self._set_data,
            Register.DEMCR: self._set_catch,
            Register.DFSR: self._clear_faults,
            Register.AIRCR: self._request_reset,
        }
        self._always_set = _S_REGRDY
        if machine.core.is_v8:
            self._always_set |= _S_SDE
            self._readers[Register.DSCSR] = lambda: _DSCSR_CDS
            self._readers[Register.DAUTHSTATUS] = lambda: _ALL_DEBUG_ALLOWED
            # Only the core itself changes its world here.
            self._writers[Register.DSCSR] = lambda value: None

    @property
    def reset_held(self) -> bool:
        return self._reset_held

    def hold_reset(self, held: bool) -> None:
        """nRESET: the core stands still while it is low and starts over when it rises. The bus stays
        usable."""
        if held and not self._reset_held:
            self._core.halt()
        elif self._reset_held and not held:
            self._reset_held = False
            self.reset()
        self._reset_held = held

    def reset(self) -> None:
        self._was_reset = True
        self._core.reset(halt=self._debug_enabled and bool(self._catch & _VC_CORERESET))

    def read(self, address: int) -> int | None:
        reader = self._readers.get(address)
        if reader is not None:
            return reader()
        if address in self._words:
            return self._words[address]
        return 0 if _overlaid(address) else None

    def write(self, address: int, value: int) -> bool:
        writer = self._writers.get(address)
        if writer is not None:
            writer(value)
        elif _overlaid(address):
            self._write_unit(address, value)
        else:
            return False
        return True

    def _status(self) -> int:
        core = self._core
        if core.running:
            core.poll(_POLL_S)
        status = self._always_set | self._control
        if self._debug_enabled:
            status |= _C_DEBUGEN
        if core.locked_up:
            status |= _S_LOCKUP
        elif core.running:
            status |= _S_RETIRE
            if core.sleeps():
                status |= _S_SLEEP
        else:
            status |= _S_HALT | _C_HALT
        if self._was_reset or self._reset_held:
            status |= _S_RESET
            self._was_reset = False
        return status

    def _fault_status(self) -> int:
        self._core.poll(0.0)
        return self._core.faults

    def _clear_faults(self, value: int) -> None:
        self._core.faults &= ~value

    def _set_data(self, value: int) -> None:
        self._data = value

    def _set_catch(self, value: int) -> None:
        self._catch = value
        self._core.catch(value)

    def _request_reset(self, value: int) -> None:
        if value >> 16 == _RESET_KEY and value & _RESET_REQUEST:
            self.reset()

    def _command(self, value: int) -> None:
        if value >> 16 != _DEBUG_KEY:
            return
        self._debug_enabled = bool(value & _C_DEBUGEN)
        self._control = value & _C_KEPT & ~_C_HALT
        if value & _C_DEBUGEN and value & _C_HALT:
            if self._core.running or self._core.locked_up:
                self._core.halt()
        elif value & _C_DEBUGEN and value & _C_STEP:
            self._core.step(masked=bool(value & _C_MASKINTS))
        elif not self._core.running and not self._core.locked_up and not self._reset_held:
            self._core.resume()

    def _transfer(self, value: int) -> None:
        selector = value & 0x7F
        if value & _REGWNR:
            self._core.write_register(selector, self._data)
        else:
            self._data = self._core.read_register(selector) & 0xFFFFFFFF

    def _write_unit(self, address: int, value: int) -> None:
        cores = self._machine.core
        if _FP_COMP0 <= address < _FP_COMP0 + 4 * cores.breakpoints:
            self._words[address] = value
            self._set_breakpoint(address, value)
        elif _DWT_COMP0 <= address < _DWT_COMP0 + _DWT_STRIDE * cores.watchpoints:
            self._words[address] = value
            if address % _DWT_STRIDE == _DWT_FUNCTION:
                self._set_watchpoint(address - _DWT_FUNCTION, value)
        # FP_CTRL, DWT_CTRL and the identity words keep their values.

    def _set_breakpoint(self, comparator: int, value: int) -> None:
        old = self._breakpoints.pop(comparator, None)
        if old is not None:
            self._core.clear_point(HARDWARE_BREAKPOINT, old)
        if value & 1:
            if self._machine.core.fpb_version:
                at = value & ~1
            else:
                at = value & 0x1FFFFFFC | (2 if value >> 30 == _FP_UPPER_HALF else 0)
            self._breakpoints[comparator] = at
            self._core.set_point(HARDWARE_BREAKPOINT, at)

    def _set_watchpoint(self, comparator: int, function: int) -> None:
        old = self._watchpoints.pop(comparator, None)
        if old is not None:
            self._core.clear_point(*old)
        if self._machine.core.is_v8:
            kind = _DWT_KINDS_V8.get(function & 0xF)
            size = 1 << (function >> _DWT_SIZE_SHIFT_V8 & 3)
        else:
            kind = _DWT_KINDS.get(function & 0xF)
            size = 1 << self._words.get(comparator + _DWT_MASK, 0)
        if kind is not None:
            self._watchpoints[comparator] = (kind, self._words.get(comparator, 0), size)
            self._core.set_point(*self._watchpoints[comparator])


def _overlaid(address: int) -> bool:
    return DWT <= address < FPB + _UNIT_BYTES or ROM_TABLE <= address < ROM_TABLE + _UNIT_BYTES
