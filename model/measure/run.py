"""One run of the measuring firmware in QEMU.

QEMU executes one instruction in a nanosecond (`-icount shift=0`) and the app reads the machine's clock. This
counts instructions; it says nothing about cycles.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tinyfleet.model.measure.cores import MeasureCore
from tinyfleet.model.measure.errors import MeasureError

EMULATOR: Final = "qemu-system-arm"
RUN_TIMEOUT_S: Final = 300
PLAN_ALIGN: Final = 16
_SHOWN: Final = 2000


@dataclass(frozen=True, slots=True)
class OpTime:
    code: int
    variant: int
    instructions: int


@dataclass(frozen=True, slots=True)
class Measured:
    """`equal` of `vectors` golden vectors gave the twin's bytes; instructions are of the first.

    status: tf_model_status_t of loading. ops: of the first vector, empty without one. together: of two plans
    run in turns, the vectors of both that gave the twin's bytes; None for one plan alone.
    """

    status: int
    load_instructions: int
    run_instructions: int
    arena_bytes: int
    vectors: int
    equal: int
    ops: tuple[OpTime, ...]
    together: int | None = None


def measure(core: MeasureCore, app: Path, payload: bytes, beside: bytes = b"") -> Measured:
    """Runs `payload` and its golden vectors, and in turns with the plan `beside`, where there is one.

    MeasureError when there is no QEMU or the app does not end.
    """
    if shutil.which(EMULATOR) is None:
        raise MeasureError(
            f"{EMULATOR} is not on PATH: run `make setup`, or install it (Debian: apt-get install "
            "qemu-system-arm)"
        )
    handle, name = tempfile.mkstemp(suffix=".plan")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload + bytes(-len(payload) % PLAN_ALIGN) + beside)
        done = subprocess.run(
            [
                *(EMULATOR, "-M", core.machine, "-display", "none", "-monitor", "none"),
                *("-serial", "stdio", "-icount", "shift=0"),
                *("-semihosting-config", "enable=on,target=native", "-kernel", str(app)),
                *("-device", f"loader,file={name},addr={core.plan_address:#x},force-raw=on"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasureError(
            f"the model did not come to its end on the emulated core within {RUN_TIMEOUT_S} s"
        ) from error
    finally:
        Path(name).unlink()
    return _read(done.stdout + done.stderr)


def _read(output: str) -> Measured:
    lines = [line.split() for line in output.splitlines() if line]
    if ["end"] not in lines:
        raise MeasureError(f"the measuring firmware did not come to its end; it said:\n{output[-_SHOWN:]}")
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
        together=said.get("together"),
    )
