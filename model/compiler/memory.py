"""Where activations lie in the arena: lifetimes to offsets.

Finding the smallest arena is NP-hard; models are small. First fit in a few orders (largest first is what
TFLM's greedy planner does) with a few repairs nearly always reaches the lower bound: no plan can be smaller
than what lives at once. Where it does not, an exact search closes the gap or proves it, or a sweep over time
finds more; both within a number of steps, so that the same model gives the same plan on any machine.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from tinyfleet.model.compiler.memory_search import Box, fit
from tinyfleet.model.compiler.memory_sweep import sweep

ALIGN: Final = 16
SEARCH_STEPS: Final = 100_000
"""Some ten seconds of Python at most, with what follows, for one in a hundred models."""
SEARCH_STEPS_LEAST: Final = 4_000
WAYS: Final = (1000,)
WAYS_OF_BOUND: Final = (1000, 4000)
"""Kept at once, one after the other."""
NEAR_ENOUGH: Final = 200
"""A height that no search decides is not worth further ones within this part of the bound."""
SEARCH_BOXES: Final = 300
"""More are left to one first fit an order: all else takes their number squared, and the search goes a Python
call deeper for each."""
REPAIRS: Final = 25


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Memory used from op `first` to op `last`, both included; -1 is before the first op."""

    size_bytes: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Layout:
    """`offsets` in the order of the lifetimes.

    live_bytes: most bytes that live at once. lower_bound_bytes: no plan with offsets of multiples of 16 is
    smaller, as far as it is proven; equal to arena_bytes for a plan that cannot be better.
    """

    offsets: tuple[int, ...]
    arena_bytes: int
    live_bytes: int
    lower_bound_bytes: int

    @property
    def gap_bytes(self) -> int:
        """How much smaller another plan may be; 0: none is."""
        return self.arena_bytes - self.lower_bound_bytes


def aligned(size: int) -> int:
    return (size + ALIGN - 1) // ALIGN * ALIGN


def live_bytes(lifetimes: Sequence[Lifetime], at: int) -> int:
    return sum(life.size_bytes for life in lifetimes if life.first <= at <= life.last)


def fullest(lifetimes: Sequence[Lifetime]) -> tuple[int, list[int]]:
    """(most bytes that live at once, each filled to ALIGN; the moments at which they do)."""
    change: dict[int, int] = {}
    for life in lifetimes:
        change[life.first] = change.get(life.first, 0) + aligned(life.size_bytes)
        change[life.last + 1] = change.get(life.last + 1, 0) - aligned(life.size_bytes)
    moments = sorted(change)
    loads = list(accumulate(change[at] for at in moments))
    most = max(loads, default=0)
    return most, [at for at, load in zip(moments, loads, strict=True) if load == most]


def lay_out(lifetimes: Sequence[Lifetime], search_steps: int = SEARCH_STEPS) -> Layout:
    """The smallest arena found in `search_steps`. Offsets are multiples of 16."""
    offsets = [0] * len(lifetimes)
    arena = bound = 0
    steps = search_steps
    for group in _groups(lifetimes):
        boxes = _boxes([lifetimes[i] for i in group])
        tops, group_bound, used = _pack(boxes, steps)
        steps -= used
        group_arena = _height(boxes, tops)
        for i, at in zip(group, tops, strict=True):
            offsets[i] = at * ALIGN
        arena, bound = max(arena, group_arena * ALIGN), max(bound, group_bound * ALIGN)
    live = max((live_bytes(lifetimes, life.first) for life in lifetimes), default=0)
    return Layout(tuple(offsets), arena, live, bound)


def lower_bound(lifetimes: Sequence[Lifetime], arena_bytes: int) -> int:
    """What is proven of a plan that another call made: as Layout.lower_bound_bytes."""
    load = max((_load(_boxes([lifetimes[i] for i in group])) for group in _groups(lifetimes)), default=0)
    if load * ALIGN >= arena_bytes or len(lifetimes) > SEARCH_BOXES:
        return load * ALIGN
    return lay_out(lifetimes).lower_bound_bytes


def widest_gap(lifetimes: Sequence[Lifetime], layout: Layout, at: int) -> tuple[int, int]:
    """(offset, bytes) of the most room in the arena `at` a time beside `lifetimes`, the layout's first."""
    pieces = [
        (offset, offset + aligned(life.size_bytes))
        for life, offset in zip(lifetimes, layout.offsets, strict=False)
        if life.first <= at <= life.last
    ]
    best = (0, 0)
    free = 0
    for begin, end in (*sorted(pieces), (layout.arena_bytes, layout.arena_bytes)):
        if begin - free > best[1]:
            best = (free, begin - free)
        free = max(free, end)
    return best


def _groups(lifetimes: Sequence[Lifetime]) -> list[list[int]]:
    """Lifetimes that no other one links in time have nothing to do with each other: laid out alone."""
    groups: list[list[int]] = []
    end = -2
    for i in sorted(range(len(lifetimes)), key=lambda i: (lifetimes[i].first, i)):
        if lifetimes[i].first > end:
            groups.append([])
        groups[-1].append(i)
        end = max(end, lifetimes[i].last)
    return groups


def _boxes(lives: Sequence[Lifetime]) -> list[Box]:
    """Sizes in units of ALIGN; times are moments at which a lifetime begins: two that meet, meet there."""
    moments = sorted({life.first for life in lives})
    return [
        Box(
            aligned(life.size_bytes) // ALIGN,
            bisect_left(moments, life.first),
            bisect_right(moments, life.last) - 1,
        )
        for life in lives
    ]


def _load(boxes: Sequence[Box]) -> int:
    """The most that lives at once."""
    change = [0] * (2 + max(box.last for box in boxes))
    for box in boxes:
        change[box.first] += box.size
        change[box.last + 1] -= box.size
    return max(accumulate(change))


def _pack(boxes: list[Box], steps: int) -> tuple[Sequence[int], int, int]:
    """(offsets, proven lower bound, steps used)."""
    bound = _load(boxes)
    offsets = _first_fits(boxes, bound)
    used = 0
    # The bound itself first: it nearly always fits, or is quickly proven not to. Then halfway, and on from
    # there to what is known to fit; a height that took its share of the steps is left open.
    low, height = bound, _height(boxes, offsets)
    attempt = bound
    enough = 0
    while low < height - enough and used < steps and len(boxes) <= SEARCH_BOXES:
        answer, more = fit(boxes, attempt, max((steps - used) // 3, SEARCH_STEPS_LEAST))
        used += more
        found: Sequence[int] | None = answer.offsets
        if found is None and not answer.ended:
            found = _sweep(boxes, attempt, WAYS_OF_BOUND if attempt == bound else WAYS)
        if found is not None:
            offsets, height = found, _height(boxes, found)
        elif answer.ended:
            bound = low = max(bound, answer.at_least)
        else:
            low = attempt + 1
            enough = bound // NEAR_ENOUGH
        attempt = (low + height) // 2
    return offsets, bound, used


def _sweep(boxes: Sequence[Box], height: int, ways: Sequence[int]) -> list[int] | None:
    tries = ((each, backwards) for each in ways for backwards in (False, True))
    found = (sweep(boxes, height, each, backwards=backwards) for each, backwards in tries)
    return next((offsets for offsets in found if offsets is not None), None)


def _height(boxes: Sequence[Box], offsets: Sequence[int]) -> int:
    return max(at + box.size for box, at in zip(boxes, offsets, strict=True))


def _first_fits(boxes: Sequence[Box], bound: int) -> Sequence[int]:
    """The best of first fit in a few orders, each tried again with what stuck out on top placed first."""
    orders: tuple[Callable[[Box], tuple[int, ...]], ...] = (
        lambda box: (-box.size, box.first),
        lambda box: (-box.size * (box.last - box.first + 1), box.first),
        lambda box: (box.first, -box.size),
        lambda box: (box.first - box.last, -box.size),
    )
    few = len(boxes) <= SEARCH_BOXES
    best: Sequence[int] = _lowest_first(boxes) if few else ()
    for order in orders:
        ranked = sorted(range(len(boxes)), key=lambda i: (order(boxes[i]), i))
        for _ in range(REPAIRS if few else 1):
            if best and _height(boxes, best) == bound:
                return best
            offsets = _first_fit(boxes, ranked)
            height = _height(boxes, offsets)
            if not best or height < _height(boxes, best):
                best = offsets
            ranked.sort(key=lambda i: offsets[i] + boxes[i].size != height)
    return best


def _lowest_first(boxes: Sequence[Box]) -> list[int]:
    """Places what can stand lowest, the longest-lived and largest of those first."""
    floor = [0] * (1 + max(box.last for box in boxes))
    offsets = [0] * len(boxes)
    left = set(range(len(boxes)))

    def rank(i: int) -> tuple[int, int, int, int]:
        size, first, last = boxes[i]
        return max(floor[first : last + 1]), first - last, -size, i

    while left:
        at, _, _, i = min(map(rank, left))
        size, first, last = boxes[i]
        floor[first : last + 1] = [at + size] * (last - first + 1)
        offsets[i] = at
        left.remove(i)
    return offsets


def _first_fit(boxes: Sequence[Box], ranked: Sequence[int]) -> list[int]:
    offsets = [0] * len(boxes)
    placed: list[int] = []
    for i in ranked:
        box = boxes[i]
        taken = sorted(
            (offsets[k], boxes[k].size)
            for k in placed
            if boxes[k].first <= box.last and box.first <= boxes[k].last
        )
        at = 0
        for offset, size in taken:
            if at + box.size <= offset:
                break
            at = max(at, offset + size)
        offsets[i] = at
        placed.append(i)
    return offsets
