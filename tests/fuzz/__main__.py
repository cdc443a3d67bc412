"""Searches for inputs that break something: `make fuzz`, or `python -m tests.fuzz plan mqtt --seconds 60`.

Each harness of firmware/tests/fuzz in turn, two processes at a time under ASan and UBSan, from its kept
inputs. Ends with status 1 when something was found; the input is kept below build/fuzz. `--keep` copies those
inputs that reach code no kept one reaches to where every build of the host tests replays them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from tests.fuzz.search import Search, build, covered_lines, harnesses

SECONDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="harnesses; none: FUZZ, or plan; all: every one")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS", SECONDS)))
    parser.add_argument(
        "--keep", action="store_true", help="keep inputs of earlier searches; searches no more"
    )
    options = parser.parse_args()
    if shutil.which("clang") is None:
        print("searching needs clang with its sanitizers; `python3 deploy/setup --fuzz` installs them")
        return 2
    names = options.names or os.environ.get("FUZZ", "plan").split()
    names = list(harnesses()) if names == ["all"] else names
    unknown = [name for name in names if name not in harnesses()]
    if unknown:
        print(f"no such harness: {', '.join(unknown)}; there are {', '.join(harnesses())}")
        return 2
    for name in names:
        build("fuzz", f"fuzz_{name}")
    if options.keep:
        for name in names:
            print(f"{name}: {Search(name).keep()} inputs kept")
        return 0
    found = [search_one(Search(name), options.seconds) for name in names]
    return 1 if any(found) else 0


def search_one(search: Search, seconds: int) -> bool:
    """Whether something was found."""
    print(f"{search.name}: searching for {seconds} s, logs and findings in {search.folder}", flush=True)
    summary = search.run(seconds)
    print(f"{search.name}: {summary.line()}")
    for line in summary.reports:
        print(f"  {line}")
    lines, of, missed = covered_lines(search)
    print(f"  lines of what is under test reached by all inputs: {lines} of {of} ({lines / max(of, 1):.1%})")
    for name, (reached, total) in missed.items():
        print(f"    {name}: {reached} of {total}")
    for path in summary.findings:
        print(f"  FOUND {path}\n    again: {search.program} {path}")
    print(f"  findings: {len(summary.findings)}", flush=True)
    return bool(summary.findings)


if __name__ == "__main__":
    sys.exit(main())
