"""Writes the dashboards: `python -m dashboards.build [--check]`.

Exit code 1 with --check when a committed file is not what its code makes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import bench, live

FOLDER = Path(__file__).resolve().parent / "grafana"


def outputs() -> dict[Path, str]:
    """Path and content of each dashboard."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    made = {"live": live.build(), "bench": bench.build()}
    return {FOLDER / f"{name}.json": encoder.encode(board) + "\n" for name, board in made.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args(arguments).check
    stale = [
        path
        for path, text in outputs().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path}: differs from its code; run python -m dashboards.build", file=sys.stderr)
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(outputs()[path], encoding="utf-8")
        print(f"wrote {path}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
