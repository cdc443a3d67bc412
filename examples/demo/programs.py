"""Runs the command `tinyfleet` as a person would; what runs is on a leash and ends when the demo does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tinyfleet.fleet.adapters.process import end_leftover, write_pid

COMMAND = [sys.executable, "-m", "tinyfleet"]
STOP_S = 15.0
POLL_S = 0.02
LISTEN_S = 0.1
PID_FILES = "demo-*.json"

Words = list[str | Path]


class DemoError(Exception):
    """A step did not do what it should; the text says what happened and what to do."""


class Stopped(Exception):
    """The demo is ending: Ctrl-C, SIGTERM, or another step failed."""


class Ending:
    """Whether the demo is to end. Steps look at it while they wait, so nothing is broken off halfway.

    A plain flag: a signal handler sets it, which must not wait for the lock of an Event.
    """

    def __init__(self) -> None:
        self.wanted = False

    def heed(self) -> None:
        """Raises Stopped when the demo is to end."""
        if self.wanted:
            raise Stopped


def wait_until(ready: Callable[[], bool], timeout_s: float, what: str, ending: Ending | None = None) -> None:
    """Polls `ready`. Raises DemoError at the time-out, Stopped when the demo is to end."""
    end = time.monotonic() + timeout_s
    while not ready():
        if ending is not None:
            ending.heed()
        if time.monotonic() >= end:
            raise DemoError(f"{what} did not happen within {timeout_s:g} s; is this machine overloaded?")
        time.sleep(POLL_S)


def end_commands(state: Path) -> None:
    """Ends commands that a demo, killed by force, left running: first, as they would start others again."""
    for pid_file in (state / "run").glob(PID_FILES):
        end_leftover(pid_file)


class Programs:
    """The commands of one demo; each knows the fleet's state folder from its environment."""

    def __init__(self, state: Path, ending: Ending) -> None:
        self.state = state
        self.ending = ending

    def run(self, *arguments: str | Path, timeout_s: float = 60.0) -> str:
        """One command to its end; its output. Raises DemoError with the command's own words, Stopped."""
        self.ending.heed()
        process, name = _begin(list(arguments), self.state, subprocess.PIPE, subprocess.PIPE)
        with _leash(process, self.state):
            output, said = self._listen(process, name, time.monotonic() + timeout_s)
        if process.returncode != 0:
            last = (said.strip() or output.strip() or "no reason given").splitlines()[-1]
            raise DemoError(last.removeprefix("tinyfleet: "))
        return output

    def run_json(self, *arguments: str | Path, timeout_s: float = 60.0) -> Any:
        """One command with `--json`; the value it printed."""
        return json.loads(self.run(*arguments, "--json", timeout_s=timeout_s))

    def wait_until(self, ready: Callable[[], bool], timeout_s: float, what: str) -> None:
        wait_until(ready, timeout_s, what, self.ending)

    def _listen(self, process: subprocess.Popen[str], name: str, end_s: float) -> tuple[str, str]:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=LISTEN_S)
            self.ending.heed()
            if time.monotonic() >= end_s:
                raise DemoError(f"`{name}` did not end in time; is this machine overloaded?")


class Background:
    """One `tinyfleet` command that stays up, its output in a log. Ended by its pid."""

    def __init__(self, name: str, arguments: Words, log: Path, state: Path) -> None:
        self._name = name
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process, _ = _begin(arguments, state, output, output)
        self._leash = contextlib.ExitStack()
        self._leash.enter_context(_leash(self._process, state))

    def check(self) -> None:
        """Raises DemoError with its last words when it has ended."""
        status = self._process.poll()
        if status is not None and status < 0:
            cause = signal.Signals(-status).name
            raise DemoError(f"`{self._name}` was ended by {cause}; run the demo again (log: {self._log})")
        if status is not None:
            lines = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            said = lines[-1].removeprefix("tinyfleet: ")
            raise DemoError(f"`{self._name}` ended with status {status}: {said} (log: {self._log})")

    def stop(self) -> None:
        self._leash.close()


def _begin(arguments: Words, state: Path, out: Any, err: Any) -> tuple[subprocess.Popen[str], str]:
    """Starts a command in a session of its own: Ctrl-C is for us, who end it in order."""
    words = [str(word) for word in arguments]
    process = subprocess.Popen(
        [*COMMAND, *words],
        env={**os.environ, "TINYFLEET_STATE": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        text=True,
        start_new_session=True,
    )
    return process, f"tinyfleet {' '.join(words[:2])}"


@contextlib.contextmanager
def _leash(process: subprocess.Popen[str], state: Path) -> Iterator[None]:
    """Ends the process with the block; its pid file tells the next demo, should we be killed by force."""
    pid_file = state / "run" / PID_FILES.replace("*", str(process.pid))
    try:
        pid_file.parent.mkdir(parents=True, exist_ok=True)
        write_pid(pid_file, process.pid)
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        pid_file.unlink(missing_ok=True)
