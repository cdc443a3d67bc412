"""Supervisor of one emulated board: starts QEMU, puts the flash back, ends it, and writes the board down
for pyOCD."""

from __future__ import annotations

import re
from types import TracebackType

from pyocd_qemu import registry
from pyocd_qemu.errors import BoardBusyError, LinkError, QemuError, QemuStartError
from pyocd_qemu.machines import MACHINES, Machine
from pyocd_qemu.persistence import restore_flash, save_flash
from pyocd_qemu.process import QemuProcess, option_path
from pyocd_qemu.qmp import QmpLink
from pyocd_qemu.qtest import QtestLink

CONSOLE_LOG_NAME = "console.log"
_ERASED_BLOCK = b"\xff" * 0x100000
_PORT = re.compile(r"tcp:(?P<host>[0-9.]+):(?P<port>[0-9]+)")


class Board:
    """A board below `registry.root()`. Its flash survives `stop` and `start`, and on `mps2-an386` also a
    `kill`.

    Time on the board counts instructions (`-icount`, 1 instruction = 2**icount_shift ns): figures repeat
    exactly and are *not* a cycle model. A context manager: leaving it stops the board.
    """

    def __init__(self, unique_id: str, machine: str, *, icount_shift: int = 6) -> None:
        self.unique_id = registry.check_id(unique_id)
        if machine not in MACHINES:
            raise QemuError(f"there is no emulated machine {machine!r}", f"use one of {sorted(MACHINES)}")
        self.machine: Machine = MACHINES[machine]
        self.folder = (registry.root() / unique_id).absolute()
        self._process = QemuProcess(
            f"board {unique_id}",
            self._arguments(icount_shift),
            self.folder,
            lock_file=self.folder / registry.LOCK_NAME,
            sockets=("qtest.sock", "gdb.sock"),
        )
        self._entry: registry.Entry | None = None

    def _arguments(self, icount_shift: int) -> list[str]:
        arguments = [
            *("-M", self.machine.name, "-nodefaults", "-display", "none", "-monitor", "none"),
            *("-icount", f"shift={icount_shift}"),
            # A core that started on blank flash would lock up, and QEMU would abort.
            "-S",
            *("-gdb", "unix:gdb.sock,server=on,wait=off"),
            *("-qtest", "unix:qtest.sock,server=on,wait=off", "-qtest-log", "/dev/null"),
            # Port 0: QEMU takes a free one and says which. Without nodelay an answer, sent byte by byte,
            # takes 40 ms.
            *(
                "-chardev",
                f"socket,id=console,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on,logfile={CONSOLE_LOG_NAME}",
            ),
            *("-serial", "chardev:console"),
        ]
        if self.machine.file_backed:
            path = option_path(self.folder / registry.FLASH_NAME)
            flash = self.machine.flash
            arguments += [
                *("-object", f"memory-backend-file,id=flash,size={flash.size},mem-path={path},share=on"),
                *("-machine", "memory-backend=flash", "-global", f"armv7m.init-nsvtor={flash.start:#x}"),
            ]
        return arguments

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

        Without `run` the core stays in reset, for flash whose program is known to kill QEMU. Raises
        QemuError, leaving nothing behind.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_flash_file()
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

    def stop(self) -> None:
        """Saves the flash and ends QEMU. Does nothing when it is not running."""
        if self.is_alive() and not self.machine.file_backed:
            self._save()
        self._strike_out()
        self._process.stop()

    def kill(self) -> None:
        """As a power cut. Flash that is no file is as it was when a probe last closed, or at the last
        `stop`."""
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

    def last_output(self) -> str:
        return self._process.last_output()

    def _strike_out(self) -> None:
        if self._process.owns_folder:
            (self.folder / registry.ENTRY_NAME).unlink(missing_ok=True)

    def _make_flash_file(self) -> None:
        path = self.folder / registry.FLASH_NAME
        if not self.machine.file_backed or path.exists():
            return
        partial = path.with_name(path.name + ".part")
        with partial.open("wb") as file:
            for _ in range(self.machine.flash.size // len(_ERASED_BLOCK)):
                file.write(_ERASED_BLOCK)
        partial.replace(path)

    def _bring_up(self, *, run: bool) -> None:
        qmp = QmpLink(self.folder / "qmp.sock")
        try:
            bus = QtestLink(self.folder / "qtest.sock")
            try:
                if not self.machine.file_backed:
                    restore_flash(bus, self.machine, self.folder)
                    # The core read its vectors before the flash was put back.
                    qmp.reset()
                if run and self.machine.can_start(bus.read(self.machine.flash.start, 8)):
                    qmp.command("cont")
            finally:
                bus.close()
            host, port = self._console_address(qmp)
        finally:
            qmp.close()
        self._entry = registry.Entry(self.unique_id, self.machine.name, host, port)
        registry.write(self.folder, self._entry)

    def _console_address(self, qmp: QmpLink) -> tuple[str, int]:
        for chardev in qmp.command("query-chardev"):
            found = _PORT.search(chardev["filename"]) if chardev["label"] == "console" else None
            if found:
                return found["host"], int(found["port"])
        raise QemuStartError(
            f"board {self.unique_id}: QEMU does not say its console's port", "which QEMU is this?"
        )

    def _save(self) -> None:
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
