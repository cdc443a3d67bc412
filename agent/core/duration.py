"""Lengths of time as people write them: 90s, 30m, 1h30m, 1d; a bare number is seconds."""

from __future__ import annotations

import re
from typing import Final

_UNITS_S: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_FORM: Final = re.compile(r"(?:(\d{1,3})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s?)?", re.ASCII)


def parse_duration(text: str) -> int:
    """Seconds. ValueError when it is no length of time."""
    match = _FORM.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is no length of time, expected 90s, 30m, 1h30m or the like")
    return sum(
        int(part or 0) * unit_s for part, unit_s in zip(match.groups(), _UNITS_S.values(), strict=True)
    )


def show_duration(seconds: float) -> str:
    """In at most two units, rounded down: 1 h 30 min."""
    left_s = max(0, int(seconds))
    days, hours, minutes, rest_s = left_s // 86_400, left_s // 3600 % 24, left_s // 60 % 60, left_s % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest_s, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or unit == "s")
