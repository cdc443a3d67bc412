"""A board's console as a terminal of this host, which can be pulled out."""

from __future__ import annotations

import os
import pty
import select
import termios
from pathlib import Path

WAIT_S = 10.0


class SerialPort:
    """A board on a terminal, found by a link as udev makes them (`by-id`)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "usb-board-1"
        self.plug()

    def plug(self) -> None:
        self.board, self._terminal = pty.openpty()
        mode = termios.tcgetattr(self._terminal)
        mode[0] = mode[1] = mode[3] = 0
        termios.tcsetattr(self._terminal, termios.TCSANOW, mode)
        self.path.symlink_to(os.ttyname(self._terminal))

    def says(self, data: bytes) -> None:
        os.write(self.board, data)

    def hears(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            assert select.select([self.board], [], [], WAIT_S)[0], f"only {data!r} came"
            data += os.read(self.board, size - len(data))
        return data

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self.board)
        os.close(self._terminal)

    def close(self) -> None:
        if self.path.is_symlink():
            self.unplug()
