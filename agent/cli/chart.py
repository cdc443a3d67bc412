"""A curve in a terminal, of braille dots: two columns and four rows of dots a character."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_BLANK: Final = 0x2800
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_PER_CHARACTER: Final = (2, 4)
_LOGARITHMIC: Final = 30.0
"""From so many times the least on, equal steps of the axis are equal factors."""
_UNITS: Final = ((1e6, "A"), (1e3, "mA"), (1.0, "µA"), (1e-3, "nA"))


def amperes(microamperes: float) -> str:
    """With three digits that count, and a unit."""
    size = abs(microamperes)
    for factor, unit in _UNITS:
        if size >= factor or unit == "nA":
            value = microamperes / factor
            digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
            return f"{value:.{digits}f} {unit}"
    return "0 A"


class Axis:
    """Rows of dots, 0 at the bottom, for values between the least and the most."""

    def __init__(self, least: float, most: float, rows: int) -> None:
        self._rows = rows
        self.logarithmic = least > 0 and most / least >= _LOGARITHMIC
        low, high = (math.log(least), math.log(most)) if self.logarithmic else (min(least, 0.0), most)
        self._low, self._high = low, high if high > low else low + 1.0

    def row(self, value: float) -> int:
        at = math.log(max(value, 1e-12)) if self.logarithmic else value
        part = (at - self._low) / (self._high - self._low)
        return min(max(round(part * (self._rows - 1)), 0), self._rows - 1)

    def value(self, part: float) -> float:
        """What stands at that part of the height."""
        at = self._low + part * (self._high - self._low)
        return math.exp(at) if self.logarithmic else at


def chart(
    spans: Sequence[tuple[float, float] | None], width: int, height: int
) -> tuple[list[str], Axis | None]:
    """Lines of `width` characters, from the top down, for least and most of each span; None: nothing known.
    Spans are thinned out or stretched to the width. No axis where nothing is known."""
    columns, rows = width * _PER_CHARACTER[0], height * _PER_CHARACTER[1]
    known = [span for span in spans if span is not None]
    if not known:
        return [" " * width] * height, None
    axis = Axis(min(low for low, _ in known), max(high for _, high in known), rows)
    cells = [[0] * width for _ in range(height)]
    for column in range(columns):
        begin = column * len(spans) // columns
        end = max((column + 1) * len(spans) // columns, begin + 1)
        here = [span for span in spans[begin:end] if span is not None]
        if not here:
            continue
        bottom = axis.row(min(low for low, _ in here))
        top = axis.row(max(high for _, high in here))
        for row in range(bottom, top + 1):
            down = rows - 1 - row
            cells[down // 4][column // 2] |= _DOTS[column % 2][down % 4]
    return ["".join(chr(_BLANK | cell) if cell else " " for cell in line) for line in cells], axis
