"""The agent as a program that runs for months: what fails on the way is told, and the rest goes on."""

from __future__ import annotations

import logging
import os
import pty
import stat
import threading
import tty
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers import wait_for
from tests.unit.agent.fakes import FakeHost, FakeProbes, FlashSession

from tinyfleet.agent.adapters import mqtt
from tinyfleet.agent.adapters.emulator import make_blank_flash
from tinyfleet.agent.config import Claim, Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.bench_run import Answer, RunResult, judge
from tinyfleet.agent.core.errors import (
    AgentError,
    BenchFileError,
    BoardBusyError,
    BoardGone,
    EmulatorError,
    NoSuchBoardError,
    StepFailed,
)
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.core.tally import RUNS
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services import watch
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench

BENCH = parse_bench("boards: [{name: one, device_type: microbit, probe: qemu-microbit-0001}]", "b")


def test_a_board_that_cannot_be_looked_at_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "WATCH_S", 0.01)
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    tries = 0

    def revive() -> dict[str, str]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise EmulatorError("board one: QEMU ended", "see its log")
        if tries < 6:
            raise StepFailed("probes", "list", "USB went away", "try again")
        stop.set()
        return {}

    stop = threading.Event()
    with Agent(BENCH, Folders(tmp_path)) as agent:
        monkeypatch.setattr(agent._emulated, "revive", revive)
        serving = threading.Thread(target=agent.serve, args=(stop,))
        with caplog.at_level(logging.WARNING):
            serving.start()
            serving.join(20)
        stop.set()
        serving.join(20)
    assert tries >= 6
    told = [record.getMessage() for record in caplog.records if record.name == watch.__name__]
    assert len(told) == 2, "told when it changes, not at every look"
    assert "QEMU ended" in told[0]
    assert "USB went away" in told[1]


def test_a_failure_nobody_thought_of_does_not_end_the_telling(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mqtt, "PAUSE_FIRST_S", 0.01)
    broker = mqtt.Broker("agent-1", "127.0.0.1", 9, "tf/1", "agent-1", "x")
    publisher = mqtt.Publisher(broker, Bench(seq=0, state=ConnState.ONLINE, boards=()))
    tries = 0

    def connect() -> None:
        nonlocal tries
        tries += 1
        raise ZeroDivisionError

    monkeypatch.setattr(publisher, "_client", connect)
    with caplog.at_level(logging.ERROR):
        publisher.start()
        try:
            wait_for("another try", lambda: tries >= 2)
        finally:
            publisher.stop()
    assert "cannot tell the manager" in caplog.text


@pytest.mark.parametrize(
    "name", ["device_type: äöüäöüäöüäöüäöüäöü", "probe: qemu-äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü"]
)
def test_what_no_message_could_carry_is_refused_with_the_file(name: str) -> None:
    """Texts on the wire are bounded in bytes."""
    board = {"device_type": "microbit", "probe": "qemu-microbit-0001"} | dict([name.split(": ")])
    text = f"boards:\n  - name: one\n    device_type: {board['device_type']}\n    probe: {board['probe']}\n"
    with pytest.raises(BenchFileError, match=r"b:[34]: .*bytes"):
        parse_bench(text, "b")


def test_a_flash_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Provisioning will write the device's password into it."""
    make_blank_flash(tmp_path / "flash.bin")
    assert stat.S_IMODE((tmp_path / "flash.bin").stat().st_mode) == 0o600


def test_two_programs_never_use_one_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    host = FakeHost(FakeProbes({"qemu-microbit-0001": FlashSession(bytearray())}))
    with (
        Agent(BENCH, Folders(tmp_path), Claim("ann")) as ann,
        Agent(BENCH, Folders(tmp_path), Claim("bob")) as bob,
    ):
        for agent in (ann, bob):
            monkeypatch.setattr(agent.inventory, "_host", host)
        until = ann.reserve("one", [], 600).until_unix_s
        (status,) = bob.refresh()
        assert (status.state, status.to_message().reserved_by) == (BoardState.READY, "ann")
        assert status.to_message().reserved_until == until

        def while_ann_works() -> None:
            (seen,) = bob.refresh()
            assert (seen.state, seen.to_message().reserved_by) == (BoardState.BUSY, "ann")
            with pytest.raises(BoardBusyError, match=r"one is reserved by ann .* and in use by ann \(run,"):
                bob._busy("one", None, lambda: pytest.fail("both at once"))

        ann._busy("one", RUNS, while_ann_works)
        with pytest.raises(BoardBusyError, match="one is reserved by ann"):
            bob._busy("one", None, lambda: pytest.fail("it is ann's"))
        assert bob.refresh()[0].state is BoardState.READY, "refused is not failed"
        with pytest.raises(NoSuchBoardError, match="no board of the bench has desk=3"):
            bob.reserve(None, ["desk=3"], 600)


class Cable:
    """A board's serial port, which can be pulled and plugged."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.plug()

    def plug(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.link.symlink_to(os.ttyname(slave))
        os.close(slave)

    def pull(self) -> None:
        self.link.unlink()
        os.close(self.master)


def test_a_cable_pulled_in_the_middle_of_a_run_is_told_and_noticed_and_so_is_its_coming_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    cable = Cable(tmp_path / "console")
    text = f"boards: [{{name: one, device_type: x, program: [tool], console: {cable.link}}}]"
    golden = GoldenSet((bytes(4),), expected=(bytes(4),))
    stop = threading.Event()
    with Agent(parse_bench(text, "b"), Folders(tmp_path)) as agent:
        serving = threading.Thread(target=agent.serve, args=(stop,), daemon=True)
        serving.start()
        try:
            wait_for("the board", lambda: agent.statuses()[0].state is BoardState.READY)

            def pull_when_it_is_spoken_to() -> None:
                os.read(cable.master, 1)
                cable.pull()

            pulling = threading.Thread(target=pull_when_it_is_spoken_to, daemon=True)
            pulling.start()
            with pytest.raises(BoardGone, match=rf"one: .*: no console {cable.link} any more"):
                agent.run("one", golden)
            pulling.join(10)
            wait_for("its absence", lambda: agent.statuses()[0].state is BoardState.ABSENT)
            assert agent.statuses()[0].detail == f"no console {cable.link}"
            cable.plug()
            wait_for("its return", lambda: agent.statuses()[0].state is BoardState.READY)
            os.close(cable.master)
        finally:
            stop.set()
            serving.join(10)


def test_what_a_run_found_out_is_not_lost_because_it_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have taken an hour, and the disk is full by then."""
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    golden = GoldenSet((bytes(4),), expected=(bytes(4),))
    answers = [Answer(bytes(4), 10)]
    found = judge(
        *(golden, answers),
        board="one",
        device_type="microbit",
        emulated=True,
        model=bytes(32),
        version="1",
        golden_digest=bytes(32),
        stored=0,
        elapsed_s=1.0,
        finished=0,
    )

    def run(*_: object, on_answers: Callable[[bytes, list[Answer]], None], **__: object) -> RunResult:
        on_answers(bytes(32), answers)
        return found

    def full(*_: object) -> None:
        raise AgentError("cannot count", "is there room?")

    folders = Folders(tmp_path)
    folders.runs.parent.mkdir(parents=True)
    folders.runs.write_text("no folder")
    with Agent(BENCH, folders) as agent:
        monkeypatch.setattr(
            agent.inventory, "_host", FakeHost(FakeProbes({"qemu-microbit-0001": FlashSession(bytearray())}))
        )
        monkeypatch.setattr(agent._runner, "run", run)
        monkeypatch.setattr(agent._bridges, "count", full)
        assert agent.run("one", golden) is found
        assert agent.statuses()[0].state is BoardState.READY
    assert "cannot count" in caplog.text and "cannot keep the result" in caplog.text
