"""Run control of the emulated core: what a debug unit does in silicon, done over gdbstub, QMP and the bus.

What QEMU does otherwise than silicon is mended here:

- BKPT becomes a HardFault. Its handler's first instruction is watched: the exception is undone, and the core
  stands at the BKPT. As flash algorithms return to one for every call, a hardware breakpoint stands there
  when LR points at a BKPT on resume, until the core goes elsewhere.
- A locked-up core aborts QEMU, and a core reset on blank flash locks up. Such a core is not started; it is
  *reported* as locked up until somebody writes PC or steps.
- A watchpoint stops before the access, again and again. The access is stepped over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pyocd_qemu.errors import QemuError
from pyocd_qemu.fault_catch import HARD_FAULT, VTOR, FaultCatch
from pyocd_qemu.gdb import HARDWARE_BREAKPOINT, GdbLink
from pyocd_qemu.machines import Machine
from pyocd_qemu.qmp import QmpLink
from pyocd_qemu.qtest import QtestLink
from pyocd_qemu.registers import XPSR
from pyocd_qemu.stopped_core import StoppedCore

# Debug fault status bits: why the core stopped.
HALTED, BKPT, DWTTRAP, VCATCH = 1, 2, 4, 8

_SP, _LR, _PC = 13, 14, 15
_IPSR = 0x1FF
_EXC_RETURN_SPSEL = 4
_STACKED_PC = 24
_SEL_PSP = 18
_OPCODE_BKPT = 0xBE00
_SLEEP_PERIOD_S = 0.05
_DRAIN_PERIOD = 64
"""In starts of the core: before QMP's socket is full."""


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
        before_start: Callable[[], None],
    ) -> None:
        """`before_start` is called before a program starts from the vector table: it may end QEMU."""
        self._machine = machine
        self._before_start = before_start
        self._vectors_at = vectors_at
        self._bus = bus
        self._gdb = gdb
        self._qmp = qmp
        self._stopped = StoppedCore(machine, bus, gdb)
        self._registers = self._stopped.registers
        self._catch = FaultCatch(machine, bus, gdb)
        self._vector_table = vectors_at
        self._return_point: int | None = None
        # What was read there when the core stopped, for as long as nobody can have written to it.
        self._return_code: int | None = None
        self._points: set[tuple[int, int, int]] = set()
        # A core that has not run since its reset, and whose PC nobody wrote, starts from the vector table.
        self._from_vectors = not was_running
        self.wants_to_run = was_running
        self.locked_up = False
        self.faults = 0
        self._slept = False
        self._sleep_known_s = 0.0
        self._starts = 0
        if was_running:
            self._continue()
        else:
            self._stopped.note_sleep()

    @property
    def running(self) -> bool:
        return self._gdb.running

    def poll(self, timeout_s: float) -> None:
        """Notices a stop the core made by itself; waits for one at most that long."""
        reply = self._gdb.poll(timeout_s)
        if reply is not None:
            self._registers.forget()
            if self._stopped_by_itself(reply):
                self._continue()
        elif self.running and self._return_point is None and self._catch_is_stale():
            self._pause()
            if self.wants_to_run:
                self._continue()

    def sleeps(self) -> bool:
        """Whether the running core waits in WFI or WFE, as of a moment ago: QEMU does not tell, so it is
        stopped for about a millisecond to see."""
        if self._return_point is not None or time.monotonic() - self._sleep_known_s < _SLEEP_PERIOD_S:
            return self._slept
        self._pause()
        if self.wants_to_run:
            slept = self._stopped.sleeps()
            self._go()
            self._slept = slept
        return self._slept

    def catch(self, vectors: int) -> None:
        """Which faults shall stop the core: DEMCR."""
        self._catch.wanted = vectors

    def halt(self) -> None:
        if self.running:
            self._pause()
            self._stopped.note_sleep()
        self.locked_up = False
        self.wants_to_run = False
        self.faults |= HALTED

    def resume(self) -> None:
        self.wants_to_run = True
        if self.running:
            return
        if self._from_vectors:
            self._before_start()
            if not self._machine.can_start(self._bus.read(self._vectors_at, 8), self._vectors_at):
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
        self._stopped.step(masked=masked or self._stopped.asleep)
        self.faults |= HALTED

    def reset(self, *, halt: bool) -> None:
        self._pause()
        self._bus.settle()
        self._qmp.reset()
        # QEMU may have told gdb of the stop; asking for the reason keeps questions and answers in step.
        self._gdb.ask("?")
        self._registers.forget()
        self._catch.forget()
        # With that question QEMU forgets every breakpoint, as if gdb had just come.
        self._return_point = None
        for point in self._points:
            self._gdb.set_point(*point)
        self._from_vectors = True
        self._stopped.asleep = self._stopped.stuck = False
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
        """Takes all points away and lets the core run on when it was meant to, unless it locks up at once:
        nobody would be there to keep QEMU from its end."""
        self._pause()
        self._bus.settle()
        for point in list(self._points):
            self.clear_point(*point)
        self._drop_return_point()
        if self.wants_to_run and not self.locked_up:
            # A core that cannot be stepped, as it sleeps in a handler, does not lock up either.
            with suppress(QemuError):
                self._note_lockup()
        self._catch.disarm()
        self._registers.flush()
        if self.wants_to_run and not self.locked_up:
            self._gdb.detach()

    def _note_lockup(self) -> None:
        """A step ahead: a core left in erased flash, or at the BKPT of a flash algorithm, faults with it."""
        self._find_vector_table()
        self._catch.arm(self._vector_table)
        # It may have come as far by itself, just as it was stopped.
        if not self._is_at_no_handler() and not self._stopped.sleeps():
            self._stopped.step()
        if self._is_at_no_handler():
            self.locked_up = True
            # Left before the fault: a second one inside the first, and QEMU would be gone after all.
            self._stopped.leave_exception()

    def _is_at_no_handler(self) -> bool:
        """Whether a fault was taken that nothing handles."""
        at = self._registers.read(_PC)
        return self._catch.begins_at(at) and not self._machine.is_memory(at, 2)

    def read_register(self, selector: int) -> int:
        """A core register by its DCRSR selector; 0 for one this core lacks. The core must be stopped."""
        return self._stopped.read_register(selector)

    def write_register(self, selector: int, value: int) -> None:
        if selector == _PC:
            self._from_vectors = False
            self.locked_up = False
        self._stopped.write_register(selector, value)

    def written(self, address: int, size: int) -> None:
        """To be told of what a debugger writes by the bus."""
        point = self._return_point
        elsewhere = point is not None and (address + size <= point or point + 2 <= address)
        # A device register may be a flash controller's.
        if not elsewhere or not self._machine.is_memory(address, size):
            self._return_code = None

    def load(self, address: int, bits: int) -> int:
        """Reads a device register as the core itself: where the bus shows it to Secure code only."""
        with self._paused():
            return self._stopped.load(address, bits)

    def store(self, address: int, value: int, bits: int) -> None:
        with self._paused():
            self._stopped.store(address, value, bits)

    def _continue(self) -> None:
        self._from_vectors = False
        self.locked_up = False
        back = self._registers.read(_LR) & ~1
        known = self._return_code if back == self._return_point else None
        returns = self._is_bkpt(back, known) and (HARDWARE_BREAKPOINT, back, 2) not in self._points
        wanted = back if returns else None
        # It stays while the core stands: the functions of a flash algorithm return to one place.
        if wanted != self._return_point:
            self._drop_return_point()
            if wanted is not None:
                self._gdb.set_point(HARDWARE_BREAKPOINT, wanted)
                self._return_point = wanted
        if wanted is None:
            self._find_vector_table()
            self._catch.arm(self._vector_table)
        at = self._registers.read(_PC)
        if self._catch.begins_at(at) and (HARDWARE_BREAKPOINT, at, 2) not in self._points:
            # Seen already. A handler that is nowhere cannot be entered.
            if not self._machine.is_memory(at, 2):
                self.locked_up = True
                return
            self._pass(at)
        if self._stopped.asleep:
            # One that cannot be woken sleeps on until its interrupt comes.
            with suppress(QemuError):
                self._stopped.step()
        self._go()

    def _go(self) -> None:
        # What a debugger wrote is there before the core runs.
        self._bus.settle()
        self._return_code = None
        self._starts += 1
        if self._starts % _DRAIN_PERIOD == 0:
            self._qmp.drain()
        self._stopped.stuck = False
        self._registers.resume()
        self._sleep_known_s = time.monotonic()
        self._slept = False

    def _is_bkpt(self, address: int, code: int | None = None) -> bool:
        """`code`: what stands there, if known."""
        if code is None:
            if not self._machine.is_memory(address, 2):
                return False
            code = self._bus.read_value(address, 16)
        return code & 0xFF00 == _OPCODE_BKPT

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

    def _stopped_by_itself(self, reply: str) -> bool:
        """Takes note of why; whether that was nobody's business, so that the core is to run on."""
        if "watch:" in reply:
            # QEMU stops before the access, and would stop there for ever; silicon stops after it.
            self._step_over([point for point in self._points if point[0] != HARDWARE_BREAKPOINT])
            self.faults |= DWTTRAP
        else:
            if self._return_point is not None:
                # One round trip fewer when the next call is made. Posted bytes may be meant for that place.
                self._bus.settle()
                self._return_code = self._registers.fetch_with(self._return_point)
            at = self._registers.read(_PC)
            point = (HARDWARE_BREAKPOINT, at, 2)
            if self._catch.begins_at(at) and point not in self._points:
                if not self._note_fault(at):
                    self._pass(at)
                    return True
            else:
                self.faults |= BKPT
        self.wants_to_run = False
        return False

    def _note_fault(self, handler: int) -> bool:
        """At a handler's first instruction; whether the core is to stop for it."""
        exception = self._registers.read(XPSR) & _IPSR
        if exception == HARD_FAULT and self._is_bkpt(self._stacked_pc()):
            self._stopped.leave_exception()
            self.faults |= BKPT
        elif self._catch.asks_for(exception):
            self.faults |= VCATCH
        elif exception == HARD_FAULT and not self._machine.is_memory(handler, 2):
            self.locked_up = True
        else:
            return False
        return True

    def _stacked_pc(self) -> int:
        """Where the exception being entered came from."""
        came_from_psp = self._registers.read(_LR) & _EXC_RETURN_SPSEL
        frame = self._stopped.read_register(_SEL_PSP) if came_from_psp else self._registers.read(_SP)
        return self._bus.read_value(frame + _STACKED_PC, 32) if self._machine.is_memory(frame, 32) else 0

    def _step_over(self, points: list[tuple[int, int, int]]) -> None:
        self._return_code = None
        for point in points:
            self._gdb.clear_point(*point)
        self._stopped.step()
        for point in points:
            self._gdb.set_point(*point)

    def _pass(self, handler: int) -> None:
        """Over a handler's first instruction; one that is a loop would be stopped at for ever."""
        self._step_over([(HARDWARE_BREAKPOINT, handler, 2)])
        if self._registers.read(_PC) == handler:
            self._catch.mute(handler)

    def _find_vector_table(self) -> None:
        if self._machine.secure:
            # A core asleep in a handler tells nothing: what it told before stays.
            with suppress(QemuError):
                self._vector_table = self._stopped.load(VTOR, 32)
        else:
            self._vector_table = self._bus.read_value(VTOR, 32) if self._machine.core.has_basepri else 0

    def _catch_is_stale(self) -> bool:
        """Whether the running program has set up other fault handlers."""
        if not self._machine.secure:
            self._find_vector_table()
        return self._catch.is_stale(self._vector_table)

    def _drop_return_point(self) -> None:
        if self._return_point is not None:
            self._gdb.clear_point(HARDWARE_BREAKPOINT, self._return_point)
            self._return_point = None
