"""Boxes under a height, moment by moment: what is alive has its place, what begins goes to an edge of a gap.

Of all the ways to go on, those with the largest gaps are kept, some thousand at most. That finds what orders
of whole boxes do not: models of a hundred ops whose arena is nearly full throughout. It proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyfleet.model.compiler.memory_search import Box

Alive = tuple[tuple[int, int, int, int], ...]
"""(offset, end, last moment, box) of what is alive, by offset."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """How a way came about: its latest box, and what came before."""

    box: int
    offset: int
    before: _Placed | None


def sweep(boxes: Sequence[Box], height: int, ways: int, *, backwards: bool = False) -> list[int] | None:
    """Offsets, or None when none of the `ways` that are kept comes to the end. Deterministic."""
    end = max(box.last for box in boxes)
    turned = [Box(b.size, end - b.last, end - b.first) for b in boxes] if backwards else list(boxes)
    order = sorted(range(len(boxes)), key=lambda i: (turned[i].first, -turned[i].last, -turned[i].size, i))
    now: dict[Alive, _Placed | None] = {(): None}
    for i in order:
        box = turned[i]
        ahead: dict[Alive, _Placed | None] = {}
        for alive, placed in now.items():
            left = tuple(one for one in alive if one[2] >= box.first)
            for offset in _edges(left, box.size, height):
                entry = (offset, offset + box.size, box.last, i)
                ahead.setdefault(tuple(sorted((*left, entry))), _Placed(i, offset, placed))
        if len(ahead) > ways:
            kept = sorted(ahead, key=lambda alive: (-_room(alive, height), alive))[:ways]
            ahead = {alive: ahead[alive] for alive in kept}
        now = ahead
    placed = next(iter(now.values()), None)
    if placed is None:
        return None
    offsets = [0] * len(boxes)
    while placed is not None:
        offsets[placed.box] = placed.offset
        placed = placed.before
    return offsets


def _gaps(alive: Alive, height: int) -> list[tuple[int, int]]:
    gaps = []
    at = 0
    for offset, end, _, _ in alive:
        if offset > at:
            gaps.append((at, offset))
        at = end
    if height > at:
        gaps.append((at, height))
    return gaps


def _edges(alive: Alive, size: int, height: int) -> list[int]:
    """Where a box may go: both ends of each gap that has room for it."""
    edges = []
    for start, end in _gaps(alive, height):
        if end - start >= size:
            edges.append(start)
        if end - start > size:
            edges.append(end - size)
    return edges


def _room(alive: Alive, height: int) -> int:
    """One large gap is worth more than two halves."""
    return sum((end - start) ** 2 for start, end in _gaps(alive, height))
