"""Files that QEMU appends to for as long as it runs: kept from filling the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 8 * 1024 * 1024
_TAIL_BYTES = 8192
_COMPLAINT = "qemu"
_WARNING = "warning:"
_FATAL = "fatal: "
_LOCKUP = "Lockup"


def complaints(path: Path) -> str:
    """What QEMU complained of in its log, or its last lines; on one line."""
    lines = _tail(path)
    # At an abort QEMU prints its complaint first and then a page of registers.
    said = [line for line in lines if line.startswith(_COMPLAINT)]
    grave = [line for line in said if _WARNING not in line]
    return " | ".join((grave or said)[-3:] or lines[-5:])


def lockup(path: Path) -> str | None:
    """QEMU's last words in its log when the core's lockup was what ended it."""
    fatal = [line.partition(_FATAL)[2] for line in _tail(path) if line.startswith(_COMPLAINT)]
    return next((words for words in fatal if words.startswith(_LOCKUP)), None)


def _tail(path: Path) -> list[str]:
    try:
        text = path.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def trim(path: Path) -> bool:
    """Moves a log that has grown beyond the limit to `NAME.1`, over an older one; whether it did.

    By copy, as QEMU holds the file open; what it appends in between is lost. Without the file: nothing.
    Raises OSError.
    """
    try:
        if path.stat().st_size <= LIMIT_BYTES:
            return False
    except FileNotFoundError:
        return False
    try:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
    finally:
        # On a full disk, too: this is what makes room there.
        os.truncate(path, 0)
    return True
