"""A simulated device that is pulled out is closed again by whoever used it."""

from __future__ import annotations

import os

from tinyfleet.agent.adapters.power.pty_device import PtyDevice


def test_closing_twice_leaves_the_handles_of_others_alone() -> None:
    device = PtyDevice("pulled")
    device.close()
    others = os.pipe()  # gets the numbers that have become free
    device.close()
    for handle in others:
        os.fstat(handle)
        os.close(handle)
