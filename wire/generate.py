"""Writes what is generated from the message table: `python -m tinyfleet.wire.generate [--check]`.

The one file of this room that touches the disk. Exit code 1 with --check when a file differs from the table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tinyfleet.wire.c_header import c_header
from tinyfleet.wire.cddl import cddl


def outputs() -> dict[Path, str]:
    """Path and content of each generated file."""
    # Resolved, because the installed package is a link into the repository.
    wire = Path(__file__).resolve().parent
    return {
        wire / "messages.cddl": cddl(),
        wire.parent / "firmware" / "include" / "tinyfleet" / "wire_keys.h": c_header(),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tinyfleet.wire.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    options = parser.parse_args(arguments)
    stale = [
        path
        for path, text in outputs().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if options.check:
        for path in stale:
            print(
                f"{path}: differs from the message table; run python -m tinyfleet.wire.generate",
                file=sys.stderr,
            )
        return 1 if stale else 0
    for path in stale:
        path.write_text(outputs()[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
