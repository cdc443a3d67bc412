"""The short form of `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.soak import Soak

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.timeout(300)]

KILLS = 10


def test_cuts_at_random_moments_of_updates(tmp_path: Path) -> None:
    with Soak(tmp_path, seed=7) as soak:
        for _ in soak.run(KILLS):
            pass
    assert soak.count.kills >= KILLS and soak.count.updates > 1
