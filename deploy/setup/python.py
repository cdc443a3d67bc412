"""The virtual environment: hash-locked packages, our own distributions in place."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from report import SetupError, say

TIMEOUT_S = 1200
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
        _run([sys.executable, "-m", "venv", str(venv)], root)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--require-hashes", "-r", LOCK], root)
    try:
        _run([*pip, "--require-hashes", "--no-deps", "-r", OPTIONAL_LOCK], root)
    except SetupError:
        say("no tflite-micro wheel for this Python: the exactness tests against it will skip")
    for distribution in DISTRIBUTIONS:
        _run([*pip, "--no-build-isolation", "--no-deps", "-e", distribution], root)
    stamp.write_text(digest.hexdigest())


def _run(command: list[str], root: Path) -> None:
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{command[0]} took over {TIMEOUT_S} s", "try `make setup` again") from error
    if done.returncode != 0:
        errors = [x for x in done.stderr.splitlines() if "ERROR" in x] or done.stderr.splitlines()[-2:]
        raise SetupError(f"{' '.join(command[2:5])} failed: {' '.join(errors)[:500]}", "mend it, then `make setup`")
