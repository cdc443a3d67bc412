"""Set-up is a folder of scripts that runs before anything is installed: its modules are found by path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[3] / "deploy" / "setup"
MODULES = ("report", "system", "wishes", "sources", "python", "firmware")


@pytest.fixture(autouse=True)
def setup_folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(SETUP))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return SETUP
