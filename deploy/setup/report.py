"""What set-up says and how it runs a command: short lines for people, one error that names the mend."""

from __future__ import annotations

import subprocess
from pathlib import Path

TIMEOUT_S = 1200


class SetupError(Exception):
    """Set-up cannot go on: what happened, and what to do next."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}: {mend}")
        self.what = what
        self.mend = mend


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(command: list[str], mend: str, cwd: Path | None = None, text_in: str | None = None) -> None:
    """Runs a command to its end, silently. Raises SetupError with its first error line and `mend`."""
    name = " ".join(Path(word).name for word in command[:4])
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            input=text_in,
            stdin=None if text_in is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{name} could not finish: {error}", mend) from error
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or [f"exit status {done.returncode}"]
        telling = [line for line in lines if "error" in line.lower() or line.startswith("E:")]
        raise SetupError(f"{name} failed: {(telling or lines[-1:])[0][:300]}", mend)
