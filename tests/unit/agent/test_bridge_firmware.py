"""Firmware by a rollout for a bench board: its app is programmed by the agent, must answer as the one before
did, and is taken back where it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.agent.bridge_rig import (
    APP,
    APP_ROOM_BYTES,
    BAD_APP,
    NEW_APP,
    STRANGER,
    TWIN_APP,
    VECTORS,
    Rig,
    app_of,
    bare,
    digest_of,
    failed,
    payload,
    region_of,
    signed,
    signed_app,
)

from tinyfleet.agent.adapters import bridge_files
from tinyfleet.agent.adapters.bridge_files import BridgeFiles
from tinyfleet.agent.core.errors import CoreLockedUp
from tinyfleet.agent.services.bridge_ports import Look
from tinyfleet.wire.enums import ArtifactKind, Result, UpdateState
from tinyfleet.wire.image_format import FLAG_RAM_LOAD, FLAG_ROM_FIXED

S = UpdateState
FORWARD = [S.OFFERED, S.DOWNLOADING, S.VERIFIED, S.STAGED, S.TRIAL]
MODEL, NEXT_MODEL = signed(payload("1")), signed(payload("2"))
NEWER, BAD = signed_app(NEW_APP, counter=2), signed_app(BAD_APP, counter=3)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.board.flash = bare(MODEL)
    rig.begin()
    return rig


def test_an_app_is_programmed_asked_and_confirmed(rig: Rig) -> None:
    rig.send(rig.broker.offer_firmware(1, NEWER))
    assert rig.told == [*FORWARD, S.CONFIRMED]
    assert {status.kind for status in rig.broker.statuses} == {ArtifactKind.FIRMWARE}
    assert rig.board.region == region_of(NEW_APP)
    assert rig.board.asked == [vector.input for vector in VECTORS], "what its model answers is unchanged"
    birth = rig.broker.births[-1]
    runs = birth.firmware
    assert (runs.image, runs.version, runs.security_counter, runs.slot) == (digest_of(NEWER), "0.2.0", 2, 0)
    assert (birth.state, birth.result) == (S.CONFIRMED, Result.SUCCESS)
    (place,) = (slot for slot in birth.slots if slot.kind is ArtifactKind.FIRMWARE)
    assert (place.size_bytes, place.image) == (APP_ROOM_BYTES, digest_of(NEWER))
    assert birth.model is not None and birth.model.image == digest_of(MODEL)
    assert [path.name for path in rig.folder.iterdir()] == ["record.json"]
    assert rig.tallied.ended == ["CONFIRMED"]
    rig.send(rig.broker.offer_firmware(2, NEWER))
    assert rig.told[-1] is S.CONFIRMED and rig.board.programmed == 1, "what runs is not brought again"
    rig.restart()
    assert rig.broker.births[-1].firmware == runs, "another agent reads the app back, and knows it"


def wrong_vectors(rig: Rig) -> Result:
    rig.board.answers_wrong.add(digest_of(MODEL))
    return Result.GOLDEN_FAILED


def refused_model(rig: Rig) -> Result:
    program = rig.board.program_firmware

    def programmed(data: bytes) -> None:
        program(data)
        rig.board.refuses = {digest_of(MODEL): Result.ARENA_TOO_SMALL} if data == BAD_APP else {}

    rig.board.program_firmware = programmed  # type: ignore[method-assign]
    return Result.ARENA_TOO_SMALL


def dead(rig: Rig) -> Result:
    rig.board.dead.add(BAD_APP)
    return Result.BOOT_FAILED


def locks_up(rig: Rig) -> Result:
    program = rig.board.program_firmware

    def programmed(data: bytes) -> None:
        program(data)
        if data == BAD_APP:
            raise CoreLockedUp("one", "reset", "its program locked up the core", "flash another")

    rig.board.program_firmware = programmed  # type: ignore[method-assign]
    return Result.BOOT_FAILED


@pytest.mark.parametrize(
    "goes_wrong", [wrong_vectors, refused_model, dead, locks_up], ids=lambda each: each.__name__
)
def test_one_that_fails_is_taken_back(rig: Rig, goes_wrong: Callable[[Rig], Result]) -> None:
    result = goes_wrong(rig)
    rig.send(rig.broker.offer_firmware(1, BAD))
    assert rig.told == [*FORWARD, S.REVERTED]
    assert rig.broker.statuses[-1].result is result
    assert rig.board.region == region_of(APP)
    birth = rig.broker.births[-1]
    runs = birth.firmware
    assert (runs.version, runs.image, runs.security_counter) == ("0.1.0", None, 0)
    assert rig.record.firmware_counter == 0, "a trial raises nothing"
    assert [path.name for path in rig.folder.iterdir()] == ["record.json"]


def test_another_version_than_was_signed_is_not_what_was_wanted(rig: Rig) -> None:
    hello = rig.board.hello
    rig.board.hello = lambda **_: replace(hello(), app="bench 0.1.0")  # type: ignore[method-assign]
    rig.send(rig.broker.offer_firmware(1, NEWER))
    assert (rig.told[-1], rig.broker.statuses[-1].result) == (S.REVERTED, Result.BOOT_FAILED)
    assert "bench 0.1.0" in (rig.broker.statuses[-1].detail or "")


REFUSED = {
    "stranger": (signed_app(NEW_APP, key=STRANGER), Result.SIGNATURE),
    "unsigned": (signed_app(NEW_APP, key=None), Result.SIGNATURE),
    "model": (signed(payload("9")), Result.UNSUPPORTED_TYPE),
    "header": (signed_app(NEW_APP, header_bytes=1024), Result.UNSUPPORTED_TYPE),
    "copied": (signed_app(NEW_APP, flags=FLAG_RAM_LOAD), Result.UNSUPPORTED_TYPE),
    "elsewhere": (signed_app(NEW_APP, flags=FLAG_ROM_FIXED, load_addr=0x400), Result.UNSUPPORTED_TYPE),
    "origin": (signed_app(app_of("0.2.0", origin=0x400)), Result.UNSUPPORTED_TYPE),
    "abi": (signed_app(app_of("0.2.0", abi=77)), Result.UNSUPPORTED_TYPE),
    "cores": (signed_app(app_of("0.2.0", cores=4)), Result.UNSUPPORTED_TYPE),
    "large": (signed_app(NEW_APP.ljust(APP_ROOM_BYTES + 1)), Result.NO_FLASH),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_may_not_run_does_not_reach_the_board(rig: Rig, why: str) -> None:
    image, result = REFUSED[why]
    rig.send(rig.broker.offer_firmware(1, image))
    assert (rig.told[-1], rig.broker.statuses[-1].result) == (S.FAILED, result)
    assert rig.board.programmed == 0


def test_a_lower_counter_is_refused(rig: Rig) -> None:
    rig.send(rig.broker.offer_firmware(1, NEWER))
    rig.send(rig.broker.offer_firmware(2, signed_app(APP, counter=1)))
    assert (rig.told[-1], rig.broker.statuses[-1].result) == (S.FAILED, Result.DOWNGRADE)


def test_firmware_and_model_are_one_update(rig: Rig) -> None:
    rig.send(rig.broker.offer_firmware(1, NEWER, NEXT_MODEL))
    assert rig.told == [*FORWARD, *FORWARD, S.CONFIRMED]
    kinds = [status.kind for status in rig.broker.statuses if status.state is S.TRIAL]
    assert kinds == [ArtifactKind.FIRMWARE, ArtifactKind.MODEL]
    assert (rig.board.region, rig.board.flash) == (region_of(NEW_APP), bare(NEXT_MODEL))
    assert rig.tallied.ended == ["CONFIRMED"]


def test_a_firmware_that_drops_the_model_comes_with_another(rig: Rig) -> None:
    """Then the old model need not run on it; and if the new one fails, the firmware stays."""
    rig.board.answers_wrong.add(digest_of(MODEL))
    rig.send(rig.broker.offer_firmware(1, NEWER, NEXT_MODEL))
    assert rig.told[-1] is S.CONFIRMED
    rig.board.answers_wrong.add(digest_of(MODEL))
    rig.send(rig.broker.offer_firmware(2, signed_app(APP, counter=2), MODEL))
    assert (rig.told[-1], rig.broker.statuses[-1].kind) == (S.REVERTED, ArtifactKind.MODEL)
    assert (rig.board.region, rig.board.flash) == (region_of(APP), bare(NEXT_MODEL))


def test_a_board_without_a_model_gets_an_app(rig: Rig) -> None:
    rig.board.flash = None
    rig.bridge.take(Look())
    rig.settle()
    rig.send(rig.broker.offer_firmware(1, NEWER))
    assert rig.told[-1] is S.CONFIRMED and rig.board.asked == []


def test_an_app_that_somebody_flashed_is_told_by_its_own_word(rig: Rig) -> None:
    rig.send(rig.broker.offer_firmware(1, NEWER))
    rig.board.region = region_of(TWIN_APP)
    rig.bridge.take(Look())
    rig.settle()
    runs = rig.broker.births[-1].firmware
    assert (runs.image, runs.version, runs.security_counter) == (None, "0.2.0", 2)
    rig.send(rig.broker.offer_firmware(2, NEWER))
    assert rig.told[-1] is S.CONFIRMED and rig.board.region == region_of(NEW_APP), "so it is brought again"


def takes_only_the_bad_app(rig: Rig) -> list[bool]:
    """Until the list is cleared."""
    program, broken = rig.board.program_firmware, [True]

    def only_forward(data: bytes) -> None:
        if data[: len(BAD_APP)] != BAD_APP and broken:
            raise failed()
        program(data)

    rig.board.program_firmware = only_forward  # type: ignore[method-assign]
    return broken


def test_a_board_that_cannot_go_back_gets_its_app_when_it_can(rig: Rig) -> None:
    rig.board.dead.add(BAD_APP)
    broken = takes_only_the_bad_app(rig)
    births = len(rig.broker.births)
    rig.send(rig.broker.offer_firmware(1, BAD))
    rig.later(60)
    last = rig.broker.statuses[-1]
    assert (last.state, last.result) == (S.FAILED, Result.BOOT_FAILED)
    assert len(rig.broker.births) == births, "nobody knows what runs there"
    assert not rig.broker.up, "and the device is LOST"
    rig.restart()
    broken.clear()
    rig.later(130)
    assert rig.board.region == region_of(APP)
    assert not rig.record.owed
    rig.connect()
    assert rig.broker.births[-1].firmware.version == "0.1.0"
    assert [path.name for path in rig.folder.iterdir()] == ["record.json"]


def test_a_model_waits_until_the_app_is_right_again(rig: Rig) -> None:
    rig.board.answers_wrong.add(digest_of(MODEL))
    broken = takes_only_the_bad_app(rig)
    rig.send(rig.broker.offer_firmware(1, BAD))
    rig.later(30)
    assert rig.told[-1] is S.FAILED
    broken.clear()
    rig.board.answers_wrong.clear()
    rig.send(rig.broker.offer(2, NEXT_MODEL))
    rig.later(130)
    assert rig.told[-1] is S.CONFIRMED
    assert (rig.board.region, rig.board.flash) == (region_of(APP), bare(NEXT_MODEL))
    assert [path.name for path in rig.folder.iterdir()] == ["record.json"]


def test_an_app_that_was_changed_on_disk_is_not_put_back(rig: Rig) -> None:
    rig.board.answers_wrong.add(digest_of(MODEL))
    test = rig.board.test_firmware

    def tampered(image: bytes, questions: object) -> object:
        BridgeFiles(rig.folder).keep_previous(b"evil")
        return test(image, questions)  # type: ignore[arg-type]

    rig.board.test_firmware = tampered  # type: ignore[method-assign, assignment]
    rig.send(rig.broker.offer_firmware(1, BAD))
    rig.later(60)
    assert (rig.told[-1], rig.board.region) == (S.FAILED, region_of(BAD_APP))


def test_records_of_an_agent_that_brought_models_alone_are_read(rig: Rig) -> None:
    document = bridge_files.to_json(rig.record)
    for name in ("kind", "owed_kind", "ran", "app", "firmware_counter"):
        del document[name]
    assert bridge_files.record_of(document) == rig.record
