"""pyOCD's debug probe for a running emulated board."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from pyocd.board.board import Board as PyocdBoard
from pyocd.board.board_ids import BoardInfo
from pyocd.core import exceptions
from pyocd.core.memory_interface import MemoryInterface
from pyocd.probe.debug_probe import DebugProbe

from pyocd_qemu import registry
from pyocd_qemu.core_control import CoreControl
from pyocd_qemu.debug_port import DebugPort
from pyocd_qemu.debug_registers import DebugRegisters
from pyocd_qemu.errors import QemuError
from pyocd_qemu.gdb import GdbLink
from pyocd_qemu.memory import BoardMemory, translated
from pyocd_qemu.persistence import save_flash
from pyocd_qemu.qmp import QmpLink
from pyocd_qemu.qtest import QtestLink


class _Connection:
    """All that an open probe holds: three links, the lock, and what stands on them."""

    def __init__(self, entry: registry.Entry, folder: Path) -> None:
        self._folder = folder
        self._machine = entry.definition
        self._lock = _take_lock(entry.unique_id, folder / registry.PROBE_LOCK_NAME)
        links: list[QmpLink | QtestLink | GdbLink] = []
        try:
            self._qmp = QmpLink(folder / "qmp.sock")
            links.append(self._qmp)
            # Asked before gdb connects, which stops the machine.
            was_running = self._qmp.is_running()
            self._bus = QtestLink(folder / "qtest.sock")
            links.append(self._bus)
            self._gdb = GdbLink(folder / "gdb.sock")
            links.append(self._gdb)
            self.core = CoreControl(
                self._machine,
                self._bus,
                self._gdb,
                self._qmp,
                vectors_at=entry.vectors_at,
                was_running=was_running,
                before_start=self._keep_flash,
            )
        except BaseException:
            for link in links:
                link.close()
            self._lock.close()
            raise
        self.registers = DebugRegisters(self._machine, self.core)
        self.memory = BoardMemory(entry.unique_id, self._machine, self._bus, self.core, self.registers)
        self.port = DebugPort(self._machine.core, self.memory)

    def settle(self) -> None:
        """Everything that was written has arrived. Raises LinkError."""
        self._bus.settle()

    def close(self) -> None:
        try:
            self.core.release()
            self._keep_flash()
        finally:
            for link in (self._gdb, self._bus, self._qmp):
                link.close()
            self._lock.close()

    def _keep_flash(self) -> None:
        # A lockup kills QEMU, and the flash in its memory with it.
        if not self._machine.file_backed:
            save_flash(self._bus, self._machine, self._folder)


class QemuProbe(DebugProbe):  # type: ignore[misc]  # pyOCD has no types
    """One probe a board; found by the board's id in `registry.root()`."""

    @classmethod
    def get_all_connected_probes(
        cls, unique_id: str | None = None, is_explicit: bool = False
    ) -> Sequence[DebugProbe]:
        return [cls(entry) for entry in registry.running_boards()]

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> DebugProbe | None:
        entry = registry.find(unique_id)
        return None if entry is None else cls(entry)

    def __init__(self, entry: registry.Entry) -> None:
        super().__init__()
        self._entry = entry
        self._connection: _Connection | None = None
        self._protocol: DebugProbe.Protocol | None = None

    @property
    def vendor_name(self) -> str:
        return "QEMU"

    @property
    def product_name(self) -> str:
        return f"emulated {self._entry.machine}"

    @property
    def unique_id(self) -> str:
        return self._entry.unique_id

    @property
    def supported_wire_protocols(self) -> list[DebugProbe.Protocol]:
        return [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]

    @property
    def wire_protocol(self) -> DebugProbe.Protocol | None:
        return self._protocol

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @property
    def capabilities(self) -> set[DebugProbe.Capability]:
        kinds = DebugProbe.Capability
        return {kinds.SWJ_SEQUENCE, kinds.MANAGED_AP_SELECTION, kinds.MANAGED_DPBANKSEL}

    @property
    def associated_board_info(self) -> BoardInfo:
        return BoardInfo(
            name=f"QEMU {self._entry.machine}", target=self._entry.definition.chip, vendor=self.vendor_name
        )

    def create_associated_board(self) -> PyocdBoard:
        return PyocdBoard(self.session, board_info=self.associated_board_info)

    def open(self) -> None:
        """Raises ProbeError: another client holds the board, or it is gone."""
        if self._connection is None:
            with translated(self.unique_id):
                self._connection = _Connection(self._entry, registry.root() / self.unique_id)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                # What was written last may be lost without any later call to say so.
                with translated(self.unique_id):
                    connection.settle()
            finally:
                # When the board is gone, whoever used it has been told by the call that failed.
                with suppress(QemuError, OSError):
                    connection.close()

    def connect(self, protocol: DebugProbe.Protocol | None = None) -> None:
        self._protocol = DebugProbe.Protocol.SWD

    def disconnect(self) -> None:
        self._protocol = None

    def flush(self) -> None:
        """Waits for what was written; raises ProbeDisconnected when it did not arrive."""
        with translated(self.unique_id):
            self._open().settle()

    def set_clock(self, frequency: float) -> None:
        """There is no wire, so no clock."""

    def swj_sequence(self, length: int, bits: int) -> None:
        """There is no wire to switch between JTAG and SWD."""

    def reset(self) -> None:
        with translated(self.unique_id):
            self._open().registers.reset()

    def assert_reset(self, asserted: bool) -> None:
        with translated(self.unique_id):
            self._open().registers.hold_reset(asserted)

    def is_reset_asserted(self) -> bool:
        return self._open().registers.reset_held

    def read_dp(self, addr: int, now: bool = True) -> Any:
        return _answer(self._open().port.read_dp(addr), now)

    def write_dp(self, addr: int, data: int) -> None:
        self._open().port.write_dp(addr, data)

    def read_ap(self, addr: int, now: bool = True) -> Any:
        return _answer(self._open().port.read_ap(addr), now)

    def write_ap(self, addr: int, data: int) -> None:
        self._open().port.write_ap(addr, data)

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        port = self._open().port
        return _answer([port.read_ap(addr) for _ in range(count)], now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        port = self._open().port
        for value in values:
            port.write_ap(addr, value)

    def get_memory_interface_for_ap(self, ap_address: Any) -> MemoryInterface | None:
        return self._open().memory if ap_address.nominal_address == 0 else None

    def _open(self) -> _Connection:
        if self._connection is None:
            raise exceptions.ProbeError(f"{self.unique_id}: the probe is not open")
        return self._connection


def _answer(value: Any, now: bool) -> Any:
    """pyOCD may ask for a function that gives the result later."""
    deferred: Callable[[], Any] = lambda: value  # noqa: E731
    return value if now else deferred


def _take_lock(board: str, path: Path) -> BinaryIO:
    lock = path.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise exceptions.ProbeError(
            f"{board}: the probe is in use by another debug client; end that one"
        ) from error
    return lock
