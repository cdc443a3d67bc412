"""What a debugger does with a core that stands: registers, single steps, instructions of its own.

- A core asleep in WFI neither steps nor wakes when it is halted. An interrupt made pending for a step, which
  does not take it, wakes it; inside a handler one of a higher priority.
- MSP, PSP, PRIMASK and CONTROL have no gdb register: an MRS or MSR is run from scratch RAM.
"""

from __future__ import annotations

from pyocd_qemu import selectors
from pyocd_qemu.errors import QemuError
from pyocd_qemu.gdb import GdbLink
from pyocd_qemu.machines import Machine
from pyocd_qemu.qtest import QtestLink
from pyocd_qemu.registers import XPSR, CoreRegisters

_SP, _PC = 13, 15
_FPSCR, _VPR = 42, 43
_FIRST_D = 26
_EPSR_T = 1 << 24
_KEEP_XPSR = 0xF80F01FF
_OPCODES_WAIT = (0xBF30, 0xBF20)
_BX_LR = b"\x70\x47"
# Interrupt control and state.
_ICSR = 0xE000ED04
_PENDSVSET, _PENDSVCLR, _VECTPENDING = 1 << 28, 1 << 27, 0x1FF000
# Exceptions with a priority of their own, and those that wake: number, ICSR's bits to set and to clear.
_IPSR = 0x1FF
_FIRST_WITH_PRIORITY, _FIRST_IRQ = 4, 16
_PENDSV = (14, _PENDSVSET, _PENDSVCLR)
_SYSTICK = (15, 1 << 26, 1 << 25)
# System handlers' and interrupts' priority registers, a byte each.
_SHPR1, _IPR0 = 0xE000ED18, 0xE000E400
_SYSM_CONTROL, _NPRIV, _SPSEL = 20, 1, 2
# LDRx R0, [R1] and STRx R0, [R1] by width in bits.
_LOADS = {8: 0x7808, 16: 0x8808, 32: 0x6808}
_STORES = {8: 0x7008, 16: 0x8008, 32: 0x6008}


class StoppedCore:
    """Every method needs the core stopped. `asleep`: it was in WFI or WFE then. Being halted wakes a core on
    silicon; QEMU's sleeps on, wherever its PC is put, until it is stepped here. `stuck`: it did not step, and
    will not before it has run."""

    def __init__(self, machine: Machine, bus: QtestLink, gdb: GdbLink) -> None:
        self._machine = machine
        self._bus = bus
        self._gdb = gdb
        self.registers = CoreRegisters(gdb)
        self.asleep = False
        self.stuck = False

    def read_register(self, selector: int) -> int:
        """A core register by its DCRSR selector; 0 for one this core lacks. The core must be stopped."""
        core = self._machine.core
        if selector <= _PC:
            return self.registers.read(selector)
        if selector == selectors.XPSR:
            return self.registers.read(XPSR)
        if selector in self._sysm:
            value = self._execute(_mrs(self._sysm[selector]))[0]
            return self.registers.read(_SP) if not value and self._is_in_use(selector) else value
        if parts := self._packed(selector):
            return sum((self._execute(_mrs(sysm))[0] & 0xFF) << shift for sysm, shift in parts)
        if core.has_fpu and selector == selectors.FPSCR:
            return self._gdb.read_register(_FPSCR)
        if core.has_mve and selector == selectors.VPR:
            return self._gdb.read_register(_VPR)
        if core.has_fpu and selector >= selectors.S0:
            number, shift = selectors.half_of_d(selector)
            return self._gdb.read_register(_FIRST_D + number) >> shift & 0xFFFFFFFF
        return 0

    def write_register(self, selector: int, value: int) -> None:
        core = self._machine.core
        if selector == _PC:
            self.registers.write(_PC, value & ~1)
        elif selector < _PC:
            self.registers.write(selector, value)
        elif selector == selectors.XPSR:
            self.registers.write(XPSR, value)
        elif selector in self._sysm:
            self._execute(_msr(self._sysm[selector]), value)
        elif parts := self._packed(selector):
            for sysm, shift in parts:
                self._execute(_msr(sysm), value >> shift & 0xFF)
        elif core.has_fpu and selector == selectors.FPSCR:
            self._gdb.write_register(_FPSCR, value)
        elif core.has_mve and selector == selectors.VPR:
            self._gdb.write_register(_VPR, value)
        elif core.has_fpu and selector >= selectors.S0:
            number, shift = selectors.half_of_d(selector)
            other = self._gdb.read_register(_FIRST_D + number) & ~(0xFFFFFFFF << shift)
            self._gdb.write_register(_FIRST_D + number, other | value << shift, size=8)

    def load(self, address: int, bits: int) -> int:
        """Reads a device register as the core itself: where the bus shows it to Secure code only."""
        return self._execute(_LOADS[bits].to_bytes(2, "little"), 0, address)[0]

    def store(self, address: int, value: int, bits: int) -> None:
        self._execute(_STORES[bits].to_bytes(2, "little"), value, address)

    def step(self, *, masked: bool = True, wake: bool = True) -> None:
        """Runs one instruction; unless `masked`, that may be an interrupt's first. Raises QemuError when the
        core does not."""
        if self.stuck:
            raise _no_step()
        self.registers.flush()
        self._bus.settle()
        handler = self.registers.read(XPSR) & _IPSR if self.asleep else 0
        if masked and wake and handler >= _FIRST_WITH_PRIORITY and not self._machine.secure:
            stepped = self._step_out_of_sleep(handler)
        else:
            stepped = self._step(masked=masked, wake=wake)
        self.registers.forget()
        self.stuck = stepped is None
        if self.stuck:
            raise _no_step()
        self.asleep = False

    def _step(self, *, masked: bool, wake: bool) -> str | None:
        # A core asleep in WFI steps once it has a reason to wake up, which no masked step takes.
        wakes = masked and wake and not self._bus.read_value(_ICSR, 32) & _PENDSVSET
        if wakes:
            self._bus.write_value(_ICSR, _PENDSVSET, 32)
        stepped = self._gdb.step(masked=masked)
        if wakes:
            self._bus.write_value(_ICSR, _PENDSVCLR, 32)
        return stepped

    def _step_out_of_sleep(self, handler: int) -> str | None:
        """A masked step with an interrupt pending that is above the handler the core sleeps in. Not on an
        M55: the bus is Non-secure there, and does not reach the priorities of Secure handlers."""
        waker, pend, clear = _SYSTICK if handler == _PENDSV[0] else _PENDSV
        handlers_at, wakers_at = _priority_of(handler), _priority_of(waker)
        saved = {at & ~3: self._bus.read_value(at & ~3, 32) for at in (handlers_at, wakers_at)}
        was_pending = self._bus.read_value(_ICSR, 32) & pend
        self._set_byte(handlers_at, 0xFF)
        self._set_byte(wakers_at, 0)
        self._bus.write_value(_ICSR, pend, 32)
        stepped = self._gdb.step(masked=True)
        if not was_pending:
            self._bus.write_value(_ICSR, clear, 32)
        for at, word in saved.items():
            self._bus.write_value(at, word, 32)
        return stepped

    def _set_byte(self, at: int, value: int) -> None:
        """Within a word: a Cortex-M0 takes no less."""
        shift = 8 * (at & 3)
        word = self._bus.read_value(at & ~3, 32) & ~(0xFF << shift)
        self._bus.write_value(at & ~3, word | value << shift, 32)

    def leave_exception(self) -> None:
        """Back to where it came from: BX LR."""
        scratch = self._machine.scratch
        saved = self._bus.read(scratch, 2)
        self._bus.write(scratch, _BX_LR)
        self.registers.write(_PC, scratch)
        # A vector without its lowest bit has cleared this.
        self.registers.write(XPSR, self.registers.read(XPSR) | _EPSR_T)
        # What is pending would be taken when the exception ends, masked or not.
        self.step(wake=False)
        self._bus.write(scratch, saved)

    def note_sleep(self) -> None:
        """To be called when a debugger has halted the core."""
        self.asleep = self.sleeps()

    def sleeps(self) -> bool:
        """Whether it waits in WFI or WFE."""
        before = self.registers.read(_PC) - 2
        return (
            self._machine.is_memory(before, 2)
            and self._bus.read_value(before, 16) in _OPCODES_WAIT
            and not self._bus.read_value(_ICSR, 32) & _VECTPENDING
        )

    def _is_in_use(self, selector: int) -> bool:
        """Whether that is the stack pointer of code without privilege, which reads it as 0."""
        if selector not in (selectors.MSP, selectors.PSP) or self.registers.read(XPSR) & _IPSR:
            return False
        control = self._execute(_mrs(_SYSM_CONTROL))[0]
        return bool(control & _NPRIV) and bool(control & _SPSEL) == (selector == selectors.PSP)

    @property
    def _sysm(self) -> dict[int, int]:
        return selectors.SYSM_V8 if self._machine.core.is_v8 else selectors.SYSM

    def _packed(self, selector: int) -> list[tuple[int, int]]:
        core = self._machine.core
        return selectors.packed(selector, has_basepri=core.has_basepri, is_v8=core.is_v8)

    def _execute(self, instruction: bytes, *arguments: int) -> tuple[int, int]:
        """Runs one instruction from scratch RAM with these in R0 and R1; answers both, and leaves all else as
        it was."""
        scratch = self._machine.scratch
        saved = self._bus.read(scratch, len(instruction))
        registers = {number: self.registers.read(number) for number in (0, 1, _PC, XPSR)}
        self._bus.write(scratch, instruction)
        self.registers.write(_PC, scratch)
        self.registers.write(XPSR, registers[XPSR] & _KEEP_XPSR | _EPSR_T)
        for number, value in enumerate(arguments):
            self.registers.write(number, value)
        try:
            self.step()
            return self.registers.read(0), self.registers.read(1)
        finally:
            self._bus.write(scratch, saved)
            for number, value in registers.items():
                self.registers.write(number, value)


def _no_step() -> QemuError:
    return QemuError("the core sleeps in an interrupt and does not step", "let it run, or reset it")


def _priority_of(exception: int) -> int:
    """Where its byte is."""
    if exception < _FIRST_IRQ:
        return _SHPR1 + exception - _FIRST_WITH_PRIORITY
    return _IPR0 + exception - _FIRST_IRQ


def _mrs(sysm: int) -> bytes:
    """MRS R0, <sysm>"""
    return b"\xef\xf3" + (0x8000 | sysm).to_bytes(2, "little")


def _msr(sysm: int) -> bytes:
    """MSR <sysm>, R0"""
    return b"\x80\xf3" + (0x8800 | sysm).to_bytes(2, "little")
