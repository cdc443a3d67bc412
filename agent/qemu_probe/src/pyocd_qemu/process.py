"""One QEMU child process: started in its state folder, watched, ended by its pid.

QEMU inherits a locked file (`flock` belongs to the open file, not to the process). So the lock lives
exactly as long as QEMU does, even when the program that started it was killed, and the pid QEMU wrote
beside it can be trusted while the lock is held: a left-over QEMU is found and ended by the next start, and
no other process ever is.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pyocd_qemu import logs
from pyocd_qemu.errors import (
    BoardBusyError,
    LinkError,
    LockupError,
    QemuDiedError,
    QemuError,
    QemuStartError,
)
from pyocd_qemu.qmp import QmpLink

DEFAULT_BINARY = "qemu-system-arm"
LOG_NAME = "qemu.log"
"""Of the start before: `qemu.log.1`."""
PID_NAME = "qemu.pid"
OWNER_NAME = "owner.lock"
QMP_NAME = "qmp.sock"
_CONTROL = ("-pidfile", PID_NAME, "-qmp", f"unix:{QMP_NAME},server=on,wait=off")
_POLL_S = 0.005
_LISTER_S = 0.2


class QemuProcess:
    """Starts QEMU with `arguments` in `state_dir` and holds `lock_file` for it.

    `arguments` make QEMU listen at `sockets` (names relative to `state_dir`, as a Unix socket's path is
    limited to 107 bytes; QEMU's working folder is `state_dir`). `qmp.sock` is always among them and is made
    here.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        state_dir: Path,
        *,
        lock_file: Path,
        sockets: Sequence[str] = (),
        binary: str = DEFAULT_BINARY,
    ) -> None:
        self.name = name
        self.state_dir = state_dir
        self._arguments = list(arguments)
        self._lock_file = lock_file
        self._sockets = [state_dir / s for s in (QMP_NAME, *sockets)]
        self._binary = binary
        self._child: subprocess.Popen[bytes] | None = None
        self._owner: BinaryIO | None = None

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def owns_folder(self) -> bool:
        """From a start that got the folder's lock until the end of `stop` or `kill`."""
        return self._owner is not None

    def start(self, timeout_s: float = 10.0) -> None:
        """Returns once QEMU has built the machine. Raises QemuStartError or BoardBusyError, leaving nothing
        behind."""
        if self._child is not None and self._child.poll() is None:
            raise RuntimeError(f"{self.name} is already started")
        self._release_owner()
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            self._owner = self._take_ownership()
            with self._take_lock() as lock:
                self._spawn(lock)
            self._wait_until_up(timeout_s)
        except OSError as error:
            self.kill()
            raise QemuStartError(
                f"{self.name}: cannot start QEMU in {self.state_dir}: {error}",
                "is there room on the disk, and is the folder writable?",
            ) from error
        except BaseException:
            self.kill()
            raise

    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def check(self) -> None:
        """Raises QemuDiedError with QEMU's last output when it is not running."""
        if not self.is_alive():
            raise self._death()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends QEMU politely, then by force. Does nothing when it is not running."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._reap()

    def kill(self) -> None:
        """As a power cut: SIGKILL, and wait until it is gone."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
        self._reap()

    def wait(self, timeout_s: float) -> int | None:
        """QEMU's exit code, or None when it is still running after `timeout_s`."""
        if self._child is None:
            return None
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def last_output(self) -> str:
        """What QEMU complained of on its standard error, or its last lines; on one line."""
        return logs.complaints(self.state_dir / LOG_NAME)

    def _take_ownership(self) -> BinaryIO:
        owner = (self.state_dir / OWNER_NAME).open("ab")
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner.close()
            raise BoardBusyError(
                f"{self.name}: another process already runs the board in {self.state_dir}",
                "stop that one, or use another state folder",
            ) from error
        return owner

    def _take_lock(self) -> BinaryIO:
        lock = self._lock_file.open("ab")
        # Whoever lists boards holds the lock for a moment.
        if _wait_until(lambda: _try_lock(lock), _LISTER_S):
            return lock
        # We own the folder, so whoever holds the lock is a QEMU whose supervisor is gone, or one of another
        # folder.
        ended = end_stranded(self.state_dir)
        if ended and _wait_until(lambda: _try_lock(lock), 5.0):
            return lock
        lock.close()
        raise BoardBusyError(
            f"{self.name}: {self._lock_file} is in use by another QEMU", "stop that one, or use another file"
        )

    def _spawn(self, lock: BinaryIO) -> None:
        for socket in self._sockets:
            socket.unlink(missing_ok=True)
        (self.state_dir / PID_NAME).unlink(missing_ok=True)
        log_path = self.state_dir / LOG_NAME
        # What the one before died of is still asked for when the next one runs.
        with suppress(FileNotFoundError):
            log_path.replace(log_path.with_name(LOG_NAME + ".1"))
        # Appending, so that it can be cut while QEMU has it open.
        with log_path.open("ab") as log:
            try:
                self._child = subprocess.Popen(
                    [self._binary, *self._arguments, *_CONTROL],
                    cwd=self.state_dir,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock.fileno()],
                    # Ctrl-C on the terminal is for the program that owns this board, which then ends QEMU
                    # in order.
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise QemuStartError(
                    f"{self.name}: there is no {self._binary} on this machine",
                    "install it (Debian: apt-get install --no-install-recommends qemu-system-arm)",
                ) from error

    def _wait_until_up(self, timeout_s: float) -> None:
        # All of them: QMP can appear before the others.
        def up() -> bool:
            return not self.is_alive() or all(s.exists() for s in self._sockets)

        if not _wait_until(up, timeout_s):
            raise QemuStartError(
                f"{self.name}: QEMU did not open its sockets within {timeout_s:g} s",
                f"see {self.state_dir / LOG_NAME}; is the machine overloaded?",
            )
        # The sockets exist before the machine does; only QEMU's main loop, which runs last, answers this.
        try:
            if self.is_alive():
                link = self._first_link(timeout_s)
                try:
                    link.status()
                finally:
                    link.close()
        except LinkError:
            self.wait(timeout_s)
            if self.is_alive():
                raise
        if not self.is_alive():
            death = self._death()
            raise QemuStartError(death.what, death.hint)

    def _first_link(self, timeout_s: float) -> QmpLink:
        """A link to QMP, whose socket file exists a moment before QEMU listens on it. Raises LinkError."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                return QmpLink(self.state_dir / QMP_NAME, timeout_s)
            except LinkError as error:
                refused = isinstance(error.__cause__, ConnectionRefusedError)
                if not refused or not self.is_alive() or time.monotonic() >= end:
                    raise
                time.sleep(_POLL_S)

    def _death(self) -> QemuError:
        if self._child is None:
            return QemuDiedError(f"{self.name} is not running", "start it first")
        code = self._child.poll()
        how = (
            f"by signal {signal.Signals(-code).name}"
            if code is not None and code < 0
            else f"with code {code}"
        )
        log = self.state_dir / LOG_NAME
        if lockup := logs.lockup(log):
            error = LockupError(lockup)
            return QemuDiedError(f"{self.name}: {error.what}", error.hint)
        said = self.last_output() or "nothing"
        return QemuDiedError(
            f"{self.name}: QEMU ended {how}; its last output: {said}",
            f"see {log}, after its next start {log.name}.1",
        )

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait()
        # Without the folder's lock these are the sockets of whoever has it.
        if self.owns_folder:
            for socket in self._sockets:
                socket.unlink(missing_ok=True)
        self._release_owner()

    def _release_owner(self) -> None:
        if self._owner is not None:
            self._owner.close()
            self._owner = None


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def end_stranded(state_dir: Path) -> bool:
    """Ends the QEMU that a killed supervisor left running in `state_dir`; whether there was one.

    No other process has the pid in its pid file and is a QEMU that works in this folder."""
    pid = _read_pid(state_dir / PID_NAME)
    if pid is None:
        return False
    try:
        name = Path(f"/proc/{pid}/comm").read_text()
        if name.startswith("qemu") and Path(f"/proc/{pid}/cwd").resolve() == state_dir.resolve():
            os.kill(pid, signal.SIGKILL)
            return True
    except OSError:
        pass
    return False


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_S)
    return True
