"""Where activations lie in the arena: lifetimes to offsets.

Offline bin packing is NP-hard; models are small. First fit is tried in a few orders (largest first is what
TFLM's greedy planner does) and the best kept, with the lower bound beside it: no plan can be smaller than the
bytes that live at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

ALIGN: Final = 16


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
    """`offsets` in the order of the lifetimes. `lower_bound_bytes`: most bytes that live at once."""

    offsets: tuple[int, ...]
    arena_bytes: int
    lower_bound_bytes: int


def aligned(size: int) -> int:
    return (size + ALIGN - 1) // ALIGN * ALIGN


def live_bytes(lifetimes: Sequence[Lifetime], at: int) -> int:
    return sum(life.size_bytes for life in lifetimes if life.first <= at <= life.last)


def lay_out(lifetimes: Sequence[Lifetime]) -> Layout:
    """The smallest arena that the tried orders give. Offsets are multiples of 16."""
    moments = {life.first for life in lifetimes}
    bound = max((live_bytes(lifetimes, at) for at in moments), default=0)
    orders: tuple[Callable[[Lifetime], tuple[int, ...]], ...] = (
        lambda life: (-life.size_bytes, life.first),
        lambda life: (life.first, -life.size_bytes),
        lambda life: (-life.size_bytes * (life.last - life.first + 1), life.first),
        lambda life: (life.first - life.last, -life.size_bytes),
    )
    best: tuple[int, tuple[int, ...]] | None = None
    for order in orders:
        ranked = sorted(range(len(lifetimes)), key=lambda i: (order(lifetimes[i]), i))
        arena, offsets = _first_fit(lifetimes, ranked)
        if best is None or arena < best[0]:
            best = arena, offsets
        if arena <= aligned(bound):
            break
    arena, offsets = best if best is not None else (0, ())
    return Layout(offsets, arena, bound)


def _first_fit(lifetimes: Sequence[Lifetime], ranked: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    arena = 0
    for i in ranked:
        life = lifetimes[i]
        taken = sorted((offsets[k], lifetimes[k].size_bytes) for k in placed if lifetimes[k].meets(life))
        at = 0
        for offset, size in taken:
            if at + life.size_bytes <= offset:
                break
            at = max(at, aligned(offset + size))
        offsets[i] = at
        arena = max(arena, aligned(at + life.size_bytes))
        placed.append(i)
    return arena, tuple(offsets)
