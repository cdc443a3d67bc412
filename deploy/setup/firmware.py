"""Builds the firmware of every emulated board with the CMake presets."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import sources
from report import run, say

PRESETS = (
    *("mps2-an386", "mps2-an386-tls", "mps2-an500", "posix"),
    *("microbit", "bench-mps2-an386", "bench-mps2-an500", "bench-mps3-an547"),
)
MEND = "`make clean` begins anew; the same command in firmware/ shows all of it"


def build(root: Path) -> None:
    """Configures once, then builds what changed. Raises SetupError with the compiler's own first error."""
    deps = root / "build" / "deps"
    folders = [f"-D{s.variable}={sources.folder_of(s, deps)}" for s in sources.SOURCES]
    for preset in PRESETS:
        folder = root / "build" / "firmware" / preset
        stamp = folder / ".configured"
        # CMake refuses a folder that was configured elsewhere, and keeps the sources it was given first.
        inputs = "\n".join([str(root), *folders])
        if not stamp.is_file() or stamp.read_text() != inputs:
            say(f"building firmware for {preset}")
            shutil.rmtree(folder, ignore_errors=True)
            run(["cmake", "--preset", preset, *folders], MEND, root / "firmware")
            stamp.write_text(inputs)
        jobs = str(os.cpu_count() or 1)
        run(["cmake", "--build", "--preset", preset, "--parallel", jobs], MEND, root / "firmware")
