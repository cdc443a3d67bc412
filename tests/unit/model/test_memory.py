"""The memory plan: nothing that lives at once overlaps, no bound is beaten, small cases are exact."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.model.compiler import memory
from tinyfleet.model.compiler.memory import (
    ALIGN,
    Layout,
    Lifetime,
    aligned,
    lay_out,
    lower_bound,
    widest_gap,
)
from tinyfleet.model.compiler.memory_search import Box, fit
from tinyfleet.model.compiler.memory_sweep import sweep

# (size, first, last): 6 live at once, 7 are needed. One of 1.7 million random cases was like this.
GAP = (
    *((3, 5, 5), (1, 2, 4), (2, 6, 7), (1, 2, 4), (3, 7, 7)),
    *((1, 2, 6), (3, 1, 3), (1, 4, 6), (1, 4, 7)),
)


def lives_of(sizes: st.SearchStrategy[int], ops: int, most: int) -> st.SearchStrategy[list[Lifetime]]:
    one = st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        sizes,
        st.integers(-1, ops),
        st.integers(0, 6),
    )
    return st.lists(one, max_size=most)


def check(lives: list[Lifetime], layout: Layout) -> None:
    spans = [(at, at + life.size_bytes) for at, life in zip(layout.offsets, lives, strict=True)]
    for i, life in enumerate(lives):
        assert layout.offsets[i] % ALIGN == 0
        assert spans[i][1] <= layout.arena_bytes
        for k in range(i):
            if life.meets(lives[k]):
                assert spans[i][1] <= spans[k][0] or spans[k][1] <= spans[i][0]
    assert layout.live_bytes <= layout.lower_bound_bytes <= layout.arena_bytes
    assert layout.arena_bytes <= sum(aligned(life.size_bytes) for life in lives)
    assert layout.arena_bytes % ALIGN == 0


@given(lives_of(st.integers(1, 5000), 20, 24))
def test_lives_that_meet_do_not_overlap(lives: list[Lifetime]) -> None:
    check(lives, lay_out(lives, search_steps=300))


@given(lives_of(st.integers(1, 5).map(lambda units: units * ALIGN), 3, 5))
def test_small_cases_are_the_smallest_there_is(lives: list[Lifetime]) -> None:
    """Every packing, pressed down, is a first fit in the order of its offsets."""
    layout = lay_out(lives)
    check(lives, layout)
    best = min(top_of_first_fit(order) for order in permutations(lives)) if lives else 0
    assert layout.arena_bytes == layout.lower_bound_bytes == best


@given(lives_of(st.integers(1, 5000), 6, 8), st.integers(-1, 6))
def test_the_widest_gap_is_free_and_none_is_wider(lives: list[Lifetime], at: int) -> None:
    layout = lay_out([*lives, Lifetime(40, at, at)])
    offset, size_bytes = widest_gap(lives, layout, at)
    taken = np.zeros(layout.arena_bytes // ALIGN, bool)
    for life, begin in zip(lives, layout.offsets, strict=False):
        if life.first <= at <= life.last:
            taken[begin // ALIGN : (begin + aligned(life.size_bytes)) // ALIGN] = True
    runs = "".join("x" if unit else " " for unit in taken).split("x")
    assert size_bytes == ALIGN * max(map(len, runs)) >= 40
    assert offset % ALIGN == 0
    assert not taken[offset // ALIGN : (offset + size_bytes) // ALIGN].any()


def top_of_first_fit(lives: tuple[Lifetime, ...]) -> int:
    placed: list[tuple[int, Lifetime]] = []
    for life in lives:
        meeting = [(at, other) for at, other in placed if other.meets(life)]
        starts = [0, *(at + other.size_bytes for at, other in meeting)]
        lowest = min(
            start
            for start in starts
            if all(start >= at + other.size_bytes or at >= start + life.size_bytes for at, other in meeting)
        )
        placed.append((lowest, life))
    return max(at + life.size_bytes for at, life in placed)


def test_a_gap_that_no_order_closes_is_proven() -> None:
    lives = [Lifetime(size * ALIGN, first, last) for size, first, last in GAP]
    layout = lay_out(lives)
    check(lives, layout)
    assert layout.live_bytes == 6 * ALIGN
    assert layout.lower_bound_bytes == layout.arena_bytes == 7 * ALIGN
    unproven = lay_out(lives, search_steps=0)
    assert unproven.lower_bound_bytes == 6 * ALIGN
    assert unproven.gap_bytes > 0
    assert lower_bound(lives, 7 * ALIGN) == 7 * ALIGN
    assert lower_bound(lives, 6 * ALIGN) == 6 * ALIGN


def test_the_search_says_what_it_does_not_know() -> None:
    boxes = [Box(*box) for box in GAP]
    high = max(sum(b.size for b in boxes if b.first <= at <= b.last) for at in range(8))
    answer, used = fit(boxes, high, steps=20)
    assert answer.offsets is None
    assert not answer.ended
    assert used <= 20 + len(boxes)


@given(lives_of(st.integers(1, 40).map(lambda units: units * ALIGN), 12, 12), st.booleans())
def test_a_sweep_keeps_boxes_apart(lives: list[Lifetime], backwards: bool) -> None:
    if not lives:
        return
    # 0 is the first moment of a search.
    boxes = [Box(life.size_bytes // ALIGN, life.first + 1, life.last + 1) for life in lives]
    most = sum(box.size for box in boxes)
    offsets = sweep(boxes, most, 20, backwards=backwards)
    assert offsets is not None, "one on top of the other always fits"
    for i, (at, box) in enumerate(zip(offsets, boxes, strict=True)):
        assert 0 <= at <= most - box.size
        for k in range(i):
            if lives[i].meets(lives[k]):
                assert at + box.size <= offsets[k] or offsets[k] + boxes[k].size <= at
    assert sweep(boxes, max(box.size for box in boxes) - 1, 20, backwards=backwards) is None


def test_a_sweep_finds_what_the_search_has_no_steps_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of four sizes whose arena is full nearly throughout."""
    rng = np.random.default_rng(133)
    sizes = [int(rng.choice((96, 160, 224, 384))) * 16 for _ in range(60)]
    lives = [Lifetime(size, at, at + int(rng.integers(1, 7))) for at, size in enumerate(sizes)]
    layout = lay_out(lives)
    check(lives, layout)
    assert layout.gap_bytes == 0
    monkeypatch.setattr(memory, "_sweep", lambda *_: None)
    assert lay_out(lives).gap_bytes > 0


@pytest.mark.parametrize("seed", range(6))
def test_layers_with_branches_reach_the_bound(seed: int) -> None:
    """What models look like: each op reads its predecessor and sometimes one or two further back."""
    rng = np.random.default_rng(seed)
    ops = (10, 20, 40, 60, 90, 120)[seed]
    last = list(range(1, ops + 1))
    for op in range(1, ops):
        for _ in range(int(rng.choice((0, 0, 1, 1, 2)))):
            source = max(0, op - 1 - int(rng.exponential(3)))
            last[source] = max(last[source], op)
    lives = [Lifetime(int(rng.integers(1, 201)) * 16, at, end) for at, end in enumerate(last)]
    layout = lay_out(lives)
    check(lives, layout)
    assert layout.gap_bytes == 0
    assert lay_out(lives) == layout


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    sizes = [100, 400, 300, 50]
    lives = [Lifetime(size, i - 1, i) for i, size in enumerate(sizes)]
    layout = lay_out(lives)
    assert layout.live_bytes == 700
    assert layout.lower_bound_bytes == layout.arena_bytes == aligned(400) + aligned(300)


def test_nothing_takes_nothing() -> None:
    assert lay_out([]).arena_bytes == 0
