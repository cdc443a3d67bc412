"""Run control of the emulated core: what a debug unit does in silicon, done over gdbstub, QMP and the bus.

What QEMU does otherwise than silicon is mended here:

- BKPT becomes a HardFault that gdb never sees, and flash algorithms return to a BKPT. On resume, when LR
  points at one, a hardware breakpoint stands there until the core goes elsewhere.
- A locked-up core aborts QEMU, and a core reset on blank flash locks up. Such a core is not started; it is
  *reported* as locked up until somebody writes PC or steps.
- A core asleep in WFI neither steps nor wakes when it is halted. An interrupt made pending for a step, which
  does not take it, wakes it.
- A watchpoint stops before the access, again and again. The access is stepped over.
- MSP, PSP, PRIMASK and CONTROL have no gdb register: an MRS or MSR is run from scratch RAM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyocd_qemu import selectors
from pyocd_qemu.errors import QemuError
from pyocd_qemu.gdb import HARDWARE_BREAKPOINT, GdbLink
from pyocd_qemu.machines import Machine
from pyocd_qemu.qmp import QmpLink
from pyocd_qemu.qtest import QtestLink
from pyocd_qemu.registers import XPSR, CoreRegisters

# Debug fault status bits: why the core stopped.
HALTED, BKPT, DWTTRAP, VCATCH = 1, 2, 4, 8

_LR, _PC = 14, 15
_FPSCR, _VPR = 42, 43
_FIRST_D = 26
_EPSR_T = 1 << 24
_KEEP_XPSR = 0xF80F01FF
_OPCODE_BKPT = 0xBE00
_OPCODES_WAIT = (0xBF30, 0xBF20)
# Interrupt control and state.
_ICSR = 0xE000ED04
_PENDSVSET, _PENDSVCLR, _VECTPENDING = 1 << 28, 1 << 27, 0x1FF000
# LDRx R0, [R1] and STRx R0, [R1] by width in bits.
_LOADS = {8: 0x7808, 16: 0x8808, 32: 0x6808}
_STORES = {8: 0x7008, 16: 0x8008, 32: 0x6008}


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
        # Being halted wakes a core on silicon; QEMU's sleeps on, wherever its PC is put.
        self._asleep = False
        if was_running:
            self._continue()
        else:
            self._asleep = self._sleeps()

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
        if self.running:
            self._pause()
            self._asleep = self._sleeps()
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

    def step(self, *, masked: bool) -> None:
        """Runs one instruction; unless `masked`, that may be an interrupt's first."""
        self._pause()
        self._drop_return_point()
        self._from_vectors = False
        self.locked_up = False
        self.wants_to_run = False
        # Nothing is pending for a core that sleeps, so nothing is masked then.
        self._step(masked=masked or self._asleep)
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
        self._asleep = False
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
        core = self._machine.core
        if selector <= _PC:
            return self._registers.read(selector)
        if selector == selectors.XPSR:
            return self._registers.read(XPSR)
        if selector in self._sysm:
            return self._execute(_mrs(self._sysm[selector]))[0]
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
            self._from_vectors = False
            self.locked_up = False
            self._registers.write(_PC, value & ~1)
        elif selector < _PC:
            self._registers.write(selector, value)
        elif selector == selectors.XPSR:
            self._registers.write(XPSR, value)
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
        with self._paused():
            return self._execute(_LOADS[bits].to_bytes(2, "little"), 0, address)[0]

    def store(self, address: int, value: int, bits: int) -> None:
        with self._paused():
            self._execute(_STORES[bits].to_bytes(2, "little"), value, address)

    @property
    def _sysm(self) -> dict[int, int]:
        return selectors.SYSM_V8 if self._machine.core.is_v8 else selectors.SYSM

    def _packed(self, selector: int) -> list[tuple[int, int]]:
        core = self._machine.core
        return selectors.packed(selector, has_basepri=core.has_basepri, is_v8=core.is_v8)

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
        if self._asleep:
            self._step()
        self._registers.resume()

    def _step(self, *, masked: bool = True) -> None:
        self._registers.flush()
        # A core asleep in WFI steps once it has a reason to wake up, which no masked step takes.
        wakes = masked and not self._bus.read_value(_ICSR, 32) & _PENDSVSET
        if wakes:
            self._bus.write_value(_ICSR, _PENDSVSET, 32)
        stepped = self._gdb.step(masked=masked)
        if wakes:
            self._bus.write_value(_ICSR, _PENDSVCLR, 32)
        self._registers.forget()
        self._asleep = False
        if stepped is None:
            raise QemuError("the core sleeps in an interrupt and does not step", "reset it")

    def _sleeps(self) -> bool:
        """Whether the stopped core waits in WFI or WFE."""
        before = self._registers.read(_PC) - 2
        return (
            self._machine.is_memory(before, 2)
            and self._bus.read_value(before, 16) in _OPCODES_WAIT
            and not self._bus.read_value(_ICSR, 32) & _VECTPENDING
        )

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
        if "watch:" not in reply:
            self.faults |= BKPT
            return
        self.faults |= DWTTRAP
        # QEMU stops before the access, and would stop there for ever; silicon stops after it.
        watchpoints = [point for point in self._points if point[0] != HARDWARE_BREAKPOINT]
        for point in watchpoints:
            self._gdb.clear_point(*point)
        self._step()
        for point in watchpoints:
            self._gdb.set_point(*point)

    def _drop_return_point(self) -> None:
        if self._return_point is not None:
            self._gdb.clear_point(HARDWARE_BREAKPOINT, self._return_point)
            self._return_point = None

    def _execute(self, instruction: bytes, *arguments: int) -> tuple[int, int]:
        """Runs one instruction from scratch RAM with these in R0 and R1; answers both, and leaves all else as
        it was."""
        scratch = self._machine.scratch
        saved = self._bus.read(scratch, len(instruction))
        registers = {number: self._registers.read(number) for number in (0, 1, _PC, XPSR)}
        self._bus.write(scratch, instruction)
        self._registers.write(_PC, scratch)
        self._registers.write(XPSR, registers[XPSR] & _KEEP_XPSR | _EPSR_T)
        for number, value in enumerate(arguments):
            self._registers.write(number, value)
        self._step()
        result = self._registers.read(0), self._registers.read(1)
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
