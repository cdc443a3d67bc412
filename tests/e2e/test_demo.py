"""The demo is the whole chain: it checks each of its own steps through public doors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import processes_of

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 150


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", "--once", "--folder", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.timeout(TIMEOUT_S + 30)
def test_the_whole_chain(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("CONFIRMED 1.0.0", "CONFIRMED 2.0.0", "73 SIGNATURE", "byte for byte"):
        assert told in done.stdout
    assert processes_of(folder) == []


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("do not touch")
    done = demo(tmp_path)
    assert done.returncode == 1
    assert "no demo made it; choose another with --folder" in done.stderr
    assert precious.read_text() == "do not touch"
