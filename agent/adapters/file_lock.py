"""Locks between the programs of one host, by `flock`: the kernel frees one when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import BinaryIO, Final

TIMEOUT_S: Final = 10.0
"""Who holds one has it for a millisecond; only a program that was stopped holds it longer."""
_LOOK_S: Final = 0.005


def take_lock(path: Path) -> BinaryIO:
    """Makes the folder and file, and waits for the lock; closing what is answered lets go.

    Raises OSError; TimeoutError when it is held for longer than TIMEOUT_S.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0)
    end_s = time.monotonic() + TIMEOUT_S
    try:
        while not try_lock(file.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > end_s:
                raise TimeoutError(
                    f"the lock {path} is held since more than {TIMEOUT_S:.0f} s: a stopped program has it, "
                    f"`fuser {path}` names it"
                )
            time.sleep(_LOOK_S)
    except BaseException:
        file.close()
        raise
    return file


def try_lock(handle: int, kind: int) -> bool:
    """Whether the lock, fcntl.LOCK_EX or LOCK_SH, was to be had at once."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
