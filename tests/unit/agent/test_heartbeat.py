"""What a board shows of being alive, and whose fault it is when it shows nothing."""

from __future__ import annotations

import itertools
import threading

import pytest
from tests.unit.agent.fakes import FakeClock
from tests.unit.agent.recovery_rig import Board

from tinyfleet.agent.core.errors import NoSuchBoardError
from tinyfleet.agent.core.pulse import Beat, ConsoleSeen, CoreSeen, Fault, judge
from tinyfleet.agent.services import heartbeat
from tinyfleet.agent.services.heartbeat import Bedside, Heartbeat
from tinyfleet.agent.services.ports import Console
from tinyfleet.agent.services.worker import BoardWorker


def cases() -> list[tuple[Beat | None, ConsoleSeen, CoreSeen]]:
    return list(itertools.product([None, *Beat], ConsoleSeen, CoreSeen))


@pytest.mark.parametrize(("expects", "console", "core"), cases())
def test_a_verdict_for_whatever_is_seen(expects: Beat | None, console: ConsoleSeen, core: CoreSeen) -> None:
    asked: list[CoreSeen] = []

    def ask() -> CoreSeen:
        asked.append(core)
        return core

    verdict = judge(expects, console, ask)
    if console is ConsoleSeen.HELLO:
        assert verdict.beat is Beat.HELLO and not asked, "a probe is not disturbed without need"
    elif verdict.beat is not None:
        assert expects is not Beat.HELLO, "held to the answer it gave before"
        assert verdict.fault is None
    elif ConsoleSeen.IN_USE is console or core is CoreSeen.IN_USE:
        assert verdict.fault is None, "nobody can say"
    else:
        assert verdict.fault in (Fault.BOARD, Fault.PROBE, Fault.CONSOLE)
        assert verdict.cause
    if core in (CoreSeen.LOCKED_UP, CoreSeen.HALTED) and asked and verdict.beat is None:
        assert verdict.fault in (None, Fault.BOARD)


@pytest.mark.parametrize(
    ("console", "core", "reprogrammed", "fault"),
    [
        (ConsoleSeen.SILENT, CoreSeen.RUNNING, False, Fault.BOARD),
        (ConsoleSeen.SILENT, CoreSeen.RUNNING, True, Fault.CONSOLE),
        (ConsoleSeen.GONE, CoreSeen.RUNNING, False, Fault.CONSOLE),
        (ConsoleSeen.SILENT, CoreSeen.GONE, False, Fault.PROBE),
        (ConsoleSeen.GONE, CoreSeen.GONE, False, Fault.BOARD),
        (ConsoleSeen.SILENT, CoreSeen.FAILED, False, Fault.BOARD),
        (ConsoleSeen.SILENT, CoreSeen.LOCKED_UP, True, Fault.BOARD),
        (ConsoleSeen.SILENT, CoreSeen.IN_USE, False, None),
    ],
)
def test_what_is_dead_is_told_apart(
    console: ConsoleSeen, core: CoreSeen, reprogrammed: bool, fault: Fault | None
) -> None:
    assert judge(Beat.HELLO, console, lambda: core, reprogrammed=reprogrammed).fault is fault


class Spoken:
    """A console that writes `said` once it is open, and keeps what is written to it."""

    def __init__(self, clock: FakeClock, said: bytes) -> None:
        self.clock, self.said, self.written = clock, said, b""

    def open(self, address: str, baud: int) -> Spoken:
        return self

    def read(self, timeout_s: float) -> bytes:
        self.clock.now_s += timeout_s
        said, self.said = self.said, b""
        return said

    def write(self, data: bytes) -> None:
        self.written += data

    def set_baud(self, baud: int) -> None:
        """Never asked for."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("said", "expects", "core", "beat", "written"),
    [
        (b"23.5 C\n", Beat.LINE, CoreSeen.LOCKED_UP, Beat.LINE, False),
        (b"", Beat.LINE, CoreSeen.RUNNING, Beat.CORE, False),
        (b"", Beat.CORE, CoreSeen.RUNNING, Beat.CORE, False),
        (b"", Beat.LINE, CoreSeen.LOCKED_UP, None, False),
        (b"23.5 C\n", None, CoreSeen.RUNNING, Beat.LINE, True),
        (b"23.5 C\n", Beat.HELLO, CoreSeen.RUNNING, None, True),
    ],
)
def test_other_firmware_is_listened_to_and_not_asked(
    said: bytes, expects: Beat | None, core: CoreSeen, beat: Beat | None, written: bool
) -> None:
    clock, board = FakeClock(), Board(core=core, alive=False)
    console, worker, ear = Spoken(clock, said), BoardWorker("b1"), BoardWorker("b1 ear")
    bed = Bedside("b1", "b1", 115_200, "probe-b1", None, worker, ear)
    verdict = Heartbeat(console, board, clock).ask(bed, expects)
    assert verdict.beat is beat
    assert bool(console.written) is written
    for each in (worker, ear):
        each.close()


def test_a_console_whose_opening_hangs_is_gone_and_nobody_else_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that never comes back: the board is brought back by its probe, or ends in quarantine."""
    monkeypatch.setattr(heartbeat, "_OPEN_TIMEOUT_S", 0.05)
    never = threading.Event()

    class Stuck:
        def open(self, address: str, baud: int) -> Console:
            never.wait(60)
            raise NoSuchBoardError("no console", "plug it in")

    clock, board = FakeClock(), Board(core=CoreSeen.RUNNING, alive=False)
    worker, ear = BoardWorker("b1"), BoardWorker("b1 ear")
    bed = Bedside("b1", "b1", 115_200, "probe-b1", None, worker, ear)
    try:
        for _ in range(3):
            verdict = Heartbeat(Stuck(), board, clock).ask(bed, Beat.HELLO)
            assert (verdict.beat, verdict.fault) == (None, Fault.CONSOLE), verdict.cause
    finally:
        never.set()
        for each in (worker, ear):
            each.close()
