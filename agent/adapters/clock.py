"""The host's clock."""

from __future__ import annotations

import time


class SystemClock:
    """`services.ports.Clock`."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_s(self) -> int:
        return int(time.time())

    def wall_s(self) -> float:
        return time.time()
