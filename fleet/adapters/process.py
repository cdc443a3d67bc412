"""Children of `tinyfleet up`: started by argument list, watched, started again with a back-off, ended by
their pid.

A child runs in its own session, so that Ctrl-C reaches only us and we end children in order. Should we be
killed, the kernel ends them (PR_SET_PDEATHSIG); one that escapes this way out (a daemon that changed its
user) is found by its pid file at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tinyfleet.fleet.core.errors import Unavailable

READY_S: Final = 15.0
TERM_S: Final = 5.0
BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 10.0
STEADY_S: Final = 30.0
POLL_S: Final = 0.02
LOG_MAX_BYTES: Final = 16 * 1024 * 1024
LOG_CHECK_S: Final = 10.0
LOG_END_BYTES: Final = 4096
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`ready` says whether it answers. `pid_file` and `log` are written by us."""

    name: str
    command: tuple[str, ...]
    log: Path
    pid_file: Path
    ready: Callable[[], Awaitable[bool]]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pid:
    """A process, not just its number: numbers are used again, the start time tells them apart."""

    number: int
    started_ticks: int

    def alive(self) -> bool:
        return started_ticks(self.number) == self.started_ticks

    def signal(self, number: signal.Signals) -> bool:
        """Sends a signal; False when the process is gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.number, number)
        except ProcessLookupError:
            return False
        return True


def started_ticks(number: int) -> int | None:
    """Start time of a running process in clock ticks since boot (proc(5), field 22); None when it is gone."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def read_pid(path: Path) -> Pid | None:
    try:
        data = json.loads(path.read_text())
        return Pid(int(data["pid"]), int(data["started_ticks"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_pid(path: Path, number: int) -> None:
    ticks = started_ticks(number)
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps({"pid": number, "started_ticks": -1 if ticks is None else ticks}))
    temporary.replace(path)


def end_leftover(path: Path) -> bool:
    """Ends what an earlier, killed `up` left running; True when there was something."""
    pid = read_pid(path)
    if pid is None or not pid.signal(signal.SIGTERM):
        path.unlink(missing_ok=True)
        return False
    until = time.monotonic() + TERM_S
    while pid.alive() and time.monotonic() < until:
        time.sleep(POLL_S)
    pid.signal(signal.SIGKILL)
    path.unlink(missing_ok=True)
    return True


class Child:
    """One supervised program."""

    def __init__(self, program: Program, say: Callable[[str], None]) -> None:
        self.program = program
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._started_s = 0.0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Starts it and waits until it is ready. Raises Unavailable with its own last words."""
        try:
            await self._spawn()
            await self._wait_ready()
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._keep_running(), name=f"watch {self.program.name}")

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when it is gone."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), TERM_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        self.program.pid_file.unlink(missing_ok=True)

    async def _spawn(self) -> None:
        program = self.program
        try:
            with program.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *program.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                    env={**os.environ, **program.environment},
                )
        except FileNotFoundError as error:
            raise Unavailable(
                f"{program.command[0]} is not installed: `apt-get install {program.name}`"
            ) from error
        except OSError as error:
            raise Unavailable(f"cannot start {program.name}: {error}") from error
        self._started_s = time.monotonic()
        try:
            write_pid(program.pid_file, self._process.pid)
        except OSError as error:
            raise Unavailable(f"cannot start {program.name}: {error}") from error

    async def _wait_ready(self) -> None:
        process = self._process
        until = time.monotonic() + READY_S
        while process is not None and time.monotonic() < until:
            if process.returncode is not None:
                raise self._unavailable(f"ended with status {process.returncode}")
            if await self.program.ready():
                return
            await asyncio.sleep(POLL_S)
        raise self._unavailable(f"did not answer within {READY_S:g} s")

    def _unavailable(self, what: str) -> Unavailable:
        log = self.program.log
        return Unavailable(f"{self.program.name} {what}: {last_line(log)} (log: {log})")

    async def _keep_running(self) -> None:
        pause_s = BACKOFF_FIRST_S
        while self._process is not None:
            status = await self._ended(self._process)
            if time.monotonic() - self._started_s > STEADY_S:
                pause_s = BACKOFF_FIRST_S
            self._say(f"{self.program.name} ended with status {status}; starting it again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_MAX_S)
            try:
                await self._spawn()
            except Unavailable as error:
                self._say(str(error))
                await asyncio.sleep(pause_s)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Waits for the end, keeping the log within its bound meanwhile."""
        while process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LOG_CHECK_S)
            bound_log(self.program.log)
        return process.returncode


def bound_log(log: Path) -> None:
    """Moves what a log holds to its `.1` when it is too long; nothing when that cannot be done.

    Copied and cut off: the writer has it open for appending, so it goes on at the new end. Lines that come
    between the two are lost.
    """
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_MAX_BYTES:
            try:
                shutil.copyfile(log, log.with_suffix(f".1{log.suffix}"))
            finally:
                os.truncate(log, 0)


def last_line(log: Path) -> str:
    """The last line a program wrote, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_END_BYTES))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return "it wrote no log"
    written = [line.strip() for line in lines if line.strip()]
    return written[-1][:200] if written else "it wrote nothing"


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Runs in the child before exec, so it may only make this one call."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
