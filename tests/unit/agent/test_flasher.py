"""Programming: what differs, read back, reset."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.unit.agent.fakes import FakeClock, FakeProbes, FlashSession

from tinyfleet.agent.core.errors import BoardBusyError, NoSuchBoardError, PlanError, StepFailed, StepTimeout
from tinyfleet.agent.core.flash_plan import plan_flash
from tinyfleet.agent.core.part_plan import plan_part
from tinyfleet.agent.core.program import Segment
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


def test_the_whole_plan_has_a_time_out_beside_its_steps(worker: BoardWorker) -> None:
    session, clock = FlashSession(blank()), FakeClock()

    def take_long(flash: bytearray) -> None:
        clock.now_s += 61

    session.spoil = take_long
    with pytest.raises(
        StepTimeout, match=r"b1: read back: not begun, as the 60 s for the whole plan are over"
    ):
        Flasher(FakeProbes({"p": session}), clock).flash(worker, "p", PLAN, timeout_s=60)
    assert (session.resets, session.closed) == (0, True)


def test_what_fails_in_the_probe_is_told_of_the_board(
    worker: BoardWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(address: int, size: int) -> bytes:
        raise StepFailed("usb-1234", "read", "the probe went away", "check the cable")

    session = FlashSession(blank())
    monkeypatch.setattr(session, "read", fail)
    with pytest.raises(StepFailed) as told:
        Flasher(FakeProbes({"p": session}), FakeClock()).flash(worker, "p", PLAN)
    assert str(told.value) == "b1: compare: the probe went away; check the cable"


def test_what_went_wrong_first_is_told(worker: BoardWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise StepFailed("p", "disconnect", "it is gone", "plug it in")

    session = FlashSession(blank(), lambda flash: flash.__setitem__(0x10000, 0x77))
    monkeypatch.setattr(session, "close", fail)
    flasher = Flasher(FakeProbes({"p": session}), FakeClock())
    with pytest.raises(StepFailed, match="b1: read back: 1 sectors"):
        flasher.flash(worker, "p", PLAN)
    session.spoil = lambda flash: None
    with pytest.raises(StepFailed, match="disconnect: it is gone"):
        flasher.flash(worker, "p", PLAN)


def test_a_part_without_a_layout_keeps_what_lies_around(worker: BoardWorker) -> None:
    flash = bytearray(range(256)) * 1024
    session = FlashSession(bytearray(flash))
    probes = FakeProbes({"p": session})
    plan = plan_part([Segment(0x7F0, b"x" * 0x20), Segment(0x3000, flash[0x3000:0x3010])], "lpc1768")
    report = Flasher(probes, FakeClock()).flash(worker, "p", plan)
    assert (report.units, report.written, session.programmed) == (3, 2, [0x400, 0x800])
    flash[0x7F0:0x810] = b"x" * 0x20
    assert session.flash == flash
    assert probes.parts == ["lpc1768"]
    with pytest.raises(PlanError, match="0x3fffe is no flash"):
        Flasher(probes, FakeClock()).flash(worker, "p", plan_part([Segment(0x3FFFE, b"abc")], None))
