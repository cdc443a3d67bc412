"""The demo is the whole chain: it checks each of its own steps through public doors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from tests.servers import processes_of

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 150


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "examples.demo", "--once", "--folder", str(folder)]


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A demo on its way, and what it prints."""
    with subprocess.Popen(
        command(folder), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            if process.poll() is None:
                process.terminate()


def read_until(output: IO[str], words: str) -> None:
    for line in output:
        if words in line:
            return
    pytest.fail(f"the demo never said {words!r}")


@pytest.mark.timeout(TIMEOUT_S + 30)
def test_the_whole_chain(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    energy = "✓ Its energy (simulated meter): simulated, made up: 12"
    for told in ("CONFIRMED 1.0.0", "CONFIRMED 2.0.0", "73 SIGNATURE", "byte for byte", energy):
        assert told in done.stdout
    assert "512 windows by edges of the window pin" in done.stdout
    assert not processes_of(folder)


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("do not touch")
    done = demo(tmp_path)
    assert done.returncode == 1
    assert "no demo made it; choose another with --folder" in done.stderr
    assert precious.read_text() == "do not touch"


def test_a_node_that_dies_ends_it_promptly_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running(folder) as (process, output):
        read_until(output, "✓ Two nodes online")
        os.kill(int((folder / "nodes" / "pasture-2" / "qemu.pid").read_text()), signal.SIGKILL)
        began_s = time.monotonic()
        _, said = process.communicate(timeout=TIMEOUT_S)
        assert time.monotonic() - began_s < 15
    assert process.returncode == 1
    assert said.startswith("demo: node pasture-2: QEMU ended by signal SIGKILL")
    assert len(said.splitlines()) == 1
    assert not processes_of(folder)


@pytest.mark.timeout(TIMEOUT_S + 60)
def test_one_at_a_time_and_what_a_killed_one_left_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running(folder) as (process, output):
        read_until(output, "✓ Two nodes online")
        second = demo(folder)
        assert second.returncode == 1
        assert "a demo runs in" in second.stderr
        read_until(output, "✓ Release 1")  # the second one touched nothing of the first
        process.kill()
    left = processes_of(folder)
    assert left
    with running(folder) as (process, output):
        read_until(output, "✓ Two nodes online")
        assert not left.keys() & processes_of(folder).keys()
        process.terminate()
        process.wait(TIMEOUT_S)
    assert not processes_of(folder)
