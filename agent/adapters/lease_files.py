"""The leases of a bench as files that all programs of this host share.

`leases.json` is the table, replaced as a whole under the lock of `leases.lock`. `programs/TOKEN` belongs to a
running program: it holds a lock on the file, which the kernel frees when the program ends, however it ends,
and writes into it from time to time that it runs.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import psutil
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from tinyfleet.agent.adapters import file_lock
from tinyfleet.agent.adapters.file_lock import take_lock, try_lock
from tinyfleet.agent.core.errors import AgentError, LeaseError
from tinyfleet.agent.core.leases import SILENT_MS, Leases, Now, settle

R = TypeVar("R")
BEAT_S: Final = 5.0
_SURE_MS: Final = SILENT_MS - 2 * int(BEAT_S * 1000)
"""A program stops to believe in what it holds before the others do."""
_BEAT_DIGITS: Final = 20
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
# Counts while the host is suspended; only Linux has it.
_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_VERSION: Final = 1


@dataclass(frozen=True)
class _Kept:
    version: int
    leases: Leases


_FILE: Final = TypeAdapter(_Kept)


def boot_id() -> str:
    """Names this start of the host."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return f"at-{int(psutil.boot_time())}"


class LeaseFiles:
    """`services.leases.LeaseTable`. For all threads of a program."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = boot_id()
        self._program: _Program | None = None
        self._starting = threading.Lock()

    def now(self) -> Now:
        return Now(
            boot=self._boot,
            boot_ms=time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000,
            run_ms=_run_ms(),
            unix_s=int(time.time()),
        )

    def change(self, step: Callable[[Leases, Now], tuple[Leases, R]]) -> R:
        """Carries `step` out on what is left of the leases now, and keeps its outcome; nobody else changes
        them meanwhile. Raises LeaseError."""
        with self._locked():
            before = self._read()
            now = self.now()
            after, answer = step(settle(before, now, self._beats(before)), now)
            if after != before:
                self._write(after)
            return answer

    def look(self) -> tuple[Leases, Now]:
        """What is left of the leases now; nothing is written. Raises LeaseError."""
        leases, now = self._read(), self.now()
        return settle(leases, now, self._beats(leases)), now

    def process(self) -> str:
        """This program's token; from now on it says that it runs. Raises LeaseError."""
        with self._starting:
            if self._program is None:
                with self._locked():
                    # Under the lock, so that none is swept away between being made and being locked.
                    self._sweep()
                    self._program = _Program(self._programs)
            return self._program.token

    def life(self) -> int | None:
        """A number that changes when this program has been silent for so long that others may take what it
        held; None: it is so now."""
        return None if self._program is None else self._program.life()

    def close(self) -> None:
        """Ends all uses of this program and its places in the queue; its reservations stay."""
        with self._starting:
            if self._program is not None:
                self._program.end()
                self._program = None

    @property
    def _programs(self) -> Path:
        return self._folder / "programs"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self._folder / "leases.lock"
        try:
            self._programs.mkdir(parents=True, exist_ok=True)
            lock = take_lock(path)
        except TimeoutError as error:
            raise LeaseError(
                f"the lock {path} is held since more than {file_lock.TIMEOUT_S:.0f} s",
                f"a stopped program has it: `fuser {path}` names it; let it go on, or end it",
            ) from error
        except OSError as error:
            raise _cannot("use", path, error) from error
        with lock:
            yield

    def _read(self) -> Leases:
        path = self._folder / "leases.json"
        try:
            kept = _FILE.validate_json(path.read_bytes())
        except FileNotFoundError:
            return Leases()
        except OSError as error:
            raise _cannot("read", path, error) from error
        except ValidationError as error:
            # Not begun anew: somebody may be at work on a board.
            raise LeaseError(
                f"{path} holds no leases ({error.error_count()} faults)",
                "when nobody uses a board of this bench, remove it",
            ) from error
        if kept.version != _VERSION:
            raise LeaseError(
                f"{path} is of version {kept.version}, expected {_VERSION}",
                "use the tinyfleet that wrote it, or remove it when nobody uses a board of this bench",
            )
        return kept.leases

    def _write(self, leases: Leases) -> None:
        path, partial = self._folder / "leases.json", self._folder / "leases.part"
        try:
            with partial.open("wb") as file:
                file.write(_FILE.dump_json(_Kept(_VERSION, leases), indent=1))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise _cannot("write", path, error) from error

    def _beats(self, leases: Leases) -> dict[str, int]:
        uses = (lease.use.process for lease in leases.boards.values() if lease.use is not None)
        waiting = (ticket.request.process for ticket in leases.queue)
        beats = {token: _beat_of(self._programs / token) for token in {*uses, *waiting}}
        own = self._program
        if own is not None and own.token in beats:
            # Here we run. What others took while we stood still is theirs, but no thread of ours takes what
            # another one is at work on: that one ends it, at its next step.
            beats[own.token] = _run_ms()
        return {token: beat_ms for token, beat_ms in beats.items() if beat_ms is not None}

    def _sweep(self) -> None:
        """Removes what programs left that were killed."""
        for path in list(self._programs.iterdir()):
            if _beat_of(path) is None:
                path.unlink(missing_ok=True)


class _Program:
    """This program as the others see it: a locked file, in which a thread writes when it last ran.

    The bytes are overwritten in place, so that a full disk does not end what it holds.
    """

    def __init__(self, folder: Path) -> None:
        self.token = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._path = folder / self.token
        self._life = 0
        self._last_ms = _run_ms()
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _cannot("write", self._path, error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(self._last_ms)
        except OSError as error:
            os.close(self._handle)
            raise _cannot("write", self._path, error) from error
        self._ended = threading.Event()
        self._beating = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def life(self) -> int | None:
        with self._beating:
            return self._life if _run_ms() - self._last_ms < _SURE_MS else None

    def end(self) -> None:
        self._ended.set()
        self._thread.join(BEAT_S)
        self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def _keep(self) -> None:
        while not self._ended.wait(BEAT_S):
            with self._beating:
                now_ms = _run_ms()
                try:
                    self._write(now_ms)
                except OSError:
                    continue  # `life` tells when that lasts too long
                if now_ms - self._last_ms >= _SURE_MS:
                    self._life += 1
                self._last_ms = now_ms

    def _write(self, beat_ms: int) -> None:
        os.pwrite(self._handle, f"{beat_ms:0{_BEAT_DIGITS}}".encode(), 0)


def _run_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def _beat_of(path: Path) -> int | None:
    """When the program last said that it runs; None: it has ended. Raises LeaseError: a file that cannot be
    read now says nothing about its program."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _cannot("read", path, error) from error
    try:
        if try_lock(handle, fcntl.LOCK_SH):
            return None
        digits = os.pread(handle, _BEAT_DIGITS, 0)
        return int(digits) if digits.isdigit() else None
    finally:
        os.close(handle)


def _cannot(what: str, path: Path, error: OSError) -> AgentError:
    return LeaseError(
        f"cannot {what} {path}: {error.strerror or error}", "is the state folder yours, and is there room?"
    )
