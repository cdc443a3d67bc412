"""Everything a fresh Debian machine needs, said before it is done: `python3 deploy/setup`.

Needs nothing but Python >= 3.11. Running it again does only what is missing.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import firmware
import python
import sources
import system
import wishes
from report import SetupError, say

ROOT = Path(__file__).resolve().parents[2]
DEPS = ROOT / "build" / "deps"
WISHES_NOTE = ROOT / "build" / "packages-not-installed"
FREE_BYTES_NEEDED = 1_500_000_000
STOPPED = 130


def main() -> int:
    parser = argparse.ArgumentParser(prog="setup", description=__doc__)
    parser.add_argument("--no-firmware", action="store_true", help="leave the firmware unbuilt")
    parser.add_argument("--fuzz", action="store_true", help="what `make fuzz` needs, too: clang")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 - make may find an older one
            raise SetupError("Python 3.11 or newer is needed", "try `make PYTHON=python3.11`")
        with _alone():
            prepare(build_firmware=not options.no_firmware, fuzz=options.fuzz)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: {error}; is {ROOT} writable, with room left?", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: stopped; `make setup` goes on from here", file=sys.stderr)
        return STOPPED
    return 0


def prepare(build_firmware: bool, fuzz: bool = False) -> None:
    packages = system.missing(fuzz)
    absent = sources.missing(DEPS)
    fresh = not python.current(ROOT)
    wished = wishes.missing()
    if packages or absent or fresh:
        _announce(packages, [w.package for w in wished], [s.package for s in absent], fresh)
        free = shutil.disk_usage(ROOT).free
        if free < FREE_BYTES_NEEDED:
            needed = f"{FREE_BYTES_NEEDED // 1_000_000} MB"
            raise SetupError(
                f"{free // 1_000_000} MB are free on the disk of {ROOT}", f"set-up needs {needed}"
            )
    if packages:
        system.install(packages)
        still = system.missing(fuzz)
        if still:
            raise SetupError(f"still missing after installing: {', '.join(still)}", "install them by hand")
    elif system.left_behind():
        system.switch_back()
    if wished:
        wishes.grant(wished, WISHES_NOTE, anyway=bool(packages))
    if absent:
        say(f"fetching {' and '.join(s.package for s in absent)} (build inputs, pinned by SHA-256)")
        sources.fetch(absent, DEPS)
    python.ensure(ROOT)
    if build_firmware:
        firmware.build(ROOT)


def _announce(packages: list[str], wished: list[str], archives: list[str], fresh: bool) -> None:
    say("this machine still needs:")
    if packages:
        say(f"  Debian packages (no service is started): {' '.join(packages)}")
    if wished:
        say(f"  Debian packages, where they can be had: {' '.join(wished)}")
    if archives:
        say(f"  sources into build/deps: {' '.join(archives)}")
    if fresh:
        say("  Python packages into .venv, from requirements.txt (hash-locked)")


@contextmanager
def _alone() -> Iterator[None]:
    """One set-up a checkout: a second one waits, then finds everything done."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "setup.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stop(*_: object) -> None:
    """Ctrl-C and SIGTERM: once, so that what was switched is switched back undisturbed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
