"""Whether boxes fit under a height: an exact search with proof.

A box has a fixed place in time and is free in height. Any packing can be pressed down until every box stands
on another one or on the floor, and built by placing boxes in the order of their offsets: so it is enough to
try orders, each box as low as what stands below it allows. (The view is MiniMalloc's: Moffitt, "MiniMalloc: A
Lightweight Memory Allocator for Hardware-Accelerated Machine Learning", ASPLOS 2023; the code is ours.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Box(NamedTuple):
    """`size` high, over the moments `first` to `last`, both included."""

    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Answer:
    """offsets: None when none was found. at_least: no packing is lower, when the search ended by itself."""

    offsets: tuple[int, ...] | None
    at_least: int
    ended: bool


def fit(boxes: Sequence[Box], height: int, steps: int) -> tuple[Answer, int]:
    """(answer, steps used). Deterministic: it stops by a count of steps (a box looked at), not by a clock."""
    search = _Search(tuple(boxes), height, steps)
    moments = 1 + max(box.last for box in boxes)
    at_least = search.place((1 << len(boxes)) - 1, (0,) * moments)
    if at_least <= height and search.ended:
        offsets = tuple(search.offsets[i] for i in range(len(boxes)))
        return Answer(offsets, at_least, True), search.used
    return Answer(None, at_least, search.ended), search.used


@dataclass(slots=True)
class _Search:
    boxes: tuple[Box, ...]
    height: int
    steps: int
    used: int = 0
    ended: bool = True
    offsets: dict[int, int] = field(default_factory=dict)
    # What did not fit: (boxes left, floor) -> the height that it needs at least.
    failed: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)

    def place(self, left: int, floor: tuple[int, ...]) -> int:
        """The height that the boxes of the set `left` need at least on `floor`; within `height`: `offsets`
        says how they fit."""
        if left == 0:
            return 0
        needed = self._load(left, floor)
        if needed > self.height:
            return needed
        key = left, floor
        if key in self.failed:
            return self.failed[key]
        self.used += left.bit_count()
        if self.used > self.steps:
            self.ended = False
            return self.height + 1
        needed = self._try_all(left, floor)
        if needed > self.height and self.ended:
            self.failed[key] = needed
        return needed

    def _load(self, left: int, floor: tuple[int, ...]) -> int:
        """Of each moment: what stands and what is to come."""
        load = list(floor)
        for i in _members(left):
            box = self.boxes[i]
            for at in range(box.first, box.last + 1):
                load[at] += box.size
        return max(load)

    def _try_all(self, left: int, floor: tuple[int, ...]) -> int:
        lowest = {i: max(floor[self.boxes[i].first : self.boxes[i].last + 1]) for i in _members(left)}
        # Above this another box fits below: placing that first loses nothing.
        ceiling = min(at + self.boxes[i].size for i, at in lowest.items())
        # Long-lived first: tried on random layers with branches, this finds far more than large first.
        order = sorted(
            (at, self.boxes[i].first - self.boxes[i].last, -self.boxes[i].size, i)
            for i, at in lowest.items()
            if at < ceiling
        )
        seen: set[Box] = set()
        needed = 1 << 62
        for at, _, _, i in order:
            if self.boxes[i] in seen:
                continue
            seen.add(self.boxes[i])
            needed = min(needed, self._put(i, at, left, floor))
            if needed <= self.height or not self.ended:
                break
        return needed

    def _put(self, i: int, at: int, left: int, floor: tuple[int, ...]) -> int:
        box = self.boxes[i]
        rest = left & ~(1 << i)
        # Boxes come in the order of their offsets: what is left starts at `at` or above.
        risen = [max(level, at) for level in floor]
        risen[box.first : box.last + 1] = [at + box.size] * (box.last + 1 - box.first)
        self.offsets[i] = at
        needed = at + box.size
        for part, first, last in self._parts(rest):
            within = tuple(level if first <= k <= last else 0 for k, level in enumerate(risen))
            needed = max(needed, self.place(part, within))
            if needed > self.height:
                break
        return needed

    def _parts(self, left: int) -> list[tuple[int, int, int]]:
        """(boxes, first, last): sets that share no moment; each is a search of its own."""
        parts: list[tuple[int, int, int]] = []
        for i in sorted(_members(left), key=lambda i: self.boxes[i].first):
            box = self.boxes[i]
            if parts and box.first <= parts[-1][2]:
                members, first, last = parts[-1]
                parts[-1] = members | 1 << i, first, max(last, box.last)
            else:
                parts.append((1 << i, box.first, box.last))
        return parts


def _members(left: int) -> list[int]:
    members = []
    while left:
        bit = left & -left
        members.append(bit.bit_length() - 1)
        left ^= bit
    return members
