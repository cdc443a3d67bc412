"""Connecting to a Unix socket whose path may be longer than the 107 bytes an address holds."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pyocd_qemu.errors import LinkError

_LIMIT_BYTES = 107


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connected stream socket with that time-out. Raises LinkError."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout_s)
    folder = None
    try:
        address = str(path)
        if len(os.fsencode(address)) > _LIMIT_BYTES:
            # Linux resolves the socket through an open folder, whatever the length of that folder's own path.
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
            address = f"/proc/self/fd/{folder}/{path.name}"
        link.connect(address)
    except OSError as error:
        link.close()
        raise LinkError(f"cannot reach QEMU at {path}: {error}", "is the board running?") from error
    finally:
        if folder is not None:
            os.close(folder)
    return link
