"""What the demo starts is on a leash: it ends when the demo does, and a killed demo's is found again."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.demo import programs
from examples.demo.chain import MARKER, empty_folder, expect_elf
from examples.demo.programs import Background, DemoError, Ending, Programs, Stopped, end_commands

from tinyfleet.fleet.adapters.process import started_ticks

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def any_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "COMMAND", [sys.executable])


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Background]:
    background = Background("sleeper", ["-c", SLEEP], tmp_path / "log", tmp_path)
    yield background
    background.stop()


def pids(state: Path) -> list[int]:
    return [int(path.stem.removeprefix("demo-")) for path in (state / "run").glob("demo-*.json")]


def test_a_command_ends_when_the_demo_does(tmp_path: Path) -> None:
    ending = Ending()
    timer = threading.Timer(0.3, lambda: setattr(ending, "wanted", True))
    timer.start()
    began_s = time.monotonic()
    with pytest.raises(Stopped):
        Programs(tmp_path, ending).run("-c", SLEEP)
    timer.join()
    assert time.monotonic() - began_s < 10
    assert pids(tmp_path) == []


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="did not end in time"):
        Programs(tmp_path, Ending()).run("-c", SLEEP, timeout_s=0.3)


def test_a_command_fails_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"^no such board; plug it in$"):
        Programs(tmp_path, Ending()).run("-c", "raise SystemExit('tinyfleet: no such board; plug it in')")


def test_what_a_killed_demo_left_is_ended_by_pid(tmp_path: Path, background: Background) -> None:
    (pid,) = pids(tmp_path)
    assert started_ticks(pid) is not None
    end_commands(tmp_path)
    assert started_ticks(pid) is None
    with pytest.raises(DemoError, match="SIGTERM; run the demo again"):
        background.check()


def test_an_empty_folder_keeps_what_no_demo_made(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DemoError, match="choose another"):
        empty_folder(tmp_path)
    (tmp_path / MARKER).touch()
    empty_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]


def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.demo.chain.FREE_BYTES_NEEDED", 1 << 60)
    with pytest.raises(DemoError, match=r"MB are free on the disk of .*; make room"):
        empty_folder(tmp_path / "demo")


@pytest.mark.parametrize("content", [None, b"", b"not a program"])
def test_firmware_that_is_none_is_told(tmp_path: Path, content: bytes | None) -> None:
    elf = tmp_path / "node.elf"
    if content is not None:
        elf.write_bytes(content)
    with pytest.raises(DemoError, match="make clean"):
        expect_elf(elf)
