"""A link's Unix socket, with as few calls as can be.

Time-outs are the kernel's: with Python's own, every call would be a `poll` before, and would let go of the
interpreter twice, which costs most where several boards are programmed at once.
"""

from __future__ import annotations

import select
import socket
import struct
from pathlib import Path

from pyocd_qemu.socket_path import connect

_TIMEVAL = struct.Struct("@ll")


class Stream:
    """Connected, or LinkError. `send` and `receive` raise OSError, TimeoutError among them."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._socket = connect(path, timeout_s)
        self._socket.settimeout(None)
        limit = _TIMEVAL.pack(int(timeout_s), int(timeout_s % 1 * 1e6))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, limit)
        self._waiting = select.poll()
        self._waiting.register(self._socket, select.POLLIN)

    def send(self, data: bytes) -> None:
        """All of it."""
        try:
            self._socket.sendall(data)
        except BlockingIOError:
            raise TimeoutError(f"nothing was taken within {self._timeout_s:g} s") from None

    def receive(self, size: int) -> bytes:
        """What is there, `size` bytes at most; waits for the first of them."""
        try:
            got = self._socket.recv(size)
        except BlockingIOError:
            raise TimeoutError(f"no answer within {self._timeout_s:g} s") from None
        if not got:
            raise ConnectionResetError("QEMU closed the link")
        return got

    def wait(self, timeout_s: float) -> bool:
        """Whether there is something to receive within that time."""
        return bool(self._waiting.poll(timeout_s * 1000))

    def close(self) -> None:
        self._socket.close()
