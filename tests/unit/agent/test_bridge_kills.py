"""The agent of a bridged board is killed before each of its operations on disk or board, once. What was begun
goes on or back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.agent.bridge_rig import (
    APP,
    BAD_APP,
    NEW_APP,
    Killed,
    Rig,
    bare,
    digest_of,
    payload,
    region_of,
    signed,
    signed_app,
)

from tinyfleet.agent.adapters import bridge_files
from tinyfleet.wire.enums import UpdateState

S = UpdateState
OLD, NEW = signed(payload("1")), signed(payload("2"))
BAD, THIRD = signed(payload("bad")), signed(payload("3"), counter=2)
NEWER, DEAD, LAST = signed_app(NEW_APP, 2), signed_app(BAD_APP, 3), signed_app(APP, 4)
Roads = Callable[[Rig], None]
"""Brings generations 1 to 3: two that pass, and one between them that is taken back."""


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the power does to a disk is not what dies here."""
    monkeypatch.setattr(bridge_files.os, "fsync", lambda handle: None)


def killed_at_each(
    folder: Path, new_rig: Callable[[Path], Rig], roads: Roads, settle_s: float, *, least: int
) -> Iterator[tuple[str, Rig]]:
    """Which operation it was, of more than `least`, and the rig after all of it. More than ten of the agents
    say, as they start again, what they were in the middle of."""
    whole = new_rig(folder / "whole")
    roads(whole)
    assert whole.told.count(S.CONFIRMED) == 2 and S.REVERTED in whole.told
    assert whole.plug.count > least
    noted = 0
    for at in range(1, whole.plug.count + 1):
        rig = new_rig(folder / str(at))
        rig.plug.at = at
        try:
            roads(rig)
        except Killed:
            rig.restart()
            noted += any("in the middle of update" in note for note in rig.broker.notes)
            rig.later(settle_s)
        rig.plug.at = None
        # The manager offers again what it has no success of.
        if rig.broker.want is None or rig.broker.want.generation < 3:
            roads(rig)
        rig.later(settle_s)
        left = [path.name for path in rig.folder.iterdir()]
        assert left == ["record.json"], f"killed at {at}: {left}"
        assert rig.record.state is S.CONFIRMED, f"killed at {at}"
        yield f"killed at {at}", rig
    assert noted > 10, "and says so"


def with_models(folder: Path) -> Rig:
    rig = Rig(folder)
    rig.board.flash = bare(OLD)
    rig.board.answers_wrong.add(digest_of(BAD))
    rig.begin()
    rig.plug.count = 0
    return rig


def roads_of_models(rig: Rig) -> None:
    for generation, image in ((1, NEW), (2, BAD), (3, THIRD)):
        rig.send(rig.broker.offer(generation, image))
        rig.later(12)


def test_models(tmp_path: Path) -> None:
    """It ends with the wanted model; in between no half image is ever called a model."""
    for where, rig in killed_at_each(tmp_path, with_models, roads_of_models, 40, least=40):
        assert rig.board.flash == bare(THIRD), where
        assert rig.record.counter == 2, where
        for birth in rig.broker.births:
            known = {digest_of(each) for each in (OLD, NEW, BAD, THIRD)}
            assert birth.model is None or birth.model.image in known, where


def with_apps(folder: Path) -> Rig:
    rig = Rig(folder)
    rig.board.flash = bare(OLD)
    rig.board.dead.add(BAD_APP)
    rig.begin()
    rig.plug.count = 0
    return rig


def roads_of_apps(rig: Rig) -> None:
    """The first with a model."""
    for generation, image, model in ((1, NEWER, NEW), (2, DEAD, None), (3, LAST, None)):
        rig.send(rig.broker.offer_firmware(generation, image, model))
        rig.later(12)


def test_apps(tmp_path: Path) -> None:
    """No board is left with half an app, or with one that is dead."""
    for where, rig in killed_at_each(tmp_path, with_apps, roads_of_apps, 60, least=50):
        assert rig.board.region == region_of(APP), where
        assert rig.board.flash == bare(NEW), where
        assert rig.record.firmware_counter == 4, where
        for birth in rig.broker.births:
            known = {None, *(digest_of(each) for each in (NEWER, LAST))}
            assert birth.firmware.image in known, where
