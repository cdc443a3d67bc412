"""The firmware's host build, for the tests that run it; one builder at a time."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "firmware" / "host"
# Building BearSSL under sanitizers takes most of it, once.
TIMEOUT_S = 900


def build_host(*goals: str) -> Path:
    """The folder of the `host` preset, with these CMake goals built; none: all.

    Raises AssertionError with the end of what a failed command said.
    """
    places = [
        f"-D{name}={os.environ[name]}"
        for name in ("TINYFLEET_LWIP", "TINYFLEET_BEARSSL")
        if name in os.environ
    ]
    chosen = [word for goal in goals for word in ("--target", goal)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (
            ["cmake", "--preset", "host", *places],
            ["cmake", "--build", "--preset", "host", "--parallel", "2", *chosen],
        ):
            done = subprocess.run(
                command,
                cwd=ROOT / "firmware",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            if done.returncode != 0:
                raise AssertionError(
                    f"{' '.join(command[:3])}: exit {done.returncode}\n{done.stdout[-6000:]}"
                )
    return FOLDER
