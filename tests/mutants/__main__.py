"""`python -m tests.mutants`: bootloader and update engine with one check or one order removed each.

The firmware's tests must see every one. By hand, not in `make test`: it takes minutes, and it links the
BearSSL that the `host` preset built.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants import beside, bootloader, engine

ROOT = Path(__file__).resolve().parents[2]
BEARSSL = ROOT / "build" / "deps" / "bearssl" / "inc"
LIBRARY = ROOT / "build" / "firmware" / "host" / "libbearssl.a"
FLAGS = ("-O1", "-g", "-std=c11", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ROOMS = ("apps", "boot", "console", "ota", "telemetry", "wire", "include", "tests")
# What a client of SMP reaches the engine by; what waits for the broker; when the radio is on.
MORE = ("apps/node/images.c", "console/smp.c", "telemetry/ring.c", "apps/node/sleeper.c")
RIG = (
    *("config_world.c", "flash_sim.c", "image_maker.c", "machine.c", "packer.c", "power_cuts.c", "world.c"),
)
TESTS = (
    *("test_state", "test_ring", "test_sleeper", "test_wakes"),
    *("test_boot", "test_firmware_update", "test_shadow", "test_shadow_cut", "test_firmware_cut"),
    *("test_config", "test_config_cut", "test_transfer", "test_local", "test_local_cut"),
)
# Of the bootloader and of firmware behind one; host tests have neither.
ON_BOARDS = ("main.c", "services.c", "lent.c", "ecdsa_none.c")
TIMEOUT_S = 180

MUTANTS = (*bootloader.MUTANTS, *engine.MUTANTS, *beside.MUTANTS)


def compile_tests(folder: Path) -> Path:
    """Folder with the test programs of the sources in `folder`. Raises CalledProcessError."""
    includes = [f"-I{folder / 'include'}", f"-I{BEARSSL}"]
    sources = [
        *(p for p in sorted((folder / "boot").glob("*.c")) if p.name not in ON_BOARDS),
        *sorted((folder / "ota").glob("*.c")),
        *sorted((folder / "wire").glob("*.c")),
        *(folder / name for name in MORE),
        *(folder / "tests" / name for name in RIG),
    ]
    objects = []
    for source in sources:
        # The test for cuts remembers what a signature's check said, in place of the library's file.
        compiled = folder / "tests" / "ecdsa_once.c" if source.name == "ecdsa_m31.c" else source
        objects.append(folder / f"{source.parent.name}-{source.stem}.o")
        subprocess.run(
            ["gcc", *FLAGS, *includes, "-c", str(compiled), "-o", str(objects[-1])],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    for test in TESTS:
        command = ["gcc", *FLAGS, *includes, str(folder / "tests" / f"{test}.c"), *map(str, objects)]
        subprocess.run(
            [*command, str(LIBRARY), "-o", str(folder / test)],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    return folder


def seen_by(folder: Path) -> str | None:
    """The first test that fails, and its words; None: all pass."""
    for test in TESTS:
        try:
            done = subprocess.run(
                [str(folder / test)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"{test}: no end within {TIMEOUT_S} s"
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            return f"{test}: {lines[-1] if lines else done.returncode}"
    return None


def main() -> int:
    survived = 0
    for mutant in (None, *MUTANTS):
        with tempfile.TemporaryDirectory(prefix="tinyfleet-mutant-") as name:
            folder = Path(name)
            for room in ROOMS:
                shutil.copytree(
                    ROOT / "firmware" / room, folder / room, ignore=shutil.ignore_patterns("fuzz")
                )
            if mutant is not None:
                path = folder / mutant.file
                text = path.read_text()
                if text.count(mutant.before) != 1:
                    print(f"STALE     {mutant.name}: {mutant.file} no longer holds what it changes")
                    survived += 1
                    continue
                path.write_text(text.replace(mutant.before, mutant.after))
            why = seen_by(compile_tests(folder))
        if mutant is None:
            if why is not None:
                print(f"the code as it is fails: {why}")
                return 1
            continue
        print(
            f"{'seen    ' if why else 'SURVIVED'}  {mutant.name}{'' if why is None else f' ({why[-100:]})'}",
            flush=True,
        )
        survived += why is None
    print(f"{len(MUTANTS) - survived} of {len(MUTANTS)} mutants seen")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
