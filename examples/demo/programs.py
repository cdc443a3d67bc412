"""Runs the command `tinyfleet` as a person would, and keeps what runs in the background on a leash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "tinyfleet"]
STOP_S = 15.0
POLL_S = 0.02


class DemoError(Exception):
    """A step did not do what it should; the text says what happened and what to do."""


def wait_until(ready: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Polls `ready`. Raises DemoError at the time-out."""
    end = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() >= end:
            raise DemoError(f"{what} did not happen within {timeout_s:g} s")
        time.sleep(POLL_S)


def tinyfleet(*arguments: str | Path, state: Path, timeout_s: float = 60.0) -> str:
    """One command to its end; its output. Raises DemoError with the command's own words."""
    words = [str(word) for word in arguments]
    try:
        done = subprocess.run(
            [*COMMAND, *words],
            env={**os.environ, "TINYFLEET_STATE": str(state)},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"`tinyfleet {' '.join(words[:2])}` took over {timeout_s:g} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise DemoError(said.removeprefix("tinyfleet: "))
    return done.stdout


def tinyfleet_json(*arguments: str | Path, state: Path, timeout_s: float = 60.0) -> Any:
    """One command with `--json`; the value it printed."""
    return json.loads(tinyfleet(*arguments, "--json", state=state, timeout_s=timeout_s))


class Background:
    """One `tinyfleet` command that stays up, its output in a log. Ended by its pid."""

    def __init__(self, name: str, arguments: list[str | Path], log: Path, state: Path) -> None:
        self._name = name
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*COMMAND, *(str(word) for word in arguments)],
                env={**os.environ, "TINYFLEET_STATE": str(state)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is ours; we end it in order
            )

    def check(self) -> None:
        """Raises DemoError with its last words when it has ended."""
        status = self._process.poll()
        if status is not None:
            lines = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise DemoError(f"{self._name} ended with status {status}: {lines[-1]} (log: {self._log})")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
