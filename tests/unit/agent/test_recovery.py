"""Bringing boards back, with boards that exist in memory only."""

from __future__ import annotations

import errno
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.servers import wait_for
from tests.unit.agent.fakes import FakeClock

from tinyfleet.agent.adapters import recovery_files
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
from tinyfleet.agent.core.pulse import Beat, ConsoleSeen, CoreSeen, Fault, judge
from tinyfleet.agent.core.recovery import Condition, Event, Limits, Patient
from tinyfleet.agent.core.tally import Metric
from tinyfleet.agent.services import heartbeat
from tinyfleet.agent.services.heartbeat import Bedside, Heartbeat
from tinyfleet.agent.services.ladder import Ladder
from tinyfleet.agent.services.ports import Console
from tinyfleet.agent.services.recovery import Recovery, Ward
from tinyfleet.agent.services.worker import BoardWorker

LIMITS = Limits(failures=2, window_s=1000.0, pause_first_s=10.0, pause_max_s=60.0)
C = Condition


class Counted:
    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        self.seen.append((metric.name, *labels.values()))

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        raise AssertionError("nothing to observe")


class Clock(FakeClock):
    """The wall goes with the rest."""

    def unix_s(self) -> int:
        return 1_700_000_000 + int(self.now_s)


@dataclass
class Board:
    """`cure` is the rung that helps. `done` is all that was done to it."""

    cure: str | None = None
    core: CoreSeen = CoreSeen.RUNNING
    alive: bool = True
    done: list[str] = field(default_factory=list)
    hang: threading.Event | None = None

    def do(self, what: str) -> None:
        self.done.append(what)
        self.alive = self.alive or what == self.cure

    # services.heartbeat.Cores
    def look(self, unique_id: str, part: str | None = None) -> CoreSeen:
        return CoreSeen.RUNNING if self.alive else self.core

    def reset(self, unique_id: str, part: str | None, *, under_connect: bool) -> None:
        self.do("under connect" if under_connect else "soft reset")

    # services.power_switch.PowerSwitch
    label = "a switch"
    off_s = 0.0

    def off(self) -> None:
        self.do("off")

    def on(self) -> None:
        self.do("on")
        if self.hang is not None:
            self.hang.set()


class AskedHeartbeat(Heartbeat):
    """Alive boards answer HELLO; others show their cores."""

    def __init__(self, boards: dict[str, Board]) -> None:
        self.boards = boards

    def ask(self, bed, expects, *, needs_probe=False, reprogrammed=False):  # type: ignore[no-untyped-def]
        board = self.boards[bed.board]
        console = ConsoleSeen.HELLO if board.alive else ConsoleSeen.SILENT
        return judge(
            expects,
            console,
            lambda: board.look(bed.board),
            needs_probe=needs_probe,
            reprogrammed=reprogrammed,
        )


class Leases:
    def __init__(self) -> None:
        self.others: set[str] = set()
        self.used: list[str] = []

    @contextmanager
    def use(
        self, board: str, what: str, wait_s: float = 0.0, hangs: Callable[[], bool] = lambda: False
    ) -> Iterator[Leases]:
        if board in self.others:
            raise BoardBusyError(f"{board} is reserved by somebody", "wait")
        self.used.append(board)
        yield self

    def check(self, step: str) -> None:
        """Never lost here."""


class Bench:
    def __init__(self, folder: Path, *, full: bool = True) -> None:
        self.clock, self.counted, self.leases = Clock(), Counted(), Leases()
        self.boards = {name: Board() for name in ("b1", "b2")}
        self.records = RecoveryFiles(folder)
        self.workers = {name: BoardWorker(name) for name in self.boards}
        self.told: list[tuple[str, Event]] = []
        self.recovery = Recovery(
            {name: self._ward(name, full) for name in self.boards},
            AskedHeartbeat(self.boards),
            self.records,
            self.leases,
            self.clock,
            self.counted,
            LIMITS,
            lambda board, event, patient, found: self.told.append((board, event)),
        )

    def _ward(self, name: str, full: bool) -> Ward:
        board = self.boards[name]
        bed = Bedside(
            name, name, 115_200, f"probe-{name}", None, self.workers[name], BoardWorker(f"{name} ear")
        )

        def reflash() -> str:
            board.do("reflash")
            return "programmed"

        ladder = Ladder(
            bed,
            board,
            board if full else None,
            reflash if full else None,
            lambda timeout_s: True,
            lambda pause_s: None,
        )
        return Ward(bed, ladder)

    def known_alive(self, board: str = "b1") -> None:
        self.recovery.answered(board)

    def watch_until(self, board: str, *states: Condition, recoveries: int = 0) -> Patient:
        """Rounds of the watch, each a second later by the clock."""

        def there() -> bool:
            self.recovery.watch()
            self.clock.now_s += 1.0
            patient = self.recovery.patient(board)
            return patient.state in states and patient.recoveries >= recoveries

        wait_for(f"{states}", there)
        return self.recovery.patient(board)


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


def test_the_history_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_files, "HISTORY_BYTES", 4096)
    records = RecoveryFiles(tmp_path)
    for number in range(1000):
        records.append("b1", {"at": number, "event": "BEAT", "cause": "ä" * 20})
    path = tmp_path / "b1.jsonl"
    assert path.stat().st_size <= 4096
    kept = [event["at"] for event in records.history("b1", 10_000)]
    assert kept == list(range(1000 - len(kept), 1000))
    assert len(kept) > 10
    with path.open("a") as file:
        file.write('{"at": 1')  # cut off by a crash
    assert records.history("b1", 1)[0]["at"] == 999


@pytest.mark.parametrize("text", ["", "{}", '{"state": "DANCING"}', "[1]", '{"state": 1}'])
def test_records_that_say_nothing_are_a_board_that_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "b1.json").write_text(text)
    assert RecoveryFiles(tmp_path).load("b1") == Patient()


def test_a_quarantine_is_not_forgotten_when_it_cannot_be_read_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files, say: what was known stays known, and is not written over."""
    banished = Patient(state=C.QUARANTINED, reason="smoke")
    RecoveryFiles(tmp_path).change("b1", lambda before: banished)
    records = RecoveryFiles(tmp_path)
    assert records.load("b1") == banished

    def no_more(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", no_more)
        assert records.load("b1") == banished
        seen = records.change("b1", lambda before: replace(before, recoveries=before.recoveries + 1))
        assert seen.state is C.QUARANTINED
    assert RecoveryFiles(tmp_path).load("b1").state is C.QUARANTINED


def test_all_that_is_known_survives_a_restart(tmp_path: Path) -> None:
    patient = Patient(
        state=C.PAUSED,
        since_s=1.5,
        expects=Beat.LINE,
        asked=False,
        needs_probe=True,
        failed=(1.0, 2.5),
        recoveries=3,
        rung=C.REFLASH,
        fault=Fault.CONSOLE,
        reason="ä",
        until_s=9.0,
    )
    RecoveryFiles(tmp_path).change("b1", lambda before: patient)
    assert RecoveryFiles(tmp_path).load("b1") == patient
    assert json.loads((tmp_path / "b1.json").read_text())["state"] == "PAUSED", "names, never numbers"


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
