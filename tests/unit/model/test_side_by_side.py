"""Two models in one process: each answers as it does alone, whatever the other does in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

import numpy as np
import pytest
from tests.unit.model.many import many
from tests.unit.model.single_ops import chain

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.twin import Twin
from tinyfleet.wire.enums import CoreVariant

WINDOWS = 8


def plans() -> list[bytes]:
    """Two models with every op between them, one packed for a core."""
    rng = np.random.default_rng(8)
    return [
        compile_model(chain(rng), ModelSpec("chain", "1", core=CoreVariant.DSP)),
        compile_model(many(rng), ModelSpec("many", "1")),
    ]


@pytest.fixture(scope="module")
def pair() -> list[Twin]:
    return [Twin(plan) for plan in plans()]


def windows(twin: Twin) -> list[bytes]:
    rng = np.random.default_rng(9)
    return [rng.bytes(twin.plan.input_bytes) for _ in range(WINDOWS)]


def answers(twin: Twin) -> list[list[bytes]]:
    """Of every op, of every window."""
    return [[made.tobytes() for _, made in twin.trace(window)] for window in windows(twin)]


def test_op_by_op_in_turns(pair: list[Twin]) -> None:
    alone = [answers(Twin(plan)) for plan in plans()]
    for i, both in enumerate(zip(*map(windows, pair), strict=True)):
        traces = (twin.trace(window) for twin, window in zip(pair, both, strict=True))
        made: list[list[bytes]] = [[], []]
        for steps in zip_longest(*traces):
            for k, step in enumerate(steps):
                if step is not None:
                    made[k].append(step[1].tobytes())
        assert made == [alone[0][i], alone[1][i]]


def test_at_the_same_time(pair: list[Twin]) -> None:
    """In two threads: calls into the runtime leave Python's lock, so they do run at once."""
    alone = [answers(twin) for twin in pair]

    def again(twin: Twin) -> list[list[list[bytes]]]:
        return [answers(twin) for _ in range(20)]

    with ThreadPoolExecutor(2) as pool:
        for k, rounds in enumerate(pool.map(again, pair)):
            assert all(made == alone[k] for made in rounds)


def test_one_plan_in_two_arenas() -> None:
    """The payload is shared and never written."""
    plan = plans()[0]
    twins = [Twin(plan), Twin(plan)]
    first, second = windows(twins[0])[:2]
    expected = [Twin(plan).run(first).tobytes(), Twin(plan).run(second).tobytes()]
    traces = [twins[0].trace(first), twins[1].trace(second)]
    last = [b"", b""]
    for steps in zip(*traces, strict=True):
        last = [made.tobytes() for _, made in steps]
    assert last == expected
    assert expected[0] != expected[1]
