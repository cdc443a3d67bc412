"""qtest, QEMU's test protocol, as the board's bus: reads and writes with device semantics, also while the
core runs.

gdbstub memory packets would not do: to device registers they are dropped silently, and they stop the machine.
Unmapped addresses read as 0 here; which addresses exist is for the caller to know (`machines.Machine.holds`).
"""

from __future__ import annotations

import base64
import time
from pathlib import Path

from pyocd_qemu.errors import LinkError
from pyocd_qemu.socket_path import connect

_TIMEOUT_S = 10.0
_CHUNK_BYTES = 0x10000
_ANSWER_LIMIT_BYTES = 4 * _CHUNK_BYTES
_SUFFIX = {8: "b", 16: "w", 32: "l", 64: "q"}


class QtestLink:
    """A connected qtest client. Every method raises LinkError when QEMU is gone or refuses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = connect(path, _TIMEOUT_S)
        self._buffer = b""

    def read_value(self, address: int, bits: int) -> int:
        """One access of 8, 16, 32 or 64 bits."""
        return int(self._command(f"read{_SUFFIX[bits]} {address:#x}"), 16)

    def write_value(self, address: int, value: int, bits: int) -> None:
        self._command(f"write{_SUFFIX[bits]} {address:#x} {value:#x}")

    def read(self, address: int, size: int) -> bytes:
        """Memory, not device registers: QEMU chooses the width of each access."""
        out = bytearray()
        while size:
            count = min(size, _CHUNK_BYTES)
            out += base64.b64decode(self._command(f"b64read {address:#x} {count:#x}"))
            address += count
            size -= count
        return bytes(out)

    def write(self, address: int, data: bytes) -> None:
        """Memory, not device registers."""
        for at in range(0, len(data), _CHUNK_BYTES):
            piece = data[at : at + _CHUNK_BYTES]
            text = base64.b64encode(piece).decode()
            self._command(f"b64write {address + at:#x} {len(piece):#x} {text}")

    def close(self) -> None:
        self._socket.close()

    def _command(self, line: str) -> str:
        try:
            self._socket.sendall(line.encode() + b"\n")
            answer = self._answer()
        except OSError as error:
            raise LinkError(
                f"QEMU at {self._path} broke off during {line[:40]}: {error}", "see the board's qemu.log"
            ) from error
        if not answer.startswith("OK"):
            raise LinkError(
                f"QEMU at {self._path} answered {answer[:60]!r} to {line[:40]!r}", "which QEMU is this?"
            )
        return answer[3:].strip()

    def _answer(self) -> str:
        end = time.monotonic() + _TIMEOUT_S
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or len(self._buffer) > _ANSWER_LIMIT_BYTES:
                raise TimeoutError(f"no whole answer within {_TIMEOUT_S:g} s")
            self._socket.settimeout(left)
            got = self._socket.recv(1 << 18)
            if not got:
                raise ConnectionResetError("QEMU closed the link")
            self._buffer += got
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace")
