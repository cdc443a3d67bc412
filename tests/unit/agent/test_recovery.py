"""Bringing boards back, with boards that exist in memory only."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import wait_for
from tests.unit.agent.recovery_rig import Bench, C

from tinyfleet.agent.adapters.recovery_files import RecoveryFiles
from tinyfleet.agent.core.errors import (
    BoardBusyError,
    BoardGone,
    EmulatorError,
    MeterError,
    NoSuchBoardError,
    QuarantinedError,
    StepFailed,
    StepTimeout,
    SwitchRefused,
)
from tinyfleet.agent.core.faults import is_host_trouble, speaks_of_board
from tinyfleet.agent.core.pulse import Beat, CoreSeen, Fault
from tinyfleet.agent.core.recovery import Condition, Patient


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.recovery.close()
    for worker in bench.workers.values():
        worker.close()


@pytest.mark.parametrize(
    ("cure", "done", "rung"),
    [
        ("soft reset", ["soft reset"], C.SOFT_RESET),
        ("under connect", ["soft reset", "under connect"], C.UNDER_CONNECT),
        ("on", ["soft reset", "under connect", "off", "on"], C.POWER_CYCLE),
        ("reflash", ["soft reset", "under connect", "off", "on", "reflash"], C.REFLASH),
    ],
)
def test_the_ladder_is_climbed_as_far_as_needed(
    bench: Bench, cure: str, done: list[str], rung: Condition
) -> None:
    bench.known_alive()
    board = bench.boards["b1"]
    board.alive, board.cure = False, cure
    patient = bench.watch_until("b1", C.ALIVE, recoveries=1)
    wait_for("written down", lambda: bench.recovery.history("b1", 1)[0]["to"] == "ALIVE")
    assert board.done == done
    assert (patient.recoveries, patient.rung) == (1, rung)
    assert bench.boards["b2"].done == [], "a neighbour is not touched"
    assert bench.counted.seen[-1] == ("recoveries", "b1", rung.name, "OK")
    events = bench.recovery.history("b1", 100)
    assert all({"at", "event", "from", "to"} <= event.keys() for event in events)
    assert events[-1]["beat"] == "HELLO"


def test_what_a_board_does_not_have_is_skipped_and_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path, full=False)
    bench.known_alive()
    bench.boards["b1"].alive = False
    bench.watch_until("b1", C.QUARANTINED)
    wait_for("written down", lambda: bench.recovery.history("b1", 1)[0]["to"] == "QUARANTINED")
    assert set(bench.boards["b1"].done) == {"soft reset", "under connect"}
    skipped = [e["cause"] for e in bench.recovery.history("b1", 100) if e["event"] == "SKIPPED"]
    assert set(skipped) == {"it has no power switch", "bench.yaml names no known_good for it"}
    with pytest.raises(QuarantinedError, match=r"in quarantine: board dead: 2 climbs .* its core runs"):
        bench.recovery.admit("b1")
    # From then on it is left alone.
    done = list(bench.boards["b1"].done)
    for _ in range(5):
        bench.recovery.watch()
        bench.clock.now_s += 3600.0
    assert bench.boards["b1"].done == done
    bench.recovery.pardon("b1")
    bench.recovery.admit("b1")
    bench.recovery.close()


def test_a_board_that_somebody_else_has_is_waited_for(bench: Bench) -> None:
    bench.known_alive()
    board = bench.boards["b1"]
    board.alive, board.cure = False, "soft reset"
    bench.recovery.failed("b1", StepFailed("b1", "hello", "silent", "look"), by_probe=False)
    bench.leases.others.add("b1")
    for _ in range(30):
        bench.recovery.watch()
        bench.clock.now_s += 1.0
        assert bench.recovery.patient("b1").state is C.WEDGED
    assert board.done == []
    with pytest.raises(BoardBusyError):
        bench.recovery.recover("b1")
    bench.leases.others.clear()
    bench.watch_until("b1", C.ALIVE)
    assert board.done == ["soft reset"]


def test_a_board_that_never_lived_is_not_held_to_anything(bench: Bench) -> None:
    """Blank flash, or whatever somebody halts on purpose."""
    board = bench.boards["b1"]
    board.alive, board.core = False, CoreSeen.LOCKED_UP
    bench.recovery.failed("b1", StepFailed("b1", "hello", "silent", "look"), by_probe=False)
    assert bench.recovery.patient("b1").state is C.UNKNOWN
    bench.recovery.died("b1", "QEMU ended")
    assert bench.recovery.patient("b1").state is C.UNKNOWN
    bench.recovery.programmed("b1")
    for _ in range(40):
        bench.recovery.watch()
        bench.clock.now_s += 1.0
    wait_for("it was looked at", lambda: bench.recovery.patient("b1").asked)
    assert bench.recovery.patient("b1").state is C.UNKNOWN
    assert board.done == []
    # Unless somebody asks.
    assert bench.recovery.recover("b1").state is C.PAUSED
    done = ["soft reset", "under connect", "off", "on", "reflash"]
    assert board.done == done
    # And once is once: it may be blank.
    bench.clock.now_s += 3600.0
    for _ in range(5):
        bench.recovery.watch()
        bench.clock.now_s += 1.0
    assert board.done == done
    bench.recovery.programmed("b1")
    assert bench.recovery.patient("b1").state is C.UNKNOWN


def test_a_failed_flash_is_not_answered_by_the_console_alone(bench: Bench) -> None:
    """HELLO says nothing of a probe that fails."""
    bench.known_alive()
    board = bench.boards["b1"]
    board.core = CoreSeen.FAILED
    bench.recovery.failed("b1", StepTimeout("b1", "program", "no end", "look"), by_probe=True)
    board.look = lambda unique_id, part=None: CoreSeen.FAILED  # type: ignore[method-assign]
    patient = bench.watch_until("b1", C.QUARANTINED)
    assert patient.fault is Fault.PROBE
    assert patient.reason is not None and patient.reason.startswith("probe dead: ")


def test_a_call_that_hangs_in_the_probe_is_ended_from_beneath(bench: Bench) -> None:
    bench.known_alive()
    board = bench.boards["b1"]
    board.alive, board.cure, board.hang = False, "on", threading.Event()
    with pytest.raises(StepTimeout):
        bench.workers["b1"].call("program", 0.05, board.hang.wait, 60)
    # The lease of whoever ran that is kept for the call.
    bench.leases.others.add("b1")
    bench.recovery.failed("b1", StepTimeout("b1", "program", "no end", "look"), by_probe=True)
    bench.watch_until("b1", C.ALIVE, C.PAUSED)
    wait_for("written down", lambda: bench.recovery.history("b1", 1)[0]["to"] in ("ALIVE", "PAUSED"))
    assert board.done == ["off", "on"], "no other call on that probe"
    causes = [e["cause"] for e in bench.recovery.history("b1", 20) if e["event"] == "SKIPPED"]
    assert causes == ["an earlier call hangs in its probe"] * 2
    assert not bench.workers["b1"].hangs()


def test_what_cannot_be_freed_ends_in_quarantine(tmp_path: Path) -> None:
    bench = Bench(tmp_path, full=False)
    bench.known_alive()
    board, never = bench.boards["b1"], threading.Event()
    board.alive = False
    with pytest.raises(StepTimeout):
        bench.workers["b1"].call("program", 0.05, never.wait, 60)
    bench.leases.others.add("b1")
    bench.recovery.failed("b1", StepTimeout("b1", "program", "no end", "look"), by_probe=True)
    bench.watch_until("b1", C.QUARANTINED)
    assert board.done == []
    never.set()
    bench.recovery.close()


def test_a_full_disk_neither_stops_recovery_nor_is_the_boards_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench.known_alive()
    before = len(bench.recovery.history("b1", 100))
    full = True

    def held(self: RecoveryFiles, board: str):  # type: ignore[no-untyped-def]
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return held_before(self, board)

    held_before = RecoveryFiles._held
    monkeypatch.setattr(RecoveryFiles, "_held", held)
    board = bench.boards["b1"]
    board.alive, board.cure = False, "soft reset"
    patient = bench.recovery.recover("b1")
    assert (patient.state, patient.recoveries) == (C.ALIVE, 1)
    assert bench.records.lost_lines == 3
    full = False
    bench.known_alive()
    assert RecoveryFiles(tmp_path).load("b1").recoveries == 1, "written once there is room"
    assert len(bench.recovery.history("b1", 100)) == before

    error = NoSuchBoardError("cannot lock the console", "look")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_host_trouble(error)
    assert not speaks_of_board(error)
    bench.recovery.failed("b1", error, by_probe=False)
    assert bench.recovery.patient("b1").state is C.ALIVE
    noted = bench.recovery.history("b1", 1)[0]
    assert (noted["event"], noted["fault"]) == ("NOTED", "HOST")


def test_a_rung_that_was_left_is_begun_anew(bench: Bench) -> None:
    """The program ended while it climbed."""
    bench.known_alive()
    board = bench.boards["b1"]
    board.alive, board.cure = False, "under connect"
    left = Patient(state=C.POWER_CYCLE, expects=Beat.HELLO, failed=(1.0,))
    bench.records.change("b1", lambda patient: left)
    bench.watch_until("b1", C.ALIVE)
    assert board.done == ["soft reset", "under connect"]


def test_a_pause_ends_although_the_clock_was_set_back(bench: Bench) -> None:
    """A host without a battery may think for a moment that it is another year."""
    bench.known_alive()
    board = bench.boards["b1"]
    board.alive = False
    year_s = 365 * 24 * 3600.0
    bench.clock.now_s += year_s
    assert bench.recovery.recover("b1").state is C.PAUSED
    bench.clock.now_s -= year_s
    board.alive = True
    bench.watch_until("b1", C.ALIVE)


def test_a_person_ends_a_climb(bench: Bench) -> None:
    bench.known_alive()
    board = bench.boards["b1"]
    board.alive = False
    reset = board.reset

    def reset_and_quarantine(unique_id: str, part: str | None, *, under_connect: bool) -> None:
        reset(unique_id, part, under_connect=under_connect)
        bench.recovery.quarantine("b1", "smoke")

    board.reset = reset_and_quarantine  # type: ignore[method-assign]
    assert bench.recovery.recover("b1").state is C.QUARANTINED
    assert board.done == ["soft reset"]
    with pytest.raises(QuarantinedError, match="in quarantine: smoke"):
        bench.recovery.recover("b1")


def test_only_steps_on_a_board_speak_of_it() -> None:
    assert speaks_of_board(StepFailed("b1", "hello", "silent", "look"))
    assert not speaks_of_board(EmulatorError("no QEMU", "install it"))
    assert not speaks_of_board(BoardBusyError("in use", "wait"))
    assert not speaks_of_board(BoardGone("b1", "infer", "no probe any more", "plug it in"))
    assert not speaks_of_board(SwitchRefused("b1", "power off", "a neighbour's", "look"))


def test_a_meter_that_is_unplugged_is_written_down_and_the_board_left_alone(bench: Bench) -> None:
    bench.known_alive()
    error = MeterError("b1", "measure", "it is silent", "plug it in")
    assert not speaks_of_board(error)
    bench.recovery.failed("b1", error, by_probe=False)
    assert bench.recovery.patient("b1").state is C.ALIVE
    noted = bench.recovery.history("b1", 1)[0]
    assert (noted["event"], noted["fault"], noted["to"]) == ("NOTED", "METER", "ALIVE")
