"""Files that QEMU appends to for as long as it runs: kept from filling the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LIMIT_BYTES = 8 * 1024 * 1024


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
