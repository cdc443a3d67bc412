"""What the tests start and wait for: mosquitto on a free port, a bounded wait, who still runs.

Fleets, agents and nodes are started by the project's own launchers; this is for what they are tested with.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

LOOPBACK = "127.0.0.1"
TIMEOUT_S = 30.0
POLL_S = 0.005
STARTING_S = 10.0

V = TypeVar("V")


def wait_for(what: str, condition: Callable[[], V], timeout_s: float = TIMEOUT_S) -> V:
    """The first true value of `condition`; AssertionError naming what was waited for in vain."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}; last value {value!r}")
        time.sleep(POLL_S)
    return value


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """Below the range from which the system gives ports to outgoing connections: a server that is started
    again finds its port still free."""
    while answers(port := 20000 + secrets.randbelow(12000)):
        pass
    return port


def processes_of(folder: Path) -> dict[int, str]:
    """Command lines, by id, of running processes that name this folder or work in it."""
    found = {}
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in f"{line} {process.info['cwd']}" and process.info["status"] != psutil.STATUS_ZOMBIE:
            found[process.pid] = line
    return found


class Mosquitto:
    """mosquitto without persistence: after a kill it knows nothing. Open to all when there are no users."""

    def __init__(
        self, folder: Path, users: Mapping[str, str] | None = None, more: Sequence[str] = ()
    ) -> None:
        """`users` are names with passwords, `more` lines of its configuration."""
        folder.mkdir()
        self.port = free_port()
        self._configuration = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        self._child: subprocess.Popen[bytes] | None = None
        access = ["allow_anonymous true"]
        if users is not None:
            passwords = folder / "passwords"
            passwords.touch(0o600)
            for user, password in users.items():
                command = ["mosquitto_passwd", "-b", str(passwords), user, password]
                subprocess.run(command, check=True, timeout=10, capture_output=True)
            access = ["allow_anonymous false", f"password_file {passwords}"]
        lines = [f"listener {self.port} {LOOPBACK}", f"user {getpass.getuser()}", *access]
        self._configuration.write_text("\n".join([*lines, "persistence false", *more, ""]))

    def start(self) -> None:
        """Returns once it listens."""
        binary = shutil.which("mosquitto", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [binary or "mosquitto", "-v", "-c", str(self._configuration)], stdout=log, stderr=log
            )
        wait_for("mosquitto to listen", self._listens, STARTING_S)

    def _listens(self) -> bool:
        assert self._child is not None
        if self._child.poll() is not None:
            raise AssertionError(f"mosquitto ended: {self._log.read_text()[-500:]}")
        return answers(self.port)

    def log(self) -> str:
        return self._log.read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._child is not None:
            self._child.send_signal(how)
            self._child.wait(STARTING_S)
            self._child = None
