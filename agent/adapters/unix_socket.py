"""Unix sockets below the state folder, whose path may be longer than the 107 bytes an address holds."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIMIT_BYTES = 107


def listen(path: Path) -> socket.socket:
    """A listening stream socket that only this user reaches, in place of what a program that died left there.
    OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX)
    try:
        # Linux gives the file the mode that the socket has before it is bound.
        os.fchmod(door.fileno(), 0o600)
        with _address(path) as address:
            door.bind(address)
        door.listen()
    except OSError:
        door.close()
        raise
    return door


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connected stream socket with that time-out. OSError."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout_s)
    try:
        with _address(path) as address:
            link.connect(address)
    except OSError:
        link.close()
        raise
    return link


@contextmanager
def _address(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= _LIMIT_BYTES:
        yield str(path)
        return
    # Linux resolves the socket through an open folder, whatever the length of that folder's own path.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
