"""Vendors' programs (arduino-cli, bossac, esptool, STM32CubeProgrammer, …) as children of ours."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from tinyfleet.agent.core.errors import StepFailed, StepTimeout

STEP: Final = "program"
LOG_LIMIT_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 600
_LOOK_S: Final = 0.1
_END_S: Final = 3.0
_GUARD: Final = """\
import os, signal, sys, time
group = sys.stdin.buffer.readline()
if group.endswith(b"\\n") and not sys.stdin.buffer.read(1):
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(int(group), number)
        except ProcessLookupError:
            break
        time.sleep(3)
"""
"""Outlives this program: it is told the group of a tool, and ends it when its line to us breaks off before we
say that all is done. Else a tool of a program that was killed would write on a board that is another's."""


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
        path = self._folder / f"{board}.log"
        with self._log(board, path) as log, _guard(board) as guard:
            said = _Said(log, f"$ {shlex.join(command)}\n".encode())
            child = self._start(board, command)
            guard(child)
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

    def _log(self, board: str, path: Path) -> IO[bytes]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what finds no room is not tried again when it is closed.
            return path.open("wb", buffering=0)
        except OSError as error:
            raise StepFailed(
                board, STEP, f"cannot keep {path}: {error.strerror or error}", "is there room on the disk?"
            ) from error

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


@contextlib.contextmanager
def _guard(board: str) -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Answers what takes the child that is not to outlive us."""
    try:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise StepFailed(
            board, STEP, f"cannot start a process: {error}", "is this host overloaded?"
        ) from error
    line = guard.stdin
    if line is None:
        raise RuntimeError("a process without the pipe that was asked for")

    def say(what: bytes) -> None:
        with contextlib.suppress(OSError):
            line.write(what)
            line.flush()

    try:
        yield lambda child: say(f"{child.pid}\n".encode())
    finally:
        say(b".")
        with contextlib.suppress(OSError):
            line.close()
        try:
            guard.wait(_END_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()


class _Said:
    """What a child says: its beginning in a file, as far as there is room on the disk, its end in memory."""

    def __init__(self, log: IO[bytes], heading: bytes) -> None:
        self._log = log
        self._room = LOG_LIMIT_BYTES + len(heading)
        self._last = b""
        self._write(heading)

    def listen(self, child: subprocess.Popen[bytes], timeout_s: float) -> bool:
        """Until it ends; False when it has not within that time."""
        end_s = time.monotonic() + timeout_s
        line = child.stdout
        while time.monotonic() < end_s:
            ended = child.poll() is not None
            if line is not None and select.select([line], [], [], 0 if ended else _LOOK_S)[0]:
                data = line.read(1 << 16)
                line = line if data else None
                self._write(data)
                self._last = (self._last + data)[-_TAIL_BYTES:]
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

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._log.write(data[: self._room])
        self._room -= min(self._room, len(data))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the group that was started for it, by its id: asked first, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_S)
