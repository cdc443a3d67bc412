"""A made-up serial device on a terminal of this host: it hears bytes, and says some as time goes on."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from abc import ABC, abstractmethod
from typing import Final

_TICK_S: Final = 0.005
_END_S: Final = 5.0
_READ_BYTES: Final = 4096
BACKLOG_MAX: Final = 8 << 20
"""Bytes that nobody reads; then it is silent, as a device that is unplugged."""


class PtyDevice(ABC):
    """`address` is for whoever opens it as a serial port. Subclasses have `hear` and `tick`, called in a
    thread of its own. `close` is what unplugging is."""

    def __init__(self, name: str) -> None:
        self._near, self._far = os.openpty()
        self._open: tuple[int, ...] = (self._near, self._far)
        self._closing = threading.Lock()
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self.address = os.ttyname(self._far)
        self._out = bytearray()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @abstractmethod
    def hear(self, data: bytes) -> None:
        """What was written to the device."""

    @abstractmethod
    def tick(self, now_s: float) -> None:
        """Some time has passed."""

    def say(self, data: bytes) -> None:
        if len(self._out) + len(data) <= BACKLOG_MAX:
            self._out += data

    def close(self) -> None:
        """A second time does nothing: the numbers of its handles may be another's by then."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)
        with self._closing:
            handles, self._open = self._open, ()
        for handle in handles:
            with contextlib.suppress(OSError):
                os.close(handle)

    def _run(self) -> None:
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._near], [self._near] if self._out else [], [], _TICK_S)
            if ready:
                with contextlib.suppress(BlockingIOError):
                    self.hear(os.read(self._near, _READ_BYTES))
            self.tick(time.monotonic())
            with contextlib.suppress(BlockingIOError):
                while self._out:
                    del self._out[: os.write(self._near, self._out)]
