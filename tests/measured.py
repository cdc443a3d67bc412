"""A model alone on the emulated board: `firmware/apps/measure`, built for a core, in QEMU.

QEMU executes one instruction in a nanosecond (`-icount shift=0`) and the app reads the board's clock, in
steps of 40 instructions.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
FIRMWARE: Final = ROOT / "firmware"
FLASH_ADDRESS: Final = 0x21000000
BUILD_TIMEOUT_S: Final = 180
RUN_TIMEOUT_S: Final = 60


@dataclass(frozen=True)
class OpTime:
    code: int
    variant: int
    instructions: int


@dataclass(frozen=True)
class Measured:
    """`equal` of `vectors` golden vectors gave the twin's bytes; instructions are of the first."""

    status: int
    load_instructions: int
    run_instructions: int
    arena_bytes: int
    vectors: int
    equal: int
    ops: tuple[OpTime, ...]


def folder(preset: str) -> Path:
    return ROOT / "build" / "firmware" / preset


def build(preset: str) -> Path:
    """The app of a CMake preset `measure-…`, built anew where sources changed."""
    for command in (["cmake", "--preset", preset], ["cmake", "--build", "--preset", preset]):
        done = subprocess.run(
            command, cwd=FIRMWARE, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return folder(preset) / "apps" / "measure" / "measure.elf"


def measure(app: Path, payload: bytes) -> Measured:
    """Runs `payload` and its golden vectors. RuntimeError when the app does not come to its end."""
    handle, name = tempfile.mkstemp(suffix=".plan")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
        done = subprocess.run(
            [
                *("qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none"),
                *("-serial", "stdio", "-icount", "shift=0"),
                *("-semihosting-config", "enable=on,target=native", "-kernel", str(app)),
                *("-device", f"loader,file={name},addr={FLASH_ADDRESS:#x},force-raw=on"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
    finally:
        Path(name).unlink()
    return _read(done.stdout + done.stderr)


def _read(output: str) -> Measured:
    lines = [line.split() for line in output.splitlines() if line]
    if ["end"] not in lines:
        raise RuntimeError(f"the app did not come to its end; it said:\n{output[-2000:]}")
    said = {line[0]: int(line[1]) for line in lines if len(line) == 2}
    columns = {
        what: [int(line[1]) for line in lines if line[0] == what]
        for what in ("op", "variant", "instructions")
    }
    ops = tuple(OpTime(*row) for row in zip(*columns.values(), strict=True))
    return Measured(
        status=said["status"],
        load_instructions=said["load"],
        run_instructions=said.get("run", 0),
        arena_bytes=said.get("arena", 0),
        vectors=said.get("vectors", 0),
        equal=said.get("equal", 0),
        ops=ops,
    )
