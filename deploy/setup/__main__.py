"""Everything a fresh Debian machine needs, said before it is done: `python3 deploy/setup`.

Needs nothing but Python >= 3.11. Running it again does only what is missing.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from pathlib import Path

import firmware
import python
import sources
import system
from report import SetupError, say

ROOT = Path(__file__).resolve().parents[2]
DEPS = ROOT / "build" / "deps"
FREE_BYTES_NEEDED = 1_500_000_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="setup", description=__doc__)
    parser.add_argument("--no-firmware", action="store_true", help="leave the firmware unbuilt")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we switched is switched back
    if sys.version_info < (3, 11):  # noqa: UP036 - make may find an older one
        print("setup: Python 3.11 or newer is needed; try `make PYTHON=python3.11`", file=sys.stderr)
        return 1
    try:
        prepare(build_firmware=not options.no_firmware)
    except SetupError as error:
        print(f"setup: {error.what}\nsetup: {error.mend}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(build_firmware: bool) -> None:
    packages = system.missing()
    absent = sources.missing(DEPS)
    fresh = not (ROOT / ".venv" / "bin" / "python").exists()
    if packages or absent or fresh:
        _announce(packages, [s.package for s in absent], fresh)
        free = shutil.disk_usage(ROOT).free
        if free < FREE_BYTES_NEEDED:
            raise SetupError(
                f"only {free // 1_000_000} MB free on the disk of {ROOT}", "free 1.5 GB, then run it again"
            )
    if packages:
        system.install(packages)
        still = system.missing()
        if still:
            raise SetupError(f"still missing after installing: {', '.join(still)}", "install them by hand")
    if absent:
        say(f"fetching {' and '.join(s.package for s in absent)} (build inputs, pinned by SHA-256)")
        sources.fetch(absent, DEPS)
    python.ensure(ROOT)
    if build_firmware:
        firmware.build(ROOT)


def _announce(packages: list[str], archives: list[str], fresh: bool) -> None:
    say("this machine still needs:")
    if packages:
        say(f"  Debian packages (no service is started): {' '.join(packages)}")
    if archives:
        say(f"  sources into build/deps: {' '.join(archives)}")
    if fresh:
        say("  Python packages into .venv, from requirements.txt (hash-locked)")


if __name__ == "__main__":
    sys.exit(main())
