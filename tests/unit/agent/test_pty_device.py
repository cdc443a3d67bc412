"""A simulated device that is pulled out is closed again by whoever used it."""

from __future__ import annotations

import os

from tinyfleet.agent.adapters.power.pty_device import PtyDevice


class Mute(PtyDevice):
    """A device that says nothing."""

    def hear(self, data: bytes) -> None:
        pass

    def tick(self, now_s: float) -> None:
        pass


def test_closing_twice_leaves_the_handles_of_others_alone() -> None:
    device = Mute("pulled")
    device.close()
    others = os.pipe()  # gets the numbers that have become free
    device.close()
    for handle in others:
        os.fstat(handle)
        os.close(handle)
