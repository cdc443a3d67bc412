"""Builds the firmware of every emulated board with the CMake presets."""

from __future__ import annotations

import os
from pathlib import Path

import sources
from report import run, say

PRESETS = ("mps2-an386", "microbit")
MEND = "run it in firmware/ to see all of it"


def build(root: Path) -> None:
    """Configures once, then builds what changed. Raises SetupError with the compiler's own first error."""
    deps = root / "build" / "deps"
    folders = [f"-D{s.variable}={sources.folder_of(s, deps)}" for s in sources.SOURCES]
    for preset in PRESETS:
        if not (root / "build" / "firmware" / preset / "Makefile").is_file():
            say(f"building firmware for {preset}")
            run(["cmake", "--preset", preset, *folders], MEND, root / "firmware")
        run(
            ["cmake", "--build", "--preset", preset, "--parallel", str(os.cpu_count() or 1)],
            MEND,
            root / "firmware",
        )
