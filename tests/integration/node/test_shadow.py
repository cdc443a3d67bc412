"""A challenger beside the active model on an emulated node: both are counted as the host twins say."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from tests.models import LIVESTOCK, livestock

from tinyfleet.model.twin import Twin
from tinyfleet.wire.enums import EventKind, Result, UpdateState
from tinyfleet.wire.messages import Birth, Comparison, Event, Status, Tele

pytestmark = [pytest.mark.qemu, pytest.mark.broker]
WINDOWS = 64


def challenge(manager: Any, active: Any, challenger: Any, generation: int) -> Status:
    """The last status of a want for both, however it ends."""
    manager.blob(active.blob)
    manager.blob(challenger.blob)
    shadow = challenger.blob.wanted(image=challenger.digest, version=challenger.version)
    manager.want(active.want(generation, shadow=shadow))
    status: Status = manager.wait(
        Status,
        lambda s: (
            s.generation == generation
            and s.state >= UpdateState.CONFIRMED
            and (s.state, s.result) != (UpdateState.SHADOW, Result.INITIAL)
        ),
    )
    return status


def comparisons(manager: Any, windows: int) -> list[Comparison]:
    """All that the node sent, until one counts so many windows."""
    manager.wait(Tele, lambda t: t.shadow is not None and t.shadow.windows >= windows)
    return [t.shadow for t in manager.heard(Tele) if t.shadow is not None]


def classes_of(payload: bytes) -> list[int]:
    """What the host twin says of each recorded window."""
    twin = Twin(payload)
    with np.load(LIVESTOCK / "replay.npz") as stored:
        return [int(np.argmax(twin.run_raw(window))) for window in stored["windows"]]


def expected(active: list[int], challenger: list[int], first: int, windows: int) -> dict[Any, int]:
    """Windows by pair of classes, of so many in a row from window `first` on; the recording repeats."""
    counts: dict[Any, int] = {}
    for i in range(first, first + windows):
        pair = (active[i % WINDOWS], challenger[i % WINDOWS])
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def counted(comparison: Comparison) -> dict[Any, int]:
    assert comparison.rest == 0  # four classes make twelve pairs
    pairs = {(pair.active, pair.challenger): pair.windows for pair in comparison.pairs}
    assert comparison.agreements + sum(pairs.values()) == comparison.windows
    return pairs


def test_two_models_side_by_side_are_counted_as_the_twins_do(
    node: Any, manager: Any, first: Any, second: Any
) -> None:
    assert challenge(manager, first, second, 1).state is UpdateState.SHADOW
    assert node.read("model_a", len(first.image)) == first.image
    assert node.read("model_b", len(second.image)) == second.image
    birth = manager.wait(Birth, lambda b: b.state is UpdateState.SHADOW and b.result is Result.SUCCESS)
    assert (birth.model.image, birth.shadow.image, birth.shadow.slot) == (first.digest, second.digest, 1)
    assert birth.shadow_bytes == birth.arena_bytes - 912

    ours, theirs = classes_of(livestock("v1", vectors=8)), classes_of(livestock("v2", vectors=8))
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 6
    said = comparisons(manager, 2 * WINDOWS + 10)
    assert {each.model for each in said} == {second.digest} and {each.run for each in said} == {1}
    # Whichever window it began with: it explains every snapshot, or the counts are wrong.
    begins = [
        first_window
        for first_window in range(WINDOWS)
        if all(
            counted(each)
            == {
                pair: n
                for pair, n in expected(ours, theirs, first_window, each.windows).items()
                if pair[0] != pair[1]
            }
            for each in said
        )
    ]
    assert begins, said
    assert (said[-1].skipped, said[-1].missed) == (0, 0)
    tele = manager.heard(Tele)[-1]
    assert (tele.model, tele.dropped) == (first.digest, 0)

    # A power cut: it goes on from its slot, with its golden vectors first and counts from 0.
    node.emulator.kill()
    manager.forget()
    node.start()
    manager.wait(
        Birth, lambda b: b.boot == 2 and b.state is UpdateState.SHADOW and b.result is Result.SUCCESS
    )
    node.console(r"shadow: 214 golden vectors passed")
    again = comparisons(manager, 5)[-1]
    assert (again.run, again.model) == (1, second.digest)

    # Promotion: nothing is fetched; the trial comes now.
    manager.want(second.want(2))
    manager.wait(Status, lambda s: s.generation == 2 and s.state is UpdateState.CONFIRMED)
    states = [s.state for s in manager.heard(Status) if s.generation == 2]
    assert UpdateState.DOWNLOADING not in states and UpdateState.TRIAL in states
    details = [s.detail for s in manager.heard(Status) if s.generation == 2]
    assert "this update ended the shadow challenger" in details
    told = manager.wait(Event, lambda e: e.kind is EventKind.LOG)
    assert told.model == second.digest and "an update ended the shadow challenger" in told.text
    tele = manager.wait(Tele, lambda t: t.model == second.digest)
    assert tele.shadow is None
    birth = manager.wait(Birth, lambda b: b.generation == 2 and b.state is UpdateState.CONFIRMED)
    assert birth.shadow is None and birth.model.image == second.digest


def test_what_does_not_fit_beside_the_active_model_is_refused(
    node: Any, manager: Any, first: Any, make_release: Any
) -> None:
    large = bytearray(livestock("v2", vectors=2))
    large[12:16] = (65520).to_bytes(4, "little")  # the arena: alone it would fit
    cases = (
        (make_release(bytes(large), "2.0.1"), Result.ARENA_TOO_SMALL, "both arenas together"),
        (
            make_release(livestock("v2", vectors=2, rate_mhz=50_000), "2.0.2"),
            Result.INPUT_MISMATCH,
            "does not fit",
        ),
    )
    for generation, (challenger, result, words) in enumerate(cases, 1):
        status = challenge(manager, first, challenger, generation)
        assert (status.state, status.result) == (UpdateState.REVERTED, result), status
        assert words in (status.detail or "")
        birth = manager.wait(
            Birth,
            lambda b: b.generation == generation and b.state is UpdateState.REVERTED,  # noqa: B023
        )
        assert birth.model.image == first.digest and birth.shadow is None
    newest = manager.wait(Tele, lambda t: t.model == first.digest).inferences
    tele = manager.wait(Tele, lambda t: t.inferences > newest)
    assert tele.shadow is None and tele.model == first.digest


def test_a_challenger_is_stopped_and_started_again_without_a_byte(
    node: Any, manager: Any, first: Any, second: Any
) -> None:
    assert challenge(manager, first, second, 1).state is UpdateState.SHADOW
    comparisons(manager, 3)
    manager.want(first.want(2))
    manager.wait(Status, lambda s: s.generation == 2 and s.state is UpdateState.CONFIRMED)
    manager.wait(Birth, lambda b: b.generation == 2 and b.shadow is None)
    manager.forget()
    assert challenge(manager, first, second, 3).state is UpdateState.SHADOW
    assert UpdateState.DOWNLOADING not in [s.state for s in manager.heard(Status)]
    assert next(islice(comparisons(manager, 3), 1)).run == 2
