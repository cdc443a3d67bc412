"""Lengths of time, read and written."""

from __future__ import annotations

import pytest

from tinyfleet.agent.core.duration import parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("2d1h1m1s", 176_461),
        (" 5m ", 300),
    ],
)
def test_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "1.5h", "30 m", "5m1h", "1w", "٣m", "9" * 30])
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (5400, "1 h 30 min"),
        (7200, "2 h"),
        (90_061, "1 d 1 h"),
        (-3, "0 s"),
    ],
)
def test_shown(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text
