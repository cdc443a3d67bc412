"""How far each board's provisioning came, in files: no secrets in them, so that they may be looked at."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tinyfleet.agent.core.errors import AgentError, BoardBusyError
from tinyfleet.agent.core.provisioning import Progress, progress_of

_CLAIMS: Final = 1 << 31


class ProvisioningFiles:
    """`services.provisioning_ports.ProgressFiles`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._claims: IO[bytes] | None = None

    @contextmanager
    def hold(self, board: str) -> Iterator[None]:
        path = self._folder / f"{board}.lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
        except OSError as error:
            raise AgentError(
                f"cannot make {path}: {error.strerror}", "is the state folder writable?"
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BoardBusyError(
                    f"{board} is being provisioned by another program", "wait for it"
                ) from None
            yield

    def claim(self, fingerprint: str) -> bool:
        """By a lock on one byte of a file (fcntl(2)): the kernel gives it back however this process ends."""
        path = self._folder / "tokens.lock"
        try:
            if self._claims is None:
                self._claims = path.open("ab")
            at = int(fingerprint, 16) % _CLAIMS
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise AgentError(
                f"cannot lock {path}: {error.strerror}", "is the state folder writable?"
            ) from error
        return True

    def close(self) -> None:
        """Gives all claims back."""
        if self._claims is not None:
            self._claims.close()
            self._claims = None

    def last(self, board: str) -> Progress | None:
        try:
            return progress_of(json.loads(self._path(board).read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, progress: Progress) -> None:
        """On disk before anything is done on the board: a power cut must not leave an older word."""
        path = self._path(progress.board)
        partial = path.with_suffix(".part")
        try:
            with partial.open("w") as file:
                json.dump(progress.to_json(), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise AgentError(f"cannot keep {path}: {error.strerror}", "is there room?") from error

    def _path(self, board: str) -> Path:
        return self._folder / f"{board}.json"
