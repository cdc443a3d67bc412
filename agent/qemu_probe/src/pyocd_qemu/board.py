"""Supervisor of one emulated board: starts QEMU, puts the flash back, ends it, and writes the board down
for pyOCD."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

from pyocd_qemu import logs, options, registry
from pyocd_qemu.blank_flash import make_blank_flash
from pyocd_qemu.errors import BoardBusyError, LinkError, LockupError, QemuError, QemuStartError
from pyocd_qemu.machines import MACHINES, Machine
from pyocd_qemu.persistence import restore_flash, save_flash
from pyocd_qemu.process import LOG_NAME, QemuProcess
from pyocd_qemu.qmp import QmpLink
from pyocd_qemu.qtest import QtestLink

CONSOLE_LOG_NAME = "console.log"
BOOT_ROM_NAME = "boot_rom.elf"
_PORT = re.compile(r"tcp:(?P<host>[0-9.]+):(?P<port>[0-9]+)")


class Board:
    """A board below `registry.root()`. Its flash survives `stop` and `start`, and where it is a file also a
    `kill`.

    With `kernel`, an ELF file, the core boots from the machine's ROM (`mps2-*`, `mps3-*`) instead of from
    flash: a bootloader that no programming and no reset changes. `network` adds a network card behind
    user-mode NAT (`mps2-*`); `smp_port` of this machine's loopback then leads to the board's UDP port 1337.

    Time on the board counts instructions (`-icount`, 1 instruction = 2**icount_shift ns): figures repeat
    exactly and are *not* a cycle model. A context manager: leaving it stops the board.
    """

    def __init__(
        self,
        unique_id: str,
        machine: str,
        *,
        icount_shift: int = 6,
        kernel: Path | None = None,
        network: bool = False,
        smp_port: int | None = None,
    ) -> None:
        """Raises QemuError for an id or a machine that is none, and for what the machine does not have."""
        self.unique_id = registry.check_id(unique_id)
        if machine not in MACHINES:
            raise QemuError(
                f"there is no emulated machine {machine!r}", f"use one of {', '.join(sorted(MACHINES))}"
            )
        self.machine: Machine = MACHINES[machine]
        if kernel is not None and self.machine.rom is None:
            raise self._lacks("ROM for a bootloader", [n for n, m in MACHINES.items() if m.rom])
        if (network or smp_port is not None) and not self.machine.has_network:
            raise self._lacks("network card", [n for n, m in MACHINES.items() if m.has_network])
        self.folder = (registry.root() / unique_id).absolute()
        self._kernel = None if kernel is None else kernel.absolute()
        if kernel is None and self.machine.boot_rom is not None:
            self._kernel = self.folder / BOOT_ROM_NAME
        self._icount_shift = icount_shift
        self._network = options.network(smp_port) if network or smp_port is not None else []
        self._process = QemuProcess(
            f"board {unique_id}",
            self._arguments(),
            self.folder,
            lock_file=self.folder / registry.LOCK_NAME,
            sockets=("qtest.sock", "gdb.sock"),
        )
        self._entry: registry.Entry | None = None
        self.held: str | None = None
        self.runs = False
        """Whether the last start let the core run."""

    def _lacks(self, what: str, who_has: list[str]) -> QemuError:
        return QemuError(
            f"board {self.unique_id}: {self.machine.name} has no {what}",
            f"use one of {', '.join(sorted(who_has))}",
        )

    @property
    def has_bootloader(self) -> bool:
        """Whether `kernel` was given: what runs first is not what was programmed."""
        return self._kernel is not None and self._kernel.name != BOOT_ROM_NAME

    @property
    def vectors_at(self) -> int:
        """Where the core finds its vector table after a reset."""
        rom = self.machine.rom
        return self.machine.flash.start if self._kernel is None or rom is None else rom.start

    def _arguments(self) -> list[str]:
        backing = self.machine.backing
        if backing is not None:
            arguments = options.machine(
                self.machine.name,
                icount_shift=self._icount_shift,
                memory=self.folder / registry.FLASH_NAME,
                size=backing.size,
            )
        else:
            arguments = options.machine(self.machine.name, icount_shift=self._icount_shift)
        if self._kernel is not None:
            arguments += ["-kernel", str(self._kernel)]
        elif backing is not None:
            arguments += ["-global", f"armv7m.init-nsvtor={self.machine.flash.start:#x}"]
        return [
            *arguments,
            *self._network,
            # A core that started on blank flash would lock up, and QEMU would abort.
            "-S",
            *("-gdb", "unix:gdb.sock,server=on,wait=off"),
            *("-qtest", "unix:qtest.sock,server=on,wait=off", "-qtest-log", "none"),
            # Port 0: QEMU takes a free one and says which. Without nodelay an answer, sent byte by byte,
            # takes 40 ms.
            *(
                "-chardev",
                "socket,id=console,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on,"
                f"logfile={CONSOLE_LOG_NAME},logappend=on",
            ),
            *("-serial", "chardev:console"),
        ]

    @property
    def entry(self) -> registry.Entry:
        """How to reach it. Raises QemuError before the first start."""
        if self._entry is None:
            raise QemuError(f"board {self.unique_id} was not started", "start it first")
        return self._entry

    @property
    def console_url(self) -> str:
        return self.entry.console_url

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def start(self, timeout_s: float = 10.0, *, run: bool = True) -> None:
        """Starts QEMU, restores the flash and lets the core run if its flash holds a program.

        Without `run` the core stays in reset, for flash whose program is known to kill QEMU; so it does when
        the program ends QEMU at once: `held` then says how. Raises QemuError, leaving nothing behind.
        """
        self.held = None
        try:
            self._start(timeout_s, run=run)
        except LinkError as error:
            if not run:
                raise
            lockup = logs.lockup(self.folder / LOG_NAME)
            cause = error if lockup is None else LockupError(lockup)
            self.held = f"board {self.unique_id}: {cause.what}"
            self._start(timeout_s, run=False)

    def _start(self, timeout_s: float, *, run: bool) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_files()
            self.trim_logs()
            self._process.start(timeout_s)
            self._bring_up(run=run)
        except OSError as error:
            self.kill()
            raise QemuStartError(
                f"board {self.unique_id}: {error}", f"is {self.folder} writable, with room left?"
            ) from error
        except BaseException:
            self.kill()
            raise

    def _make_files(self) -> None:
        flash, backing = self.folder / registry.FLASH_NAME, self.machine.backing
        if backing is not None and not flash.exists():
            make_blank_flash(flash, self.machine.flash.size, offset=backing.flash_offset, total=backing.size)
        if self._kernel is not None and self._kernel.name == BOOT_ROM_NAME and self.machine.boot_rom:
            self._kernel.write_bytes(self.machine.boot_rom)
        if self._kernel is not None and not self._kernel.is_file():
            raise QemuStartError(f"board {self.unique_id}: there is no {self._kernel}", "build the firmware")

    def stop(self) -> None:
        """Saves the flash and ends QEMU. Does nothing when it is not running. Raises OSError where it could
        not be saved; QEMU has ended then, too."""
        try:
            if self.is_alive():
                self.save()
        finally:
            self._strike_out()
            self._process.stop()

    def kill(self) -> None:
        """As a power cut. Flash that is no file is as it was last saved: by `save`, `stop`, or a probe, which
        does before it starts a program and when it closes."""
        self._strike_out()
        self._process.kill()

    def restart(self, *, run: bool = True) -> None:
        """For a board whose QEMU died; `run=False` when its program would kill QEMU again."""
        self.stop()
        self.start(run=run)

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def check(self) -> None:
        """Raises QemuDiedError with QEMU's last output when it is not running."""
        self._process.check()

    def trim_logs(self) -> None:
        """Keeps what QEMU writes down from filling the disk; to be called now and then while the board runs.
        Raises OSError."""
        logs.trim(self.folder / CONSOLE_LOG_NAME)
        logs.trim(self.folder / LOG_NAME)

    def last_output(self) -> str:
        return self._process.last_output()

    def _strike_out(self) -> None:
        if self._process.owns_folder:
            (self.folder / registry.ENTRY_NAME).unlink(missing_ok=True)

    def _bring_up(self, *, run: bool) -> None:
        qmp = QmpLink(self.folder / "qmp.sock")
        try:
            bus = QtestLink(self.folder / "qtest.sock")
            try:
                if not self.machine.file_backed:
                    restore_flash(bus, self.machine, self.folder)
                    # The core read its vectors before the flash was put back.
                    qmp.reset()
                can_start = self.machine.can_start(bus.read(self.vectors_at, 8), self.vectors_at)
            finally:
                bus.close()
            host, port = self._console_address(qmp)
            self._entry = registry.Entry(self.unique_id, self.machine.name, host, port, self.vectors_at)
            registry.write(self.folder, self._entry)
            # Last: it may be QEMU's end.
            self.runs = run and can_start
            if self.runs:
                qmp.command("cont")
        finally:
            qmp.close()

    def _console_address(self, qmp: QmpLink) -> tuple[str, int]:
        for chardev in qmp.command("query-chardev"):
            found = _PORT.search(chardev["filename"]) if chardev["label"] == "console" else None
            if found:
                return found["host"], int(found["port"])
        raise QemuStartError(
            f"board {self.unique_id}: QEMU does not say its console's port", "which QEMU is this?"
        )

    def save(self) -> None:
        """Saves flash that is no file, if it has changed; while a debug client is connected, that one does.
        To be called now and then: programs may write their flash themselves. Raises OSError."""
        if self.machine.file_backed or registry.is_locked(self.folder / registry.PROBE_LOCK_NAME):
            return
        try:
            # Held while saving, so that no probe programs flash meanwhile.
            qmp = QmpLink(self.folder / "qmp.sock")
            try:
                bus = QtestLink(self.folder / "qtest.sock")
                try:
                    save_flash(bus, self.machine, self.folder)
                finally:
                    bus.close()
            finally:
                qmp.close()
        except (BoardBusyError, LinkError):
            # A debug client is connected, or QEMU is just dying: what was saved before stays.
            return

    def __enter__(self) -> Board:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
