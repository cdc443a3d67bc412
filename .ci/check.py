"""Style, types, doors and generated files, in one pass that names every failure: `make check`.

`--format` rewrites Python and C into the house's style instead.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
TIMEOUT_S = 600
GENERATED_C = {"wire_keys.h"}
STRICT = [
    "src/tinyfleet/wire",
    "src/tinyfleet/fleet",
    "src/tinyfleet/agent",
    "src/tinyfleet/model",
    "dashboards",
]

# Rooms whose C builds for any machine see their own folder, the C library, `tinyfleet/…` and these.
PORTABLE_ROOMS = {
    "boot": ("bearssl",),
    "console": (),
    "live": (),
    "net": (),
    "ota": ("bearssl_hash",),
    "runtime": (),
    "telemetry": (),
    "wire": (),
}
GLUE = {
    "net/lwip_link.c": ("lwip/",),
    "net/lwip_network.c": ("lwip/", "netif/"),
    "net/lwip_udp.c": ("lwip/",),
    "net/lwip_query.c": ("lwip/",),
}
C_LIBRARY = {
    "assert",
    "errno",
    "inttypes",
    "limits",
    "stdbool",
    "stddef",
    "stdint",
    "stdio",
    "stdlib",
    "string",
}


def c_files() -> list[Path]:
    return sorted(p for p in (ROOT / "firmware").rglob("*.[ch]") if p.name not in GENERATED_C)


def broken_doors() -> list[str]:
    """Includes that cross a wall: 'file:line includes X, which room Y may not see'."""
    found = []
    for path in c_files():
        inside = path.relative_to(ROOT / "firmware")
        room = inside.parts[0]
        if room not in PORTABLE_ROOMS or "tests" in inside.parts:
            continue
        allowed = PORTABLE_ROOMS[room] + GLUE.get(str(inside), ())
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            name = match.group(1)
            own = (path.parent / name).is_file() or (ROOT / "firmware" / room / name).is_file()
            library = name.removesuffix(".h") in C_LIBRARY
            if not (own or library or name.startswith(("tinyfleet/", *allowed))):
                found.append(f"firmware/{inside}:{number} includes {name}, which room {room} may not see")
    return found


def run(name: str, command: list[str]) -> bool:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name}", flush=True)
    if done.returncode != 0:
        print(done.stdout + done.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", action="store_true", help="rewrite instead of checking")
    rewrite = parser.parse_args().format
    python, ruff, clang = sys.executable, str(BIN / "ruff"), str(BIN / "clang-format")
    sources = [str(p) for p in c_files()]
    if rewrite:
        results = [
            run("ruff format", [ruff, "format", "."]),
            run("ruff fixes", [ruff, "check", "--fix", "."]),
            run("clang-format", [clang, "-i", *sources]),
        ]
        return 0 if all(results) else 1
    results = [
        run("ruff check", [ruff, "check", "."]),
        run("ruff format", [ruff, "format", "--check", "."]),
        run("mypy", [python, "-m", "mypy", *STRICT]),
        run("import doors", [str(BIN / "lint-imports")]),
        run("clang-format", [clang, "--dry-run", "-Werror", *sources]),
        run("generated files", [python, "-m", "tinyfleet.wire.generate", "--check"]),
    ]
    doors = broken_doors()
    print(f"{'FAIL' if doors else 'ok  '} C include doors")
    print("\n".join(doors), end="\n" if doors else "")
    return 0 if all(results) and not doors else 1


if __name__ == "__main__":
    sys.exit(main())
