"""The board's memory as pyOCD's memory interface: 64 KiB in one round trip instead of one word."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NoReturn

from pyocd.core import exceptions
from pyocd.core.memory_interface import MemoryInterface

from pyocd_qemu import logs, registry
from pyocd_qemu.core_control import CoreControl
from pyocd_qemu.debug_registers import DebugRegisters
from pyocd_qemu.errors import LinkError, LockupError, QemuError
from pyocd_qemu.gdb import HARDWARE_BREAKPOINT
from pyocd_qemu.machines import Machine
from pyocd_qemu.process import LOG_NAME
from pyocd_qemu.qtest import QtestLink

_OPCODE_BKPT = 0xBE00
_PRIVATE_BUS_TOP = 0xE00


class translated:
    """Our errors as pyOCD's, which its callers know how to report. No generator: those are slower. May be
    entered again."""

    def __init__(self, board: str) -> None:
        self._board = board

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, QemuError):
            self.reraise(error)

    def reraise(self, error: QemuError) -> NoReturn:
        if not isinstance(error, LinkError):
            raise exceptions.ProbeError(f"{self._board}: {error}") from error
        lockup = logs.lockup(registry.root() / self._board / LOG_NAME)
        cause = error if lockup is None else LockupError(lockup)
        raise exceptions.ProbeDisconnected(f"{self._board}: {cause}") from cause


class BoardMemory(MemoryInterface):  # type: ignore[misc]  # pyOCD has no types
    """Raises TransferFaultError for addresses the machine lacks and ProbeDisconnected when QEMU is gone.

    The keyword arguments pyOCD adds for other probes (`csw`) mean nothing here.
    """

    def __init__(
        self, board: str, machine: Machine, bus: QtestLink, core: CoreControl, registers: DebugRegisters
    ) -> None:
        self._translated = translated(board)
        self._machine = machine
        self._bus = bus
        self._core = core
        self._registers = registers
        self._software_breakpoints: set[int] = set()

    def read_memory(self, addr: int, transfer_size: int = 32, now: bool = True, **_: Any) -> Any:
        try:
            value = self._read(addr, transfer_size)
        except QemuError as error:
            self._translated.reraise(error)
        # pyOCD may ask for a function that gives the result later.
        return value if now else lambda: value

    def write_memory(self, addr: int, data: int, transfer_size: int = 32, **_: Any) -> None:
        try:
            self._write(addr, data & (1 << transfer_size) - 1, transfer_size)
        except QemuError as error:
            self._translated.reraise(error)

    def read_memory_block32(self, addr: int, size: int, **_: Any) -> Sequence[int]:
        with self._access(addr, 4 * size):
            if self._machine.is_memory(addr, 4 * size):
                return list(struct.unpack(f"<{size}I", self._bus.read(addr, 4 * size)))
            return [self._read(addr + 4 * i, 32) for i in range(size)]

    def write_memory_block32(self, addr: int, data: Sequence[int], **_: Any) -> None:
        with self._access(addr, 4 * len(data)):
            if self._machine.is_memory(addr, 4 * len(data)):
                self._post(addr, struct.pack(f"<{len(data)}I", *data))
            else:
                for i, value in enumerate(data):
                    self._write(addr + 4 * i, value, 32)

    def read_memory_block8(self, addr: int, size: int, **_: Any) -> Sequence[int]:
        with self._access(addr, size):
            if self._machine.is_memory(addr, size):
                return list(self._bus.read(addr, size))
            return [self._read(addr + i, 8) for i in range(size)]

    def write_memory_block8(self, addr: int, data: Sequence[int], **_: Any) -> None:
        with self._access(addr, len(data)):
            if self._machine.is_memory(addr, len(data)):
                self._post(addr, bytes(data))
            else:
                for i, value in enumerate(data):
                    self._write(addr + i, value, 8)

    def _access(self, address: int, size: int) -> translated:
        self._check(address, size)
        return self._translated

    def _check(self, address: int, size: int) -> None:
        # qtest reads 0 from where nothing is; silicon answers with a bus fault.
        if address >> 20 != _PRIVATE_BUS_TOP and not self._machine.holds(address, size):
            fault = exceptions.TransferFaultError(f"{self._machine.name} has nothing at {address:#010x}")
            fault.fault_address = address
            fault.fault_length = size
            raise fault

    def _read(self, address: int, bits: int) -> int:
        if bits == 32 and address >> 20 == _PRIVATE_BUS_TOP:
            value = self._registers.read(address)
            if value is not None:
                return value
        self._check(address, bits // 8)
        if self._machine.secure and not self._machine.is_memory(address, bits // 8):
            return self._core.load(address, bits)
        return self._bus.read_value(address, bits)

    def _write(self, address: int, value: int, bits: int) -> None:
        if bits == 32 and address >> 20 == _PRIVATE_BUS_TOP and self._registers.write(address, value):
            return
        self._check(address, bits // 8)
        self._core.written(address, bits // 8)
        if self._machine.secure and not self._machine.is_memory(address, bits // 8):
            self._core.store(address, value, bits)
            return
        if bits == 16:
            self._note_software_breakpoint(address, value)
        self._bus.write_value(address, value, bits)

    def _post(self, address: int, data: bytes) -> None:
        # The next page of a flash algorithm is on its way while pyOCD sees to the one before.
        self._bus.post(address, data)
        self._core.written(address, len(data))

    def _note_software_breakpoint(self, address: int, value: int) -> None:
        # A BKPT in memory would be a HardFault in QEMU; the point stops the core before it is reached.
        if value == _OPCODE_BKPT:
            self._software_breakpoints.add(address)
            self._core.set_point(HARDWARE_BREAKPOINT, address)
        elif address in self._software_breakpoints:
            self._software_breakpoints.remove(address)
            self._core.clear_point(HARDWARE_BREAKPOINT, address)
