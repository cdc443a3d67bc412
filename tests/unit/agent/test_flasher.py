"""Programming: what differs, read back, reset."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.unit.agent.fakes import FakeClock, FakeProbes, FlashSession

from tinyfleet.agent.core.errors import BoardBusyError, NoSuchBoardError, StepFailed, StepTimeout
from tinyfleet.agent.core.flash_plan import plan_flash
from tinyfleet.agent.services.flasher import Flasher
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.memory_map import MICROBIT

PLAN = plan_flash(MICROBIT, model=bytes(range(256)) * 10, golden=b"golden")


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("b1")
    yield worker
    worker.close()


def blank() -> bytearray:
    return bytearray(b"\xff" * MICROBIT.size_bytes)


def test_a_blank_board_gets_everything_and_then_nothing(worker: BoardWorker) -> None:
    session = FlashSession(blank())
    flasher = Flasher(FakeProbes({"p": session}), FakeClock())
    steps: list[tuple[str, float]] = []
    report = flasher.flash(worker, "p", PLAN, lambda step, part: steps.append((step, part)))
    assert (report.sectors, report.written, report.size_bytes) == (4, 4, 2566)
    assert session.flash[0x10000 : 0x10000 + 2560] == bytes(range(256)) * 10
    assert session.flash[0x28000:0x28006] == b"golden"
    assert session.flash[:0x10000] == b"\xff" * 0x10000
    assert [step for step, _ in steps if step != "program"] == ["compare", "read back", "reset", "reset"]
    assert ("program", 1.0) in steps
    assert (session.resets, session.closed) == (1, True)

    again = flasher.flash(worker, "p", PLAN)
    assert (again.sectors, again.written) == (4, 0)
    assert session.resets == 2


def test_only_the_changed_sector_is_programmed(worker: BoardWorker) -> None:
    session = FlashSession(blank())
    flasher = Flasher(FakeProbes({"p": session}), FakeClock())
    flasher.flash(worker, "p", PLAN)
    session.flash[0x10401] ^= 1
    session.programmed.clear()
    assert flasher.flash(worker, "p", PLAN).written == 1
    assert session.programmed == [0x10400]


def test_flash_that_does_not_hold_is_found_and_the_board_not_started(worker: BoardWorker) -> None:
    def spoil(flash: bytearray) -> None:
        flash[0x10007] = 0x55

    session = FlashSession(blank(), spoil)
    with pytest.raises(StepFailed, match=r"b1: read back: 1 sectors.* 0x10007: expected 07.*, got 55"):
        Flasher(FakeProbes({"p": session}), FakeClock()).flash(worker, "p", PLAN)
    assert (session.resets, session.closed) == (0, True)


def test_no_probe(worker: BoardWorker) -> None:
    with pytest.raises(NoSuchBoardError):
        Flasher(FakeProbes({}), FakeClock()).flash(worker, "p", PLAN)


def test_a_probe_that_hangs_is_one_clear_error_and_closed_when_it_wakes(
    worker: BoardWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinyfleet.agent.services.flasher.PROGRAM_TIMEOUT_S", 0.05)
    session = FlashSession(blank())
    wake, closed = threading.Event(), threading.Event()
    session.spoil = lambda flash: wake.wait(10) and None
    monkeypatch.setattr(session, "close", closed.set)
    flasher = Flasher(FakeProbes({"p": session}), FakeClock())
    with pytest.raises(StepTimeout, match=r"b1: program: no end within 0\.05 s"):
        flasher.flash(worker, "p", PLAN)
    with pytest.raises(BoardBusyError):
        flasher.flash(worker, "p", PLAN)
    assert not closed.is_set()
    wake.set()
    assert closed.wait(5)
