"""The virtual environment: hash-locked packages, our own distributions in place."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from report import SetupError, run, say

MEND = "mend that, then `make setup` again"
# Without this wheel the exactness tests skip, saying so: it exists for few platforms.
OPTIONAL_LOCK = "requirements-truth.txt"
LOCK = "requirements.txt"
DISTRIBUTIONS = (".", "agent/qemu_probe")


def current(root: Path) -> bool:
    """Whether `.venv` is what the lock files, this Python and this folder ask for."""
    stamp = _stamp(root)
    return stamp.is_file() and stamp.read_text() == _digest(root) and _python(root).exists()


def ensure(root: Path) -> None:
    """Makes `.venv` current; does nothing when it is. Raises SetupError."""
    if current(root):
        return
    say("making .venv from the hash-locked requirements")
    _stamp(root).unlink(missing_ok=True)
    python = str(_python(root))
    if not _has_pip(python):
        run([sys.executable, "-m", "venv", "--clear", str(root / ".venv")], MEND, root)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", LOCK], MEND, root)
    try:
        run([*pip, "--require-hashes", "--no-deps", "-r", OPTIONAL_LOCK], MEND, root)
    except SetupError:
        say("no tflite-micro wheel for this Python: the exactness tests against it will skip")
    for distribution in DISTRIBUTIONS:
        run([*pip, "--no-build-isolation", "--no-deps", "-e", distribution], MEND, root)
    _stamp(root).write_text(_digest(root))


def _has_pip(python: str) -> bool:
    """False for no `.venv`, one that was broken off, and one of another Python."""
    try:
        done = subprocess.run(
            [python, "-m", "pip", "--version"], capture_output=True, timeout=60, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _digest(root: Path) -> str:
    digest = hashlib.sha256(f"{sys.version}\n{root}".encode())
    for name in (LOCK, OPTIONAL_LOCK, *(f"{d}/pyproject.toml" for d in DISTRIBUTIONS)):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def _python(root: Path) -> Path:
    return root / ".venv" / "bin" / "python"


def _stamp(root: Path) -> Path:
    return root / ".venv" / ".tinyfleet-lock"
