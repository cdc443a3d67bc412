"""What set-up says and how it runs a command: short lines for people, one error that names the mend."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path

TIMEOUT_S = 1200
# A stopped command may put its things in order: dpkg in the middle of a package needs the most.
STOP_S = 180


class SetupError(Exception):
    """Set-up cannot go on: what happened, and what to do next."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(
    command: list[str],
    mend: str,
    cwd: Path | None = None,
    text_in: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Runs a command to its end, silently. Raises SetupError with its first error line and `mend`.

    Whatever breaks off the wait (Ctrl-C) ends the command, too.
    """
    name = " ".join(Path(word).name for word in command if "=" not in word and not word.startswith("-"))[:60]
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.PIPE if text_in is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise SetupError(f"{name} could not start: {error}", mend) from error
    try:
        output, _ = process.communicate(text_in, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{name} took over {timeout_s:g} s", mend) from error
    finally:
        _end(process)
    if process.returncode != 0:
        lines = output.strip().splitlines() or [f"exit status {process.returncode}"]
        telling = [line for line in lines if "error" in line.lower() or line.startswith("E:")]
        raise SetupError(f"{name} failed: {(telling or lines[-1:])[0][:300]}", mend)


def _end(process: subprocess.Popen[str]) -> None:
    """SIGINT, then time to put things in order, then by force. Does nothing when it has ended."""
    if process.poll() is not None:
        return
    # What runs under sudo is not ours to signal: Ctrl-C reaches it from the terminal, and we wait for it.
    with contextlib.suppress(PermissionError):
        process.send_signal(signal.SIGINT)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
            return
        say("stopping, as soon as what runs has come to a safe end")
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(PermissionError):
            process.kill()
            process.wait(STOP_S)
