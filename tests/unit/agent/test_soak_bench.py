"""The judge of `make soak`: what grows is named, what only wavers is not."""

from __future__ import annotations

import pytest
from tests.soak_bench import HOURS, LIMITS, Sample, leaks


def day(**growth: int) -> list[Sample]:
    """A sample an hour; `growth` is added each hour."""
    flat = {"fds": 40, "threads": 9, "children": 3, "rss_kb": 150_000}
    return [
        Sample(hour, **{name: flat[name] + hour % 2 + hour * growth.get(name, 0) for name in flat})
        for hour in range(HOURS)
    ]


def test_a_day_on_which_nothing_leaks() -> None:
    lines, grown = leaks(day(), HOURS)
    assert grown == []
    assert "fds: 40.5 -> 40.5" in lines


@pytest.mark.parametrize("name", LIMITS)
def test_what_leaks_is_named(name: str) -> None:
    each = 2000 if name == "rss_kb" else 1
    _, grown = leaks(day(**{name: each}), HOURS)
    assert len(grown) == 1 and grown[0].startswith(f"{name} grew from ")
