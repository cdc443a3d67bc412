"""Services over a real database in a folder of the test's own; only the broker is a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fleet.fleet_rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def small_rig(tmp_path: Path) -> Iterator[Any]:
    """A rig with tight limits: budget, series, quarantine."""
    made = Rig(tmp_path, blob_budget_bytes=40_000, series_max=100, quarantine_rows=5)
    yield made
    made.store.close()
