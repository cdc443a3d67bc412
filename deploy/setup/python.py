"""The virtual environment: hash-locked packages, our own distributions in place."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from report import SetupError, run, say

MEND = "mend it, then `make setup`"
# Without this wheel the exactness tests skip, saying so: it exists for few platforms.
OPTIONAL_LOCK = "requirements-truth.txt"
LOCK = "requirements.txt"
DISTRIBUTIONS = (".", "agent/qemu_probe")


def ensure(root: Path) -> None:
    """Makes `.venv` current with the lock files; does nothing when it is. Raises SetupError."""
    venv = root / ".venv"
    python = venv / "bin" / "python"
    inputs = [LOCK, OPTIONAL_LOCK, *(f"{d}/pyproject.toml" for d in DISTRIBUTIONS)]
    digest = hashlib.sha256(sys.version.encode())
    digest.update(str(root).encode())
    for name in inputs:
        digest.update((root / name).read_bytes())
    stamp = venv / ".tinyfleet-lock"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest() and python.exists():
        return
    say("making .venv from the hash-locked requirements")
    stamp.unlink(missing_ok=True)
    if not python.exists():
        run([sys.executable, "-m", "venv", str(venv)], MEND, root)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", LOCK], MEND, root)
    try:
        run([*pip, "--require-hashes", "--no-deps", "-r", OPTIONAL_LOCK], MEND, root)
    except SetupError:
        say("no tflite-micro wheel for this Python: the exactness tests against it will skip")
    for distribution in DISTRIBUTIONS:
        run([*pip, "--no-build-isolation", "--no-deps", "-e", distribution], MEND, root)
    stamp.write_text(digest.hexdigest())
