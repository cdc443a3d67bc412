"""What systemd is told of this program: that it is ready, alive and ending (sd_notify(3)).

Its protocol is one datagram of `NAME=VALUE` lines; outside systemd nothing is sent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """Failures are not ours to tell: whoever waits for the datagram will."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket's name begins with a zero byte, written as "@".
        self._address = "\0" + name[1:] if name.startswith("@") else name

    def ready(self) -> None:
        self._tell("READY=1")

    def alive(self) -> None:
        """To be called well within WatchdogSec."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
                door.settimeout(1.0)
                door.connect(self._address)
                door.send(line.encode())
        except OSError:
            return
