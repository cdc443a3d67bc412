"""Builds the firmware of every emulated board with the CMake presets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import sources
from report import SetupError, say

PRESETS = ("mps2-an386", "microbit")
TIMEOUT_S = 900


def build(root: Path) -> None:
    """Configures once, then builds what changed. Raises SetupError with the compiler's own first error."""
    deps = root / "build" / "deps"
    folders = [f"-D{s.variable}={sources.folder_of(s, deps)}" for s in sources.SOURCES]
    for preset in PRESETS:
        if not (root / "build" / "firmware" / preset / "Makefile").is_file():
            say(f"building firmware for {preset}")
            _run(["cmake", "--preset", preset, *folders], root)
        _run(["cmake", "--build", "--preset", preset, "--parallel", str(os.cpu_count() or 1)], root)


def _run(command: list[str], root: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=root / "firmware", capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{' '.join(command[:3])}: {error}", "run it in firmware/ to see more") from error
    if done.returncode != 0:
        output = done.stdout + done.stderr
        errors = [x for x in output.splitlines() if "error" in x.lower()] or output.splitlines()[-3:]
        raise SetupError(f"{' '.join(command)} failed: {errors[0]}", "run it in firmware/ to see all of it")
