"""How set-up runs commands: one telling line when one fails, and none goes on when it is stopped."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path

import pytest


def test_a_failing_command_tells_its_first_error(tmp_path: Path) -> None:
    report = importlib.import_module("report")
    script = "print('fine'); print('E: no such package'); print('bye'); raise SystemExit(100)"
    with pytest.raises(report.SetupError, match=r"E: no such package; run it by hand"):
        report.run([sys.executable, "-c", script], "run it by hand", tmp_path)


def test_a_command_that_is_not_there_is_one_error() -> None:
    report = importlib.import_module("report")
    with pytest.raises(report.SetupError, match="could not start"):
        report.run(["/nowhere/apt-get"], "install it")


def test_a_stopped_command_is_waited_for(tmp_path: Path) -> None:
    """What Ctrl-C interrupts may put its things in order first: here, by a file."""
    report = importlib.import_module("report")
    ready, order = tmp_path / "ready", tmp_path / "order"
    script = (
        "import pathlib, sys, time\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "try:\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path({str(order)!r}).touch()\n"
    )

    def interrupt() -> None:
        for _ in range(1000):
            if ready.exists():
                break
            threading.Event().wait(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        report.run([sys.executable, "-c", script], "")
    thread.join()
    assert order.exists()
