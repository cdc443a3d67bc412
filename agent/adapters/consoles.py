"""Serial consoles by pyserial: real ports, and the sockets of emulated boards."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import serial

from tinyfleet.agent.core.errors import BoardBusyError, ConsoleError, NoSuchBoardError
from tinyfleet.agent.services.ports import Console

_WRITE_TIMEOUT_S = 5.0
_READ_BYTES = 4096


class SerialConsoles:
    """`services.ports.Consoles`."""

    def open(self, address: str, baud: int) -> Console:
        lock = _take_lock(address)
        try:
            port = serial.serial_for_url(
                address, baudrate=baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, do_not_open=True
            )
            if "://" not in address:
                port.exclusive = True
            port.open()
        except (serial.SerialException, ValueError, OSError) as error:
            lock.close()
            if "exclusively lock" in str(error):
                raise BoardBusyError(
                    f"the console {address} is in use by another program", "end that one (a terminal?)"
                ) from error
            raise NoSuchBoardError(
                f"cannot open the console {address}: {error}", "is the board plugged in (emulated: started)?"
            ) from error
        return SerialConsole(address, port, lock)


class SerialConsole:
    """`services.ports.Console`."""

    def __init__(self, address: str, port: serial.Serial, lock: BinaryIO) -> None:
        self._address = address
        self._port = port
        self._lock = lock
        self._handle = _handle(port)

    def read(self, timeout_s: float) -> bytes:
        with self._translated("read"):
            if self._handle is not None:
                # pyserial sets the whole line up again for every other time-out.
                if not select.select([self._handle], [], [], timeout_s)[0]:
                    return b""
                return bytes(self._port.read(_READ_BYTES))
            self._port.timeout = timeout_s
            data = bytearray(self._port.read(1))
            while data and len(data) < _READ_BYTES and self._port.in_waiting:
                data += self._port.read(min(self._port.in_waiting, _READ_BYTES))
            return bytes(data)

    def write(self, data: bytes) -> None:
        with self._translated("write"):
            self._port.write(data)

    def set_baud(self, baud: int) -> None:
        with self._translated("set baud rate"):
            if self._port.baudrate != baud:
                self._port.baudrate = baud

    def close(self) -> None:
        # pyserial forgets a socket whose peer has gone without closing it.
        socket = getattr(self._port, "_socket", None)
        try:
            self._port.close()
        finally:
            if socket is not None:
                socket.close()
            self._lock.close()

    @contextmanager
    def _translated(self, step: str) -> Iterator[None]:
        try:
            yield
        except (serial.SerialException, OSError, TypeError, ValueError) as error:
            # TypeError and ValueError: pyserial's, of a port that went away under its hands.
            raise ConsoleError(
                self._address,
                f"console {step}",
                str(error),
                "check the cable; an emulated board may have died",
            ) from error


def _handle(port: serial.Serial) -> int | None:
    """What the system waits on; None where pyserial reads by a thread of its own (rfc2217, loop)."""
    try:
        return int(port.fileno())
    except (AttributeError, OSError):
        return None


def _take_lock(address: str) -> BinaryIO:
    """One client a console on this host. A second one on a socket would be let in by the system and hear
    nothing."""
    folder = Path(tempfile.gettempdir()) / f"tinyfleet-{os.getuid()}"
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = (folder / f"console-{name}.lock").open("ab")
    except OSError as error:
        raise NoSuchBoardError(
            f"cannot lock the console {address}: {error}", f"is {folder} yours?"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise BoardBusyError(f"the console {address} is in use by another program", "end that one") from error
    return lock
