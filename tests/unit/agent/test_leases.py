"""Leases of real programs: killed, stopped, waiting, at work at once; and files that cannot be used."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.servers import wait_for

from tinyfleet.agent.adapters import file_lock, lease_files
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.lease_files import LeaseFiles
from tinyfleet.agent.adapters.tally_file import TallyFile
from tinyfleet.agent.core import leases as core_leases
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import BoardBusyError, LeaseError, StepFailed
from tinyfleet.agent.core.leases import SILENT_MS, Hold
from tinyfleet.agent.core.tally import LEASE_WAIT_SECONDS
from tinyfleet.agent.leasing import hardware_of
from tinyfleet.agent.services.leases import BRIEF, BoardLeases

TIMEOUT_S = 30
CHILD = """
import sys
from pathlib import Path
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.lease_files import LeaseFiles
from tinyfleet.agent.adapters.tally_file import TallyFile
from tinyfleet.agent.services.leases import BRIEF, BoardLeases

folder, holder = Path(sys.argv[1]), sys.argv[2]
leases = BoardLeases(LeaseFiles(folder), holder, TallyFile(folder / "tally.json"), SystemClock())
"""
HOLD = "\nwith leases.use('b1', 'flash', 60):\n    print('has it', flush=True)\n    sys.stdin.read()\n"
# Two at once would find each other's file.
WORK = """
mark = folder / "at_work"
for _ in range(int(sys.argv[3])):
    with leases.use("b1", "flash", 60):
        mark.touch(exist_ok=False)
        mark.unlink()
leases.close()
"""


class Programs:
    """Programs of their own that use boards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def start(self, text: str, holder: str, *arguments: str) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, "-c", CHILD + text, str(self.folder), holder, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(program)
        return program

    def end(self) -> None:
        for program in self.running:
            program.kill()
            program.communicate(timeout=TIMEOUT_S)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(tmp_path)
    yield programs
    programs.end()


Making = Callable[..., BoardLeases]


@pytest.fixture
def leases_of(tmp_path: Path) -> Iterator[Making]:
    with contextlib.ExitStack() as ends:

        def make(
            holder: str, table: LeaseFiles | None = None, on_wait: Callable[[str], None] = lambda told: None
        ) -> BoardLeases:
            counting = TallyFile(tmp_path / "tally.json")
            leases = BoardLeases(
                *(table or LeaseFiles(tmp_path), holder, counting, SystemClock()), on_wait=on_wait
            )
            ends.callback(leases.close)
            return leases

        yield make


def says(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline()


def refused(leases: BoardLeases, told: str = "b1 is", wait_s: float = 0.0) -> None:
    with pytest.raises(BoardBusyError, match=told), leases.use("b1", "run", wait_s):
        pass


def queue(leases: BoardLeases) -> tuple[str, ...]:
    return leases.of("b1").waiting


def test_the_board_of_a_killed_program_is_free_at_once_and_goes_to_the_first_in_the_queue(
    programs: Programs, leases_of: Making
) -> None:
    here = leases_of("eve")
    first = programs.start(HOLD, "ann")
    assert says(first) == "has it\n"
    refused(here, rf"in use by ann \(flash, process {first.pid}, for .*--wait")
    second = programs.start(HOLD, "bob")
    wait_for("bob's ticket", lambda: queue(here) == ("bob",))
    third = programs.start(HOLD, "cid")
    wait_for("cid's ticket", lambda: queue(here) == ("bob", "cid"))
    fourth = programs.start(HOLD, "dan")
    wait_for("dan's ticket", lambda: queue(here) == ("bob", "cid", "dan"))
    second.send_signal(signal.SIGKILL)
    wait_for("bob's place to be given up", lambda: queue(here) == ("cid", "dan"))
    first.send_signal(signal.SIGKILL)
    assert says(third) == "has it\n"
    assert (here.of("b1").holder, queue(here)) == ("cid", ("dan",))
    third.communicate(timeout=TIMEOUT_S)
    assert says(fourth) == "has it\n"


def test_programs_that_want_one_board_use_it_one_after_another(
    programs: Programs, leases_of: Making, tmp_path: Path
) -> None:
    at_work = [programs.start(WORK, holder, "5") for holder in ("ann", "ann", "bob")]
    assert [program.wait(TIMEOUT_S) for program in at_work] == [0, 0, 0]
    assert leases_of("eve").of("b1").hold is Hold.FREE
    ((_, _, series),) = TallyFile(tmp_path / "tally.json").read().all()
    assert sum(series.buckets) == 15
    assert list((tmp_path / "programs").iterdir()) == []


def test_a_reservation_outlives_its_program_and_lets_its_holder_through(leases_of: Making) -> None:
    ann, again, bob = leases_of("ann"), leases_of("ann"), leases_of("bob")
    until = ann.reserve(["b1"], 600).until_unix_s
    ann.close()
    with again.use("b1", "flash"):
        refused(leases_of("ann"), "reserved by ann until .* and in use")
    with pytest.raises(BoardBusyError, match="b1 is reserved by ann until"):
        bob.reserve(["b1"], 600)
    held = again.renew("b1", 3600)
    assert held.until_unix_s is not None and until is not None and held.until_unix_s >= until + 2990
    with pytest.raises(BoardBusyError, match="bob has no reservation of b1"):
        bob.release("b1")
    with pytest.raises(BoardBusyError, match="bob has no reservation of b2"):
        bob.renew("b2", 60)
    assert bob.release("b1", force=True) == "ann"
    assert bob.reserve(["b1", "b2"], 1).board == "b1"
    with pytest.raises(LeaseError, match="1 s to 24 h"):
        bob.renew("b1", 25 * 3600)


def test_a_thread_may_use_again_what_it_uses(leases_of: Making) -> None:
    ann = leases_of("ann")
    with ann.use("b1", "flash") as outer:
        with ann.use("b1", "recover") as inner:
            assert inner is outer
        assert ann.of("b1").what == "flash"
    assert ann.of("b1").hold is Hold.FREE


def test_waiting_ends_and_leaves_no_ticket(leases_of: Making) -> None:
    told: list[str] = []
    ann, bob = leases_of("ann"), leases_of("bob", on_wait=told.append)
    with ann.use("b1", "flash"):
        refused(bob, wait_s=0.3)
        assert [each.partition(" (")[0] for each in told] == ["waiting: b1 is in use by ann"]
        assert queue(ann) == ()


def test_a_program_that_stood_still_loses_the_board_and_notices_before_its_next_step(
    leases_of: Making, tmp_path: Path
) -> None:
    table = LeaseFiles(tmp_path)
    ann, bob = leases_of("ann", table), leases_of("bob")
    with ann.use("b1", "flash") as lease:
        lease.check("program")
        # As after a minute in which the program was stopped.
        program = table._program
        assert program is not None
        with program._beating:
            program._last_ms -= SILENT_MS
            program._write(program._last_ms)
        with bob.use("b1", "run"):
            with pytest.raises(StepFailed, match="b1: verify: not begun: this program stood still"):
                lease.check("verify")
            program._last_ms += SILENT_MS
            program._life += 1
            with pytest.raises(StepFailed):
                lease.check("verify")
        assert bob.of("b1").hold is Hold.FREE
    with ann.use("b1", "flash") as lease:
        lease.check("program")


def test_a_program_that_stood_still_does_not_take_its_own_board_a_second_time(
    leases_of: Making, tmp_path: Path
) -> None:
    """It goes on with all of its threads at once, the one that is at work on the board among them."""
    table = LeaseFiles(tmp_path)
    ann, recovery = leases_of("ann", table), leases_of("recovery", table)
    with ann.use("b1", "flash"):
        program = table._program
        assert program is not None
        with program._beating:
            program._last_ms -= SILENT_MS
            program._write(program._last_ms)
        refused(recovery)
        assert ann.of("b1").holder == "ann"
    with recovery.use("b1", "recovery"):
        pass


def test_beats_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lease_files, "BEAT_S", 0.01)
    table = LeaseFiles(tmp_path)
    path = tmp_path / "programs" / table.process()
    first = path.read_bytes()
    wait_for("another beat", lambda: path.read_bytes() != first)
    assert table.life() == 0
    table.close()
    assert not path.exists()


def test_a_beat_that_comes_too_late_ends_what_was_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_files, "BEAT_S", 0.01)
    table = LeaseFiles(tmp_path)
    table.process()
    program = table._program
    assert program is not None
    with program._beating:
        program._last_ms -= SILENT_MS
    wait_for("the next beat", lambda: table.life() is not None)
    assert table.life() == 1
    table.close()


def test_what_hangs_keeps_its_board_until_it_is_over(leases_of: Making) -> None:
    ann, hangs = leases_of("ann"), True
    with ann.use("b1", "flash", hangs=lambda: hangs):
        pass
    refused(leases_of("bob"))
    hangs = False
    assert ann.of("b1").hold is Hold.FREE


def test_a_full_disk_keeps_no_board(
    leases_of: Making, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = LeaseFiles(tmp_path)
    ann = leases_of("ann", table)

    def full(leases: object) -> None:
        raise LeaseError("cannot write", "is there room?")

    with ann.use("b1", "flash"):
        monkeypatch.setattr(table, "_write", full)
    assert "given back later: cannot write" in caplog.text
    assert ann.of("b1").hold is Hold.USED
    monkeypatch.undo()
    assert ann.of("b1").hold is Hold.FREE


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "holds no leases"),
        ("[]", "holds no leases"),
        (json.dumps({"version": 9, "leases": {}}), "is of version 9"),
    ],
)
def test_a_table_that_cannot_be_read_gives_nobody_a_board(
    leases_of: Making, tmp_path: Path, content: str, complaint: str
) -> None:
    ann = leases_of("ann")
    ann.reserve(["b1"], 60)
    (tmp_path / "leases.json").write_text(content)
    with pytest.raises(LeaseError, match=complaint), ann.use("b1", "flash"):
        pass


def test_nobody_waits_for_ever_for_the_lock(
    leases_of: Making, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "TIMEOUT_S", 0.05)
    ann = leases_of("ann")
    table = LeaseFiles(tmp_path)
    with table._locked(), pytest.raises(LeaseError, match="a stopped program has it"), ann.use("b1", "flash"):
        pass


def test_a_program_whose_file_cannot_be_read_is_not_taken_for_dead(
    leases_of: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = leases_of("ann"), leases_of("bob")
    bob.reserve(["b2"], 60)

    def too_many(path: object, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(24, "Too many open files")
        return real(path, flags, mode)  # type: ignore[arg-type]

    real = os.open
    with ann.use("b1", "flash"):
        monkeypatch.setattr(lease_files.os, "open", too_many)
        with pytest.raises(LeaseError, match="Too many open files"), bob.use("b1", "flash"):
            pass
        monkeypatch.undo()


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """Where sysfs tells of a J-Link, whose node in /dev is a file."""
    device = tmp_path / "sys" / "1-2"
    device.mkdir(parents=True)
    for name, value in (("serial", "000683459357"), ("busnum", "1"), ("devnum", "42")):
        (device / name).write_text(value + "\n")
    node = tmp_path / "dev" / "001" / "042"
    node.parent.mkdir(parents=True)
    node.touch()
    return node


def elsewhere(tmp_path: Path, name: str) -> BoardLeases:
    """A program with a state folder of its own, where the same probe has another board's name."""
    bench = parse_bench(
        f"boards: [{{name: {name}, device_type: x, probe: '683459357', console: /dev/c}}]", "b"
    )
    hardware = hardware_of(bench, tmp_path / "sys", tmp_path / "dev")
    table, counting = LeaseFiles(tmp_path / name), TallyFile(tmp_path / name / "tally.json")
    return BoardLeases(table, "ann", counting, SystemClock(), hardware=hardware)


def test_a_probe_at_work_is_locked_for_programs_that_know_nothing_of_these_leases(
    probe: Path, tmp_path: Path
) -> None:
    first, second = elsewhere(tmp_path, "here"), elsewhere(tmp_path, "there")
    hangs = True
    with first.use("here", "flash", hangs=lambda: hangs):
        with pytest.raises(BoardBusyError, match=r"there: its probe is in use .*001/042 is locked"):
            second.use("there", "flash").__enter__()
        assert second.of("there").hold is Hold.FREE
    with pytest.raises(BoardBusyError):
        second.use("there", "flash").__enter__()
    hangs = False
    assert first.of("here").hold is Hold.FREE
    with second.use("there", "flash", wait_s=5):
        pass
    probe.unlink()
    with first.use("here", "flash"):
        pass
    first.close()
    second.close()


def test_a_program_that_waits_gets_the_probe_when_it_is_let_go(probe: Path, tmp_path: Path) -> None:
    first, second = elsewhere(tmp_path, "here"), elsewhere(tmp_path, "there")
    work = first.use("here", "flash")
    work.__enter__()
    second._pause = lambda seconds: work.__exit__(None, None, None)
    with second.use("there", "flash", wait_s=30):
        assert first.of("here").hold is Hold.FREE
    first.close()
    second.close()


STOPPED = """
from tinyfleet.agent.adapters import file_lock, lease_files
lease_files.BEAT_S, lease_files._SURE_MS = 0.02, 500
with leases.use("b1", "flash") as lease:
    print("has it", flush=True)
    sys.stdin.readline()
    try:
        lease.check("verify")
    except Exception as error:
        print(error, flush=True)
"""


def test_a_program_that_is_stopped_loses_its_board_and_does_not_go_on_with_it(
    programs: Programs, leases_of: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_leases, "SILENT_MS", 1000)
    monkeypatch.setattr(lease_files, "BEAT_S", 0.02)
    here = leases_of("eve")
    stopped = programs.start(STOPPED, "ann")
    assert says(stopped) == "has it\n"
    stopped.send_signal(signal.SIGSTOP)
    try:
        wait_for("the board", lambda: here.of("b1").hold is Hold.FREE)
        with here.use("b1", "run"):
            stopped.send_signal(signal.SIGCONT)
            told, _ = stopped.communicate("go on\n", timeout=TIMEOUT_S)
            assert "b1: verify: not begun: this program stood still" in told
            assert here.of("b1").holder == "eve", "what it gave back at its end was not its own any more"
    finally:
        stopped.send_signal(signal.SIGCONT)


def test_names_of_holders_are_short_and_plain(leases_of: Making) -> None:
    for name in ("", "a b", "x" * 33, "ü", "a\n"):
        with pytest.raises(LeaseError, match="is no name of a holder"):
            leases_of(name)
    assert leases_of("ci/runner-7@host:3").holder == "ci/runner-7@host:3"


def test_leftovers_of_killed_programs_are_swept(tmp_path: Path) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "1-dead").write_text("0" * 20)
    table = LeaseFiles(tmp_path)
    other = LeaseFiles(tmp_path)
    names = {table.process(), other.process()}
    assert {path.name for path in (tmp_path / "programs").iterdir()} == names
    table.close()
    other.close()


def test_waits_are_counted(leases_of: Making, tmp_path: Path) -> None:
    with leases_of("ann").use("b1", "flash"):
        pass
    ((metric, labels, series),) = TallyFile(tmp_path / "tally.json").read().all()
    assert (metric, labels, series.buckets[0]) == (LEASE_WAIT_SECONDS, ("b1",), 1)


def test_what_is_over_in_a_moment_is_waited_for_and_nothing_else(tmp_path: Path, leases_of: Making) -> None:
    """The agent looks after a board by itself: nobody's command fails for that."""
    agent = leases_of("agent")
    for what, waits in ((BRIEF, True), ("flash", False)):
        with contextlib.ExitStack() as used:
            used.enter_context(agent.use("b1", what))
            person = BoardLeases(
                *(LeaseFiles(tmp_path), "ann", TallyFile(tmp_path / "tally.json"), SystemClock()),
                pause=lambda seconds, end=used.close: end(),  # type: ignore[misc]
            )
            if waits:
                with person.use("b1", "run"):
                    assert agent.of("b1").what == "run"
            else:
                refused(person)
            person.close()
    agent.reserve(["b1"], 60)
    with agent.use("b1", BRIEF):
        refused(leases_of("bob"), "reserved by agent")
