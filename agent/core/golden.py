"""A golden set: model inputs with what they should give, and how many of them a board's flash holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.wire.limits import GOLDEN_DATA_OFFSET
from tinyfleet.wire.memory_map import MemoryMap

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """`windows`: the model's input bytes. `labels` and `expected` (output bytes), one a window, or none
    known. `value_bytes`: of a value of the output. `classes`: that the model chooses between, 0: it does
    something else. `scores`: of output values -128 to 127 in 1/256, none where values are wider."""

    windows: tuple[bytes, ...]
    labels: tuple[int, ...] | None = None
    expected: tuple[bytes, ...] | None = None
    value_bytes: int = 1
    classes: int = 0
    scores: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = {len(window) for window in self.windows}
        if len(sizes) != 1 or 0 in sizes:
            raise PlanError(
                f"the golden set has windows of {sorted(sizes)} bytes, expected one size", "make it again"
            )
        for name, column in (("labels", self.labels), ("expected outputs", self.expected)):
            if column is not None and len(column) != len(self.windows):
                raise PlanError(
                    f"the golden set has {len(column)} {name} for {len(self.windows)} windows",
                    "make it again",
                )

    @property
    def window_bytes(self) -> int:
        return len(self.windows[0])

    def first(self, count: int) -> GoldenSet:
        labels, expected = _first(self.labels, count), _first(self.expected, count)
        return replace(self, windows=self.windows[:count], labels=labels, expected=expected)

    def values(self, output: bytes) -> list[int]:
        """The values of an output, signed and little-endian."""
        width = self.value_bytes
        return [
            int.from_bytes(output[i : i + width], "little", signed=True) for i in range(0, len(output), width)
        ]

    def room_for(self, memory: MemoryMap) -> int:
        """How many of the first windows fit the board's golden region."""
        room = memory["golden"].size_bytes - GOLDEN_DATA_OFFSET
        return min(room // self.window_bytes, len(self.windows))


def _first(column: tuple[_T, ...] | None, count: int) -> tuple[_T, ...] | None:
    return None if column is None else column[:count]


def top_class(output: Sequence[int]) -> int:
    """The class with the highest score; the first of equals, as the node counts."""
    return max(range(len(output)), key=lambda i: (output[i], -i))
