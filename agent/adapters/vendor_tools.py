"""Vendors' programs (arduino-cli, bossac, esptool, STM32CubeProgrammer, …) as children of ours."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Final

from tinyfleet.agent.core.errors import StepFailed, StepTimeout

STEP: Final = "program"
LOG_LIMIT_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 600
_LOOK_S: Final = 0.1
_END_S: Final = 3.0


class VendorTools:
    """`services.ports.Tools`. Keeps what each said last in `folder`, a file a board. Closing ends those that
    run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def close(self) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            _end(child)

    def run(self, board: str, command: tuple[str, ...], timeout_s: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{board}.log"
        with path.open("wb") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            child = self._start(board, command)
            said = _Said(log)
            in_time = False
            try:
                in_time = said.listen(child, timeout_s)
            finally:
                if not in_time:
                    _end(child)
                said.close(child)
                with self._lock:
                    self._running.discard(child)
        if not in_time:
            raise StepTimeout(
                board,
                STEP,
                f"{command[0]} was ended after {timeout_s:g} s; it said last: {said.tail()}",
                f"see all of it in {path}; is the board in its bootloader?",
            )
        if child.returncode != 0:
            raise StepFailed(
                board,
                STEP,
                f"{command[0]} ended with {child.returncode}: {said.tail()}",
                f"see all of it in {path}, mend what it names",
            )

    def _start(self, board: str, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise StepFailed(board, STEP, f"{command[0]} was not started", "this program is ending")
            try:
                # A group of its own: whatever it starts ends with it, and not by a terminal's Ctrl-C.
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    bufsize=0,
                )
            except OSError as error:
                raise StepFailed(
                    board,
                    STEP,
                    f"cannot start {command[0]}: {error.strerror or error}",
                    "install it, or correct `program` in bench.yaml",
                ) from error
            self._running.add(child)
            return child


class _Said:
    """What a child says: its beginning in a file, its end in memory."""

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log
        self._room = LOG_LIMIT_BYTES
        self._last = b""

    def listen(self, child: subprocess.Popen[bytes], timeout_s: float) -> bool:
        """Until it ends; False when it has not within that time."""
        end_s = time.monotonic() + timeout_s
        line = child.stdout
        while time.monotonic() < end_s:
            ended = child.poll() is not None
            if line is not None and select.select([line], [], [], 0 if ended else _LOOK_S)[0]:
                data = line.read(1 << 16)
                line = line if data else None
                self._keep(data)
            elif ended:
                # What it left running may hold the line open; that is not waited for.
                return True
            elif line is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_LOOK_S)
        return False

    def close(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdout is not None:
            child.stdout.close()

    def tail(self) -> str:
        text = self._last[-_TAIL_BYTES:].decode(errors="replace").strip()
        return " | ".join(line.strip() for line in text.splitlines() if line.strip()) or "nothing"

    def _keep(self, data: bytes) -> None:
        self._log.write(data[: self._room])
        self._room -= min(self._room, len(data))
        self._last = (self._last + data)[-_TAIL_BYTES:]


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the group that was started for it, by its id: asked first, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_S)
