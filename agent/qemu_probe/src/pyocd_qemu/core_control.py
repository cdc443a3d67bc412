"""Run control of the emulated core: what a debug unit does in silicon, done over gdbstub, QMP and the bus.

Three things QEMU does otherwise than silicon are mended here:

- BKPT becomes a HardFault that gdb never sees, and flash algorithms return to a BKPT. On resume, when LR
  points at one, a hardware breakpoint stands there until the core goes elsewhere.
- A locked-up core aborts QEMU, and a core reset on blank flash locks up. Such a core is not started; it is
  *reported* as locked up until somebody writes PC or steps.
- MSP, PSP, PRIMASK and CONTROL have no gdb register: an MRS or MSR is run from scratch RAM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyocd_qemu.gdb import HARDWARE_BREAKPOINT, GdbLink
from pyocd_qemu.machines import Machine
from pyocd_qemu.qmp import QmpLink
from pyocd_qemu.qtest import QtestLink
from pyocd_qemu.registers import XPSR, CoreRegisters

# Debug fault status bits: why the core stopped.
HALTED, BKPT, DWTTRAP, VCATCH = 1, 2, 4, 8

_LR, _PC = 14, 15
_FPSCR = 42
_FIRST_D = 26
_EPSR_T = 1 << 24
_KEEP_XPSR = 0xF80F01FF
_OPCODE_BKPT = 0xBE00

# Core register selectors (DCRSR.REGSEL) that gdb does not number alike.
_SEL_XPSR, _SEL_MSP, _SEL_PSP, _SEL_SPECIAL, _SEL_FPSCR, _SEL_S0 = 16, 17, 18, 20, 33, 0x40
_SYSM = {_SEL_MSP: 8, _SEL_PSP: 9}
_SYSM_PRIMASK, _SYSM_BASEPRI, _SYSM_FAULTMASK, _SYSM_CONTROL = 0x10, 0x11, 0x13, 0x14


class CoreControl:
    """State between the debugger's wishes and QEMU. `faults` collects HALTED, BKPT, DWTTRAP and VCATCH."""

    def __init__(
        self,
        machine: Machine,
        bus: QtestLink,
        gdb: GdbLink,
        qmp: QmpLink,
        *,
        vectors_at: int,
        was_running: bool,
    ) -> None:
        self._machine = machine
        self._vectors_at = vectors_at
        self._bus = bus
        self._gdb = gdb
        self._qmp = qmp
        self._registers = CoreRegisters(gdb)
        self._return_point: int | None = None
        self._points: set[tuple[int, int, int]] = set()
        # A core that has not run since its reset, and whose PC nobody wrote, starts from the vector table.
        self._from_vectors = not was_running
        self.wants_to_run = was_running
        self.locked_up = False
        self.faults = 0
        if was_running:
            self._continue()

    @property
    def running(self) -> bool:
        return self._gdb.running

    def poll(self, timeout_s: float) -> None:
        """Notices a stop the core made by itself; waits for one at most that long."""
        reply = self._gdb.poll(timeout_s)
        if reply is not None:
            self._registers.forget()
            self._stopped_by_itself(reply)

    def halt(self) -> None:
        self._pause()
        self.locked_up = False
        self.wants_to_run = False
        self.faults |= HALTED

    def resume(self) -> None:
        self.wants_to_run = True
        if self.running:
            return
        vectors = self._bus.read(self._vectors_at, 8) if self._from_vectors else b""
        if self._from_vectors and not self._machine.can_start(vectors, self._vectors_at):
            self.locked_up = True
            return
        self._continue()

    def step(self) -> None:
        self._pause()
        self._drop_return_point()
        self._from_vectors = False
        self.locked_up = False
        self.wants_to_run = False
        self._step()
        self.faults |= HALTED

    def reset(self, *, halt: bool) -> None:
        self._pause()
        self._qmp.reset()
        # QEMU may have told gdb of the stop; asking for the reason keeps questions and answers in step.
        self._gdb.ask("?")
        self._registers.forget()
        # With that question QEMU forgets every breakpoint, as if gdb had just come.
        self._return_point = None
        for point in self._points:
            self._gdb.set_point(*point)
        self._from_vectors = True
        self.locked_up = False
        self.wants_to_run = False
        if halt:
            self.faults |= VCATCH
        else:
            self.resume()

    def set_point(self, kind: int, address: int, size: int = 2) -> None:
        """A break- or watchpoint that stays until cleared."""
        if (kind, address, size) not in self._points:
            with self._paused():
                self._gdb.set_point(kind, address, size)
            self._points.add((kind, address, size))

    def clear_point(self, kind: int, address: int, size: int = 2) -> None:
        if (kind, address, size) in self._points:
            self._points.discard((kind, address, size))
            with self._paused():
                self._gdb.clear_point(kind, address, size)

    def release(self) -> None:
        """Takes all points away and lets the core run on when it was meant to."""
        self._pause()
        for point in list(self._points):
            self.clear_point(*point)
        self._drop_return_point()
        self._registers.flush()
        if self.wants_to_run and not self.locked_up:
            self._gdb.detach()

    def read_register(self, selector: int) -> int:
        """A core register by its DCRSR selector; 0 for one this core lacks. The core must be stopped."""
        if selector <= _PC:
            return self._registers.read(selector)
        if selector == _SEL_XPSR:
            return self._registers.read(XPSR)
        if selector in _SYSM:
            return self._execute(_mrs(_SYSM[selector]))
        if selector == _SEL_SPECIAL:
            parts = (self._execute(_mrs(sysm)) & 0xFF for sysm, _ in self._special())
            return sum(part << shift for part, (_, shift) in zip(parts, self._special(), strict=True))
        if self._machine.core.has_fpu and selector == _SEL_FPSCR:
            return self._gdb.read_register(_FPSCR)
        if self._machine.core.has_fpu and selector >= _SEL_S0:
            number, shift = _half_of_d(selector)
            return self._gdb.read_register(number) >> shift & 0xFFFFFFFF
        return 0

    def write_register(self, selector: int, value: int) -> None:
        if selector == _PC:
            self._from_vectors = False
            self.locked_up = False
            self._registers.write(_PC, value & ~1)
        elif selector < _PC:
            self._registers.write(selector, value)
        elif selector == _SEL_XPSR:
            self._registers.write(XPSR, value)
        elif selector in _SYSM:
            self._execute(_msr(_SYSM[selector]), value)
        elif selector == _SEL_SPECIAL:
            for sysm, shift in self._special():
                self._execute(_msr(sysm), value >> shift & 0xFF)
        elif self._machine.core.has_fpu and selector == _SEL_FPSCR:
            self._gdb.write_register(_FPSCR, value)
        elif self._machine.core.has_fpu and selector >= _SEL_S0:
            number, shift = _half_of_d(selector)
            other = self._gdb.read_register(number) & ~(0xFFFFFFFF << shift)
            self._gdb.write_register(number, other | value << shift, size=8)

    def _special(self) -> list[tuple[int, int]]:
        """(SYSm, shift) of the registers packed into one selector."""
        every = [(_SYSM_PRIMASK, 0), (_SYSM_CONTROL, 24)]
        if self._machine.core.has_basepri:
            every += [(_SYSM_BASEPRI, 8), (_SYSM_FAULTMASK, 16)]
        return every

    def _continue(self) -> None:
        self._from_vectors = False
        self.locked_up = False
        back = self._registers.read(_LR) & ~1
        returns = self._is_bkpt(back) and (HARDWARE_BREAKPOINT, back, 2) not in self._points
        wanted = back if returns else None
        # It stays while the core stands: the functions of a flash algorithm return to one place.
        if wanted != self._return_point:
            self._drop_return_point()
            if wanted is not None:
                self._gdb.set_point(HARDWARE_BREAKPOINT, wanted)
                self._return_point = wanted
        self._registers.flush()
        self._gdb.resume()
        self._registers.forget()

    def _step(self) -> None:
        self._registers.flush()
        self._gdb.step()
        self._registers.forget()

    def _is_bkpt(self, address: int) -> bool:
        in_memory = self._machine.is_memory(address, 2)
        return in_memory and self._bus.read_value(address, 16) & 0xFF00 == _OPCODE_BKPT

    def _pause(self) -> None:
        """Stops the core without the debugger's notice, unless it stops by itself in the same moment."""
        reply = self._gdb.stop()
        if reply is not None:
            self._registers.forget()
        if reply is not None and not reply.startswith("T02"):
            self._stopped_by_itself(reply)

    @contextmanager
    def _paused(self) -> Iterator[None]:
        was_running = self.running
        self._pause()
        yield
        if was_running and self.wants_to_run:
            self._continue()

    def _stopped_by_itself(self, reply: str) -> None:
        self.wants_to_run = False
        self.faults |= DWTTRAP if "watch:" in reply else BKPT

    def _drop_return_point(self) -> None:
        if self._return_point is not None:
            self._gdb.clear_point(HARDWARE_BREAKPOINT, self._return_point)
            self._return_point = None

    def _execute(self, instruction: bytes, r0: int | None = None) -> int:
        """Runs one instruction with that R0 from scratch RAM; answers R0 and leaves all else as it was."""
        scratch = self._machine.scratch
        saved = self._bus.read(scratch, len(instruction))
        registers = {number: self._registers.read(number) for number in (0, _PC, XPSR)}
        self._bus.write(scratch, instruction)
        self._registers.write(_PC, scratch)
        self._registers.write(XPSR, registers[XPSR] & _KEEP_XPSR | _EPSR_T)
        if r0 is not None:
            self._registers.write(0, r0)
        self._step()
        result = self._registers.read(0)
        self._bus.write(scratch, saved)
        for number, value in registers.items():
            self._registers.write(number, value)
        return result


def _mrs(sysm: int) -> bytes:
    """MRS R0, <sysm>"""
    return b"\xef\xf3" + (0x8000 | sysm).to_bytes(2, "little")


def _msr(sysm: int) -> bytes:
    """MSR <sysm>, R0"""
    return b"\x80\xf3" + (0x8800 | sysm).to_bytes(2, "little")


def _half_of_d(selector: int) -> tuple[int, int]:
    """gdb's number of the D register that holds this S register, and how far up it stands in it."""
    single = selector - _SEL_S0
    return _FIRST_D + single // 2, single % 2 * 32
