"""QMP, QEMU's control protocol: reset, status, quit. One JSON object a line.

QEMU serves one QMP client at a time; a second one connects but is never greeted.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from pyocd_qemu.errors import BoardBusyError, LinkError
from pyocd_qemu.socket_path import connect

_GREETING_TIMEOUT_S = 1.0
_ANSWER_TIMEOUT_S = 10.0
_LINE_LIMIT_BYTES = 1 << 20
_DRAINED_BYTES = 1 << 16


class QmpLink:
    """A connected, negotiated QMP client. Raises BoardBusyError when another client is connected."""

    def __init__(self, path: Path, greeting_timeout_s: float = _GREETING_TIMEOUT_S) -> None:
        self._path = path
        self._socket = connect(path, greeting_timeout_s)
        self._buffer = b""
        self._events: set[str] = set()
        try:
            try:
                self._read(greeting_timeout_s)
            except TimeoutError as error:
                raise BoardBusyError(
                    f"the board at {path.parent} is in use by another debug client",
                    "end that one (pyocd, gdbserver, a test run) and try again",
                ) from error
            except OSError as error:
                raise self._broken("greeting", error) from error
            self.command("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def command(self, name: str, **arguments: object) -> Any:
        """What QEMU returned. Raises LinkError."""
        request = {"execute": name, "arguments": arguments}
        self._socket.settimeout(_ANSWER_TIMEOUT_S)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            end = time.monotonic() + _ANSWER_TIMEOUT_S
            while True:
                answer = self._read(end - time.monotonic())
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise LinkError(
                        f"QEMU at {self._path} refused {name}: {answer['error']}", "see the board's qemu.log"
                    )
                self._keep(answer)
        except OSError as error:
            raise self._broken(name, error) from error

    def is_running(self) -> bool:
        return bool(self.status()["running"])

    def status(self) -> dict[str, Any]:
        status = self.command("query-status")
        if not isinstance(status, dict):
            raise LinkError(
                f"QEMU at {self._path} answered {status!r} to query-status", "which QEMU is this?"
            )
        return status

    def drain(self) -> None:
        """Drops what QEMU tells of its own accord, two events for each time that the core runs and stops; to
        be called now and then, as it keeps in its memory what nobody takes."""
        self._socket.settimeout(0)
        try:
            while got := self._socket.recv(_DRAINED_BYTES):
                self._buffer = (self._buffer + got).rpartition(b"\n")[2]
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._broken("events", error) from error

    def reset(self) -> None:
        """Resets the machine and returns once it has been reset; a stopped machine stays stopped."""
        self.drain()
        self._events.clear()
        self.command("system_reset")
        end = time.monotonic() + _ANSWER_TIMEOUT_S
        while "RESET" not in self._events:
            try:
                self._keep(self._read(end - time.monotonic()))
            except OSError as error:
                raise self._broken("system_reset", error) from error
        self._events.clear()

    def close(self) -> None:
        self._socket.close()

    def _keep(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._events.add(str(message["event"]))

    def _read(self, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer within {timeout_s:.1f} s")
            self._socket.settimeout(left)
            got = self._socket.recv(65536)
            if not got:
                raise ConnectionResetError("QEMU closed the link")
            self._buffer += got
            if len(self._buffer) > _LINE_LIMIT_BYTES:
                raise LinkError(f"QEMU at {self._path} sent an endless line", "which QEMU is this?")
        line, self._buffer = self._buffer.split(b"\n", 1)
        message = json.loads(line)
        if not isinstance(message, dict):
            raise LinkError(f"QEMU at {self._path} sent {line[:60]!r}", "which QEMU is this?")
        return message

    def _broken(self, name: str, error: OSError) -> LinkError:
        return LinkError(f"QEMU at {self._path} broke off during {name}: {error}", "see the board's qemu.log")
