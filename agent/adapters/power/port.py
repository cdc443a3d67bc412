"""A meter's serial port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import serial

from tinyfleet.agent.core.errors import BoardBusyError, MeterError

READ_MAX: Final = 1 << 16
GATHER_S: Final = 0.02
_WRITE_TIMEOUT_S: Final = 2.0
_QUIET_S: Final = 0.05


class MeterPort:
    """`board` is for what goes wrong. Raises MeterError; BoardBusyError when another program has the port."""

    def __init__(self, board: str, address: str, baud: int) -> None:
        self._board = board
        self.address = address
        try:
            self._port = serial.Serial(
                address, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True
            )
        except (serial.SerialException, ValueError, OSError) as error:
            if "exclusively lock" in str(error):
                raise BoardBusyError(
                    f"{board}: its meter {address} is in use by another program", "end that one"
                ) from error
            raise self.failed(
                "open", f"cannot open {address}: {error}", "is it plugged in? may you open its port?"
            ) from error

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """At least a byte, or none within that time; then what comes within `gather_s`: a meter's bytes come
        a millisecond's at a time, and each read costs."""
        with self._translated("read"):
            self._port.timeout = timeout_s
            data = self._port.read(1)
            if not data:
                return b""
            self._port.timeout = gather_s
            size = READ_MAX if gather_s else min(self._port.in_waiting, READ_MAX)
            return bytes(data + self._port.read(size)) if size else bytes(data)

    def write(self, data: bytes) -> None:
        with self._translated("write"):
            self._port.write(data)

    def drain(self, timeout_s: float) -> None:
        """Reads on until nothing has come for a moment: a meter may still be sending samples."""
        end_s = time.monotonic() + timeout_s
        while self.read(_QUIET_S) and time.monotonic() < end_s:
            continue

    def read_until(self, step: str, done: Callable[[bytes], bool], timeout_s: float) -> bytes:
        """All that came until `done` says so."""
        end_s, data = time.monotonic() + timeout_s, b""
        while not done(data):
            left_s = end_s - time.monotonic()
            if left_s <= 0 or len(data) > READ_MAX:
                told = f"{data[-40:]!r}" if data else "nothing"
                raise self.failed(
                    step,
                    f"{self.address} answered {told} within {timeout_s:g} s",
                    "is it that kind of meter?",
                )
            data += self.read(left_s)
        return data

    def close(self) -> None:
        self._port.close()

    def failed(self, step: str, cause: str, hint: str) -> MeterError:
        return MeterError(self._board, f"meter {step}", cause, hint)

    @contextmanager
    def _translated(self, step: str) -> Iterator[None]:
        try:
            yield
        except (serial.SerialException, OSError, TypeError) as error:
            # pyserial has TypeError where the port was closed meanwhile.
            raise self.failed(
                step, f"{self.address} broke off: {error}", "was the meter unplugged? check its cable"
            ) from error
