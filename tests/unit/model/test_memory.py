"""The memory plan: nothing that lives at once overlaps, and the bound is never beaten."""

from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.model.compiler.memory import ALIGN, Lifetime, aligned, lay_out

LIVES = st.lists(
    st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        st.integers(1, 5000),
        st.integers(-1, 20),
        st.integers(0, 6),
    ),
    max_size=24,
)


@given(LIVES)
def test_lives_that_meet_do_not_overlap(lives: list[Lifetime]) -> None:
    layout = lay_out(lives)
    spans = [(at, at + life.size_bytes) for at, life in zip(layout.offsets, lives, strict=True)]
    for i, life in enumerate(lives):
        assert layout.offsets[i] % ALIGN == 0
        assert spans[i][1] <= layout.arena_bytes
        for k in range(i):
            if life.meets(lives[k]):
                assert spans[i][1] <= spans[k][0] or spans[k][1] <= spans[i][0]
    assert layout.lower_bound_bytes <= layout.arena_bytes <= sum(aligned(life.size_bytes) for life in lives)


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    sizes = [100, 400, 300, 50]
    lives = [Lifetime(size, i - 1, i) for i, size in enumerate(sizes)]
    layout = lay_out(lives)
    assert layout.lower_bound_bytes == 700
    assert layout.arena_bytes == aligned(400) + aligned(300)


def test_nothing_takes_nothing() -> None:
    assert lay_out([]).arena_bytes == 0
