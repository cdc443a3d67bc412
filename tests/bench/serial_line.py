"""A serial line to the bench app as a process: so many bytes a second each way, and a USB adapter's turn.

Each way has its own thread. A byte arrives when the line has carried it and what came before it, at no other
time: an idle line saves nothing up, and a late thread makes up for no more than its own delay.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

BITS = 10
_PIECE_S = 0.0004
_WAIT_S = 0.1
_READ_BYTES = 65536


class SerialLine:
    """`services.ports.Console` to the bench app `program` at a baud rate. `turn_s`: how much later what the
    board says reaches the host, as its USB adapter asks for it only then. `sent` counts the bytes to the
    board."""

    def __init__(self, program: Path, image: Path, flash: Path, baud: int, turn_s: float = 0.0) -> None:
        self._child = subprocess.Popen(
            [str(program), str(image), str(flash)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._child.stdin is not None and self._child.stdout is not None
        self._to_board, self._from_board = self._child.stdin, self._child.stdout
        self._byte_s = BITS / baud
        self._turn_s = turn_s
        self._open = True
        self.sent = 0
        self._down, self._up = os.pipe(), os.pipe()
        self._threads = [
            threading.Thread(target=self._carry, args=(self._down[0], self._deliver_down, 0.0), daemon=True),
            threading.Thread(
                target=self._carry, args=(self._from_board.fileno(), self._deliver_up, turn_s), daemon=True
            ),
        ]
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self._down[1], left) :]

    def read(self, timeout_s: float) -> bytes:
        if not select.select([self._up[0]], [], [], timeout_s)[0]:
            return b""
        return os.read(self._up[0], _READ_BYTES)

    def set_baud(self, baud: int) -> None: ...

    def close(self) -> None:
        self._open = False
        for thread in self._threads:
            thread.join(5)
        self._to_board.close()
        self._child.wait(10)
        self._from_board.close()
        for end in (*self._down, *self._up):
            os.close(end)

    @contextlib.contextmanager
    def terminal(self) -> Iterator[str]:
        """The same line as a terminal of this host, whose path this is; `read` and `write` are its own
        meanwhile."""
        host, board = pty.openpty()
        tty.setraw(board)
        done = threading.Event()

        def down() -> None:
            while not done.is_set():
                if select.select([host], [], [], _WAIT_S)[0]:
                    self.write(os.read(host, _READ_BYTES))

        def up() -> None:
            while not done.is_set():
                data = self.read(_WAIT_S)
                while data:
                    data = data[os.write(host, data) :]

        threads = [threading.Thread(target=each, daemon=True) for each in (down, up)]
        for thread in threads:
            thread.start()
        try:
            yield os.ttyname(board)
        finally:
            done.set()
            for thread in threads:
                thread.join(5)
            os.close(host)
            os.close(board)

    def _deliver_down(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._to_board.write(data)

    def _deliver_up(self, data: bytes) -> None:
        os.write(self._up[1], data)

    def _carry(self, source: int, deliver: Callable[[bytes], None], turn_s: float) -> None:
        piece = max(1, int(_PIECE_S / self._byte_s))
        free_s = 0.0
        while self._open:
            if not select.select([source], [], [], 0)[0]:
                if not select.select([source], [], [], _WAIT_S)[0]:
                    continue
                free_s = max(free_s, time.monotonic())
            # What waited goes on from when the line was free, however late this thread woke.
            late = int((time.monotonic() - free_s) / self._byte_s)
            data = os.read(source, max(piece, late))
            if not data:
                return
            free_s += len(data) * self._byte_s
            time.sleep(max(0.0, free_s - time.monotonic()))
            if turn_s:
                # What follows until the adapter is asked comes with the same turn.
                end_s = free_s + turn_s
                while select.select([source], [], [], max(0.0, end_s - time.monotonic()))[0]:
                    more = os.read(source, max(1, int((end_s - free_s) / self._byte_s)))
                    if not more:
                        break
                    free_s = max(free_s, time.monotonic()) + len(more) * self._byte_s
                    data += more
                    if free_s >= end_s:
                        break
                time.sleep(max(0.0, end_s - time.monotonic()))
            deliver(data)
