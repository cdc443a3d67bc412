"""A flash as a file that QEMU maps: erased where it was never programmed."""

from __future__ import annotations

import os
from pathlib import Path

_ERASED_BLOCK = b"\xff" * 0x100000


def make_blank_flash(path: Path, size: int, *, offset: int = 0, total: int | None = None) -> None:
    """Writes a file of `size` erased bytes (a multiple of 1 MiB). With `total` they lie `offset` bytes into a
    file of that size, whose rest takes no room on the disk. Raises OSError; never leaves half a file.

    Only its owner may read it: provisioning writes a device's secrets there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.truncate(offset + size if total is None else total)
            file.seek(offset)
            for _ in range(size // len(_ERASED_BLOCK)):
                file.write(_ERASED_BLOCK)
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
