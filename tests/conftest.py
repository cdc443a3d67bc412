"""What may run side by side: `make test` uses two processes."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# By the start of a path. A group stays in one process, one test after the other: servers and emulators have
# a core for themselves, and no build folder has two builders.
GROUPS = {
    "e2e": "servers",
    "integration": "servers",
    "unit/fleet/test_model_tools.py": "servers",
    "unit/firmware": "builds",
    "unit/agent/test_link.py": "builds",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(TESTS).as_posix()
        group = next((name for start, name in GROUPS.items() if path.startswith(start)), path)
        item.add_marker(pytest.mark.xdist_group(group))
