"""qtest, QEMU's test protocol, as the board's bus: reads and writes with device semantics, also while the
core runs.

gdbstub memory packets would not do: to device registers they are dropped silently, and they stop the machine.
Unmapped addresses read as 0 here; which addresses exist is for the caller to know (`machines.Machine.holds`).
"""

from __future__ import annotations

import base64
from collections import deque
from pathlib import Path

from pyocd_qemu.errors import LinkError
from pyocd_qemu.stream import Stream

_TIMEOUT_S = 10.0
_CHUNK_BYTES = 0x10000
_SHORT_BYTES = 4096
_ANSWER_LIMIT_BYTES = 4 * _CHUNK_BYTES
_SHOWN = 40
# Each is an answer that waits in the socket; QEMU stands still when no more go in.
_POSTED_LIMIT = 32
_SUFFIX = {8: "b", 16: "w", 32: "l", 64: "q"}


class QtestLink:
    """A connected qtest client. Every method raises LinkError when QEMU is gone or refuses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = Stream(path, _TIMEOUT_S)
        self._buffer = bytearray()
        self._posted: deque[str] = deque()

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
            out += base64.b64decode(self._command(f"b64read {address:#x} {count:#x}", 2 * count))
            address += count
            size -= count
        return bytes(out)

    def write(self, address: int, data: bytes) -> None:
        """Memory, not device registers."""
        self.post(address, data)
        self.settle()

    def post(self, address: int, data: bytes) -> None:
        """As `write`, without waiting for the answer: what goes wrong is raised by whatever is next, by
        `settle` at the latest. All that comes over this link sees the bytes; what comes over another one (the
        core that runs on) only once `settle` was called."""
        for at in range(0, len(data), _CHUNK_BYTES):
            piece = data[at : at + _CHUNK_BYTES]
            if len(self._posted) >= _POSTED_LIMIT:
                self.settle()
            line = f"b64write {address + at:#x} {len(piece):#x} {base64.b64encode(piece).decode()}"
            self._posted.append(line[:_SHOWN])
            self._send(line)

    def settle(self) -> None:
        """Everything posted has been done."""
        refused = self._collect()
        if refused is not None:
            raise refused

    def close(self) -> None:
        self._stream.close()

    def _command(self, line: str, answer_bytes: int = _SHORT_BYTES) -> bytes:
        self._send(line)
        refused = self._collect()
        answer = self._answer(line, answer_bytes)
        if refused is not None:
            raise refused
        return self._checked(line, answer)

    def _collect(self) -> LinkError | None:
        """The answers to what was posted; the first that was a refusal."""
        first = None
        while self._posted:
            line = self._posted.popleft()
            try:
                self._checked(line, self._answer(line, _SHORT_BYTES))
            except _Refused as refused:
                first = first or refused
        return first

    def _checked(self, line: str, answer: bytes) -> bytes:
        """What follows the OK."""
        if answer.startswith(b"OK"):
            return answer[3:]
        raise _Refused(
            f"QEMU at {self._path} answered {answer[:60]!r} to {line[:_SHOWN]!r}", "which QEMU is this?"
        )

    def _send(self, line: str) -> None:
        try:
            self._stream.send(line.encode() + b"\n")
        except OSError as error:
            raise self._broken(line, error) from error

    def _answer(self, line: str, likely_bytes: int) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            try:
                if len(self._buffer) > _ANSWER_LIMIT_BYTES:
                    raise ConnectionAbortedError("an endless line")
                self._buffer += self._stream.receive(likely_bytes)
            except OSError as error:
                raise self._broken(line, error) from error
        answer = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return answer

    def _broken(self, line: str, error: OSError) -> LinkError:
        # Told now; nobody waits for their answers a second time.
        self._posted.clear()
        return LinkError(
            f"QEMU at {self._path} broke off during {line[:_SHOWN]}: {error}", "see the board's qemu.log"
        )


class _Refused(LinkError):
    """QEMU answered, and goes on."""
