"""Debian packages the project needs: which are missing, and installing them without starting any service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from report import TIMEOUT_S, SetupError, run, say

SERVICES = ("mosquitto", "prometheus")
POLICY = Path("/usr/sbin/policy-rc.d")
FORBID = "#!/bin/sh\n# tinyfleet's set-up is installing; it removes this file when it is done\nexit 101\n"


class NoRootError(SetupError):
    """Packages need root, and there is none."""


def find(tool: str) -> str | None:
    """Path of a tool; daemons live in /usr/sbin, which is not on every user's PATH."""
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _newlib() -> bool:
    gcc = find("arm-none-eabi-gcc")
    if gcc is None:
        return False
    done = subprocess.run(
        [gcc, "-print-file-name=libc_nano.a"], capture_output=True, text=True, timeout=30, check=False
    )
    return Path(done.stdout.strip()).is_absolute()


def _venv() -> bool:
    return _succeeds([sys.executable, "-c", "import ensurepip, venv"])


def _fuzzer_library() -> bool:
    clang = find("clang")
    if clang is None:
        return False
    done = subprocess.run(
        [clang, "-print-runtime-dir"], capture_output=True, text=True, timeout=30, check=False
    )
    return any(Path(done.stdout.strip()).glob("libclang_rt.fuzzer*"))


@dataclass(frozen=True)
class Need:
    package: str
    present: Callable[[], bool]


def _tool(name: str) -> Callable[[], bool]:
    return lambda: find(name) is not None


NEEDS = (
    Need("python3-venv", _venv),
    Need("gcc", _tool("gcc")),
    Need("libc6-dev", lambda: Path("/usr/include/stdio.h").exists()),
    Need("cmake", _tool("cmake")),
    Need("qemu-system-arm", _tool("qemu-system-arm")),
    Need("gcc-arm-none-eabi", _tool("arm-none-eabi-gcc")),
    Need("libnewlib-arm-none-eabi", _newlib),
    Need("mosquitto", _tool("mosquitto")),
    Need("prometheus", _tool("prometheus")),
)

# Only `make fuzz` searches; all else replays what was found, with gcc.
FUZZ_NEEDS = (
    Need("clang", _tool("clang")),
    Need("libclang-rt-dev", _fuzzer_library),
)


def missing(fuzz: bool = False) -> list[str]:
    """Debian packages to install, in the order of NEEDS; `fuzz`: with those of FUZZ_NEEDS."""
    return [need.package for need in (*NEEDS, *(FUZZ_NEEDS if fuzz else ())) if not need.present()]


def install(packages: list[str], ask: bool = True, timeout_s: float = TIMEOUT_S) -> None:
    """Installs Debian packages; starts no service and leaves running ones alone.

    Raises SetupError with the one line to run when neither root nor sudo is there. `ask`: sudo may ask for a
    password; `timeout_s`: of each of apt's steps that use the network.
    """
    command = ["apt-get", "install", "--no-install-recommends", *packages]
    mend = f"run as root: {' '.join(command)}"
    if find("apt-get") is None:
        raise SetupError(f"missing: {', '.join(packages)}", "this is no Debian machine: install them by hand")
    root = _become_root(mend, ask)
    say(f"installing Debian packages: {' '.join(packages)}")
    # A machine that has just booted may be at its own upgrades.
    quietly = ["-qq", "-y", "-o", "DPkg::Lock::Timeout=300"]
    # A third-party source that fails is no reason to stop: the install says what it lacks.
    with suppress(SetupError):
        run([*root, "apt-get", "-qq", "update"], mend, timeout_s=timeout_s)
    run([*root, *command, *quietly, "--download-only"], mend, timeout_s=timeout_s)
    with _no_service_starts(root, mend):
        # Broken off here, dpkg would leave packages half installed: it ends first, then we do. apt-get undoes
        # an ignored signal for dpkg, so the terminal's Ctrl-C must not reach it: a session of its own.
        unbroken = ["env", "--ignore-signal=INT", "DEBIAN_FRONTEND=noninteractive", "setsid", "--wait"]
        run([*root, *unbroken, *command, *quietly], mend)
    systemctl = find("systemctl")
    for service in SERVICES:
        # What we brought must not start at the next boot either; what was there before is not ours to change.
        if systemctl and service in packages:
            run([*root, systemctl, "disable", service], mend)


def _become_root(mend: str, ask: bool = True) -> list[str]:
    if os.geteuid() == 0:
        return []
    sudo = find("sudo")
    if sudo and ask and sys.stdin.isatty():
        return [sudo]
    if sudo and _succeeds([sudo, "-n", "true"]):
        return [sudo, "-n"]
    raise NoRootError("this needs root, and there is no root or sudo here", mend)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@contextmanager
def _no_service_starts(root: list[str], mend: str) -> Iterator[None]:
    """Debian's own switch (policy-rc.d of invoke-rc.d(8)): 101 forbids starting services."""
    if POLICY.exists() and not left_behind():
        yield
        return
    try:
        run([*root, "tee", str(POLICY)], mend, text_in=FORBID)
        run([*root, "chmod", "755", str(POLICY)], mend)
        yield
    finally:
        run([*root, "rm", "-f", str(POLICY)], mend)


def left_behind() -> bool:
    """Whether our switch still stands: set-up was killed by force."""
    try:
        return POLICY.read_text() == FORBID
    except OSError:
        return False


def switch_back() -> None:
    """Removes the switch that a killed set-up left behind. Raises SetupError without root or sudo."""
    mend = f"run as root: rm {POLICY}"
    run([*_become_root(mend), "rm", "-f", str(POLICY)], mend)
