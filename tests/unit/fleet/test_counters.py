"""Cumulative counters: nothing lost, repeated or reordered changes a total; u32 wraps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.fleet.core.counters import CounterError, Delta, Snapshot, Verdict, advance, snapshot_of
from tinyfleet.fleet.core.order import newer, newer_number
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS, LATENCY_BUCKETS
from tinyfleet.wire.messages import Tele

U32 = 1 << 32


def tele(seq: int, *classes: int, **changes: object) -> Tele:
    total = sum(classes) % U32
    base = Tele(
        boot=1,
        epoch=1,
        seq=seq % U32,
        uptime_ms=seq,
        model=b"\x01" * 32,
        inferences=total,
        classes=tuple(c % U32 for c in classes),
        latency=(total, *(0,) * (LATENCY_BUCKETS - 1)),
        latency_sum_us=100 * sum(classes),
        confidence=(0,) * CONFIDENCE_BUCKETS,
        dropped=0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def delta_of(last: Snapshot | None, message: Tele) -> Delta:
    verdict, delta = advance(last, message)
    assert verdict is Verdict.NEW
    assert delta is not None
    return delta


def test_the_first_snapshot_of_an_epoch_counts_from_its_beginning() -> None:
    delta = delta_of(None, tele(7, 3, 4))
    assert (delta.inferences, delta.classes, delta.latency_sum_us) == (7, (3, 4), 700)


def test_a_repeated_one_and_an_older_one_add_nothing() -> None:
    last = snapshot_of(tele(5, 3, 4))
    assert advance(last, tele(5, 9, 9)) == (Verdict.DUPLICATE, None)
    assert advance(last, tele(4, 9, 9)) == (Verdict.LATE, None)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1), st.data())
def test_whatever_is_lost_the_total_is_that_of_the_last(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    sent, a, b = [], 0, 0
    for seq, (more_a, more_b) in enumerate(steps, 1):
        a, b = a + more_a, b + more_b
        sent.append(tele(seq, a, b))
    kept = [m for m in sent[:-1] if data.draw(st.booleans())] + [sent[-1]]
    repeated = [m for m in kept for _ in range(data.draw(st.integers(1, 2)))]
    last, totals = None, [0, 0]
    for message in repeated:
        _, delta = advance(last, message)
        if delta is not None:
            totals = [t + c for t, c in zip(totals, delta.classes, strict=True)]
            last = snapshot_of(message)
    assert totals == [a, b]


@given(st.integers(0, U32 - 1), st.integers(0, (1 << 31) - 1))
def test_counters_wrap(start: int, more: int) -> None:
    last = snapshot_of(tele(U32 - 1, start))
    message = replace(tele(1, start + more), latency_sum_us=last.latency_sum_us)
    assert delta_of(last, message).classes == (more,)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (tele(2, 4, 9), "class 0 went backwards"),
        (tele(2, 5, 5, inferences=1), "inferences went backwards"),
        (tele(2, 5, 5, model=b"\x02" * 32), "another model within one epoch"),
        (tele(2, 5, 5, 5), "number of classes changed"),
        (tele(2, 5, 5, latency_sum_us=0), "latency_sum_us went backwards"),
    ],
)
def test_counters_no_honest_node_sends_are_refused(message: Tele, words: str) -> None:
    with pytest.raises(CounterError, match=words):
        advance(snapshot_of(tele(1, 5, 1)), message)


@given(st.integers(0, U32 - 1), st.integers(1, (1 << 31) - 1))
def test_order_is_serial_arithmetic(number: int, ahead: int) -> None:
    later = (number + ahead) % U32
    assert newer_number(later, number)
    assert not newer_number(number, later)
    assert not newer_number(number, number)
    assert newer((later, 0), (number, U32 - 1))
    assert newer((number, later), (number, number))
    assert newer((number, 0), None)
