"""Emulated networked nodes: one QEMU `mps2` machine a node, its flash a file that survives SIGKILL.

The node's user-mode network reaches the host's loopback at 10.0.2.2. `-icount shift=1` makes its clock count
instructions: latencies are repeatable and *not* a cycle model, which every figure made from them has to say.
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from types import TracebackType

from pyocd_qemu import blank_flash, logs, options
from pyocd_qemu.errors import QemuError
from pyocd_qemu.process import QemuProcess
from pyocd_qemu.socket_path import connect

from tinyfleet.agent.core.errors import EmulatorError

FLASH_BYTES = 16 * 1024 * 1024
MACHINES = ("mps2-an386", "mps2-an500")
HOST_ADDRESS = "10.0.2.2"
CONSOLE_NAME = "console.log"
SAMPLE_LINE_NAME = "samples.sock"
_POLL_S = 0.005
_LINE_TIMEOUT_S = 10.0
_SAMPLE_LINE = (
    *("-chardev", f"socket,id=samples,path={SAMPLE_LINE_NAME},server=on,wait=off"),
    *("-serial", "chardev:samples"),
)


def make_blank_flash(path: Path) -> None:
    """Writes an erased 16 MiB flash file. Raises EmulatorError; never leaves half a file."""
    try:
        blank_flash.make_blank_flash(path, FLASH_BYTES)
    except OSError as error:
        raise EmulatorError(f"cannot make the flash file {path}: {error}", "is there 16 MiB free?") from error


class EmulatedNode:
    """One node. `flash` is made (erased) when absent; `kernel` is the bootloader's ELF; `machine` is one of
    MACHINES.

    `state_dir` takes QEMU's sockets, pid file, own output (`qemu.log`) and the console (`console.log`,
    appended over restarts). `udp_port` of this machine's loopback leads to the node's SMP; `typing` gives the
    console a terminal, whose name tty() tells. With `sample_line`, the node's second UART is the socket
    `samples.sock` there. Not for two threads at once. A context manager: leaving it stops the node.
    """

    def __init__(
        self,
        *,
        flash: Path,
        kernel: Path,
        state_dir: Path,
        name: str | None = None,
        icount_shift: int = 1,
        machine: str = MACHINES[0],
        sample_line: bool = False,
        udp_port: int | None = None,
        typing: bool = False,
    ) -> None:
        self.name = name or state_dir.name
        self.flash = flash.absolute()
        self.kernel = kernel.absolute()
        self.state_dir = state_dir.absolute()
        self.console_path = self.state_dir / CONSOLE_NAME
        self._console_start = 0
        self._sample_line = sample_line
        self._process = QemuProcess(
            f"node {self.name}",
            self._arguments(machine, icount_shift, udp_port, typing),
            self.state_dir,
            lock_file=self.flash,
        )

    def _arguments(self, machine: str, icount_shift: int, udp_port: int | None, typing: bool) -> list[str]:
        console = f"file,id=console,path={CONSOLE_NAME},append=on"
        if typing:
            console = f"pty,id=console,logfile={CONSOLE_NAME},logappend=on"
        return [
            *options.machine(machine, icount_shift=icount_shift, memory=self.flash, size=FLASH_BYTES),
            *options.network(udp_port),
            *("-chardev", console, "-serial", "chardev:console"),
            *(_SAMPLE_LINE if self._sample_line else ()),
            *("-kernel", str(self.kernel)),
        ]

    def open_sample_line(self) -> socket.socket:
        """The line by which windows reach the node (wire/sample_line.py). EmulatorError."""
        try:
            return connect(self.state_dir / SAMPLE_LINE_NAME, _LINE_TIMEOUT_S)
        except QemuError as error:
            raise EmulatorError(error.what, "start the node with `sample_line`") from error

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def start(self, timeout_s: float = 10.0) -> None:
        """Returns once QEMU runs (the node then boots). Raises EmulatorError, leaving nothing behind."""
        if not self.kernel.is_file():
            raise EmulatorError(
                f"node {self.name}: there is no {self.kernel}", "build the firmware: `make setup`"
            )
        if not self.flash.exists():
            make_blank_flash(self.flash)
        size = self.flash.stat().st_size
        if size != FLASH_BYTES:
            raise EmulatorError(
                f"node {self.name}: {self.flash} has {size} bytes, expected {FLASH_BYTES}",
                "remove it, and provision the node again",
            )
        try:
            self._rotate_console()
            self._process.start(timeout_s)
        except QemuError as error:
            raise EmulatorError(error.what, error.hint) from error
        except OSError as error:
            raise EmulatorError(
                f"node {self.name}: {error}", f"is {self.state_dir} writable, with room left?"
            ) from error

    def _rotate_console(self) -> None:
        logs.trim(self.console_path)
        self._console_start = self.console_path.stat().st_size if self.console_path.exists() else 0

    def trim_console(self) -> bool:
        """Keeps the console's log from filling the disk; to be called now and then while the node runs.
        Whether it was cut, so that console() starts anew. Raises EmulatorError."""
        try:
            cut = logs.trim(self.console_path)
        except OSError as error:
            raise EmulatorError(
                f"node {self.name}: cannot cut its console's log: {error}", "make room"
            ) from error
        if cut:
            self._console_start = 0
        return cut

    def tty(self) -> str:
        """The terminal that the console hangs on. Raises EmulatorError when it has none."""
        output = (self.state_dir / "qemu.log").read_text(errors="replace")
        names = re.findall(r"char device redirected to (\S+) \(label console\)", output)
        if not names:
            raise EmulatorError(f"node {self.name}: its console has no terminal", "start it with typing=True")
        return str(names[-1])

    def stop(self) -> None:
        """Ends QEMU in order. Does nothing when it is not running."""
        self._process.stop()

    def kill(self) -> None:
        """As a power cut: SIGKILL. What the node had written to flash is in the file."""
        self._process.kill()

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def check(self) -> None:
        """Raises EmulatorError with QEMU's last output when it is not running."""
        try:
            self._process.check()
        except QemuError as error:
            raise EmulatorError(error.what, error.hint) from error

    def console(self, since_start: bool = True) -> str:
        """Console text since the last start, or of all starts the log still holds."""
        try:
            raw = self.console_path.read_bytes()
        except FileNotFoundError:
            return ""
        return raw[self._console_start if since_start else 0 :].decode("utf-8", errors="replace")

    def wait_for_line(self, pattern: str, timeout_s: float = 10.0, *, count: int = 1) -> str:
        """The `count`-th console line since the last start that `pattern` (a regular expression) is found in.

        Raises EmulatorError at the time-out, or at once when QEMU dies; both show the console's end.
        """
        wanted = re.compile(pattern)
        end = time.monotonic() + timeout_s
        while True:
            alive = self.is_alive()  # asked before reading, so that a dying node's last lines are still seen
            text = self.console()
            lines = [x for x in text[: text.rfind("\n") + 1].splitlines() if wanted.search(x)]
            if len(lines) >= count:
                return lines[count - 1]
            if not alive:
                self.check()
            if time.monotonic() >= end:
                tail = " | ".join(text.splitlines()[-5:]) or "nothing"
                raise EmulatorError(
                    f"node {self.name}: no console line with {pattern!r} within {timeout_s:g} s; "
                    f"it said last: {tail}",
                    f"see {self.console_path}",
                )
            time.sleep(_POLL_S)

    def __enter__(self) -> EmulatedNode:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
