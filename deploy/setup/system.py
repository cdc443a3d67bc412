"""Debian packages the project needs: which are missing, and installing them without starting any service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from report import SetupError, say

SERVICES = ("mosquitto", "prometheus")
POLICY = Path("/usr/sbin/policy-rc.d")
TIMEOUT_S = 1200


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
    done = subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


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


def missing() -> list[str]:
    """Debian packages to install, in the order of NEEDS."""
    return [need.package for need in NEEDS if not need.present()]


def install(packages: list[str]) -> None:
    """Installs Debian packages; starts no service and leaves running ones alone.

    Raises SetupError with the one line to run when neither root nor sudo is there.
    """
    line = "apt-get install --no-install-recommends " + " ".join(packages)
    if find("apt-get") is None:
        raise SetupError(f"missing: {', '.join(packages)}; this is no Debian machine", "install them by hand")
    root = _become_root(line)
    say(f"installing Debian packages: {' '.join(packages)}")
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    with _no_service_starts(root):
        _run([*root, "apt-get", "-qq", "update"], line)
        _run([*root, *environment, "apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages], line)
    systemctl = find("systemctl")
    if systemctl:
        for service in SERVICES:
            if service in packages:
                subprocess.run(
                    [*root, systemctl, "disable", service], capture_output=True, timeout=60, check=False
                )


def _become_root(line: str) -> list[str]:
    if os.geteuid() == 0:
        return []
    sudo = find("sudo")
    if sudo:
        if sys.stdin.isatty():
            return [sudo]
        if subprocess.run([sudo, "-n", "true"], capture_output=True, timeout=30, check=False).returncode == 0:
            return [sudo, "-n"]
    raise SetupError("Debian packages are missing and there is no root or sudo here", f"run as root: {line}")


def _run(command: list[str], line: str) -> None:
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"apt-get took over {TIMEOUT_S} s", f"run as root: {line}") from error
    if done.returncode != 0:
        last = " ".join(done.stdout.strip().splitlines()[-2:])
        raise SetupError(f"apt-get failed: {last}", f"mend it, then run as root: {line}")


@contextmanager
def _no_service_starts(root: list[str]) -> Iterator[None]:
    """Debian's own switch (invoke-rc.d(8), policy-rc.d): 101 forbids starting services while packages unpack."""
    if POLICY.exists():
        yield
        return
    script = "#!/bin/sh\nexit 101\n"
    subprocess.run([*root, "tee", str(POLICY)], input=script.encode(), capture_output=True, timeout=30, check=True)
    try:
        subprocess.run([*root, "chmod", "755", str(POLICY)], timeout=30, check=True)
        yield
    finally:
        subprocess.run([*root, "rm", "-f", str(POLICY)], timeout=30, check=True)
