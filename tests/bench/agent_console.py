"""A golden set over the console as the agent runs it: by its hub, on a terminal of this host that carries as
many bytes a second as the baud rate says; beside MLPerf's protocol as the public runner drives it.

The bench app is a process, built without sanitizers. What the board computes is not counted for MLPerf's.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.bench.console import (
    CHUNK_BYTES,
    FAST,
    LIMIT_BAR,
    RUNNER_BAR,
    SLOW,
    as_the_runner,
    limit,
    lock_step_limit,
    models,
)
from tests.bench.report import ROOT, Figure
from tests.bench.serial_line import SerialLine
from tinyfleet.agent.adapters.bench_consoles import BenchConsoles
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.bench_image import wrap_model
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.services.runner import Runner
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import decode_artifact

FOLDER = ROOT / "build" / "firmware" / "host-bench"
TURN_S = 0.001
TURN_BAR = 5.0
SECONDS = 5.0
NIGHT_WINDOWS = 180
NIGHT_BAR_BYTES = 500
"""Of a second night: a digest, and a few requests for results."""


def build() -> Path:
    """The bench app for this host as fast as it can be."""
    fast = ("-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_C_FLAGS=-O2")
    for command in (
        ["cmake", "--preset", "host", "-B", str(FOLDER), *fast],
        ["cmake", "--build", str(FOLDER), "--parallel", "2", "--target", "bench_host"],
    ):
        subprocess.run(command, cwd=ROOT / "firmware", check=True, stdout=subprocess.DEVNULL, timeout=900)
    return FOLDER / "tests" / "bench_host"


@contextmanager
def bench(
    program: Path, payload: bytes, baud: int, turn_s: float
) -> Iterator[tuple[BenchConsoles, BoardWorker, SerialLine]]:
    """An agent that serves the board's console, and a worker for it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.img").write_bytes(wrap_model(payload, "bench-host"))
        (folder / "flash.bin").write_bytes(b"\xff" * 96 * 1024)
        line = SerialLine(program, folder / "model.img", folder / "flash.bin", baud, turn_s)
        worker = BoardWorker("b1")
        with line.terminal() as path:
            spec = BoardSpec(name="b1", device_type="bench-host", probe="none", console=path, baud=baud)
            consoles = BenchConsoles(
                [spec], folder / "consoles", lambda spec: path, SerialConsoles(), SystemClock()
            )
            consoles.serve()
            try:
                yield consoles, worker, line
            finally:
                worker.close()
                consoles.close()
        line.close()


def golden_of(payload: bytes, count: int) -> GoldenSet:
    rng, size = np.random.default_rng(1), decode_artifact(payload).input_bytes
    few = [rng.integers(-128, 128, size).astype(np.int8).tobytes() for _ in range(16)]
    twin = Twin(payload)
    outputs = [twin.run(window).tobytes() for window in few]
    which = [i % len(few) for i in range(count)]
    return GoldenSet(tuple(few[i] for i in which), expected=tuple(outputs[i] for i in which))


def rates(program: Path, payload: bytes, baud: int, turn_s: float) -> tuple[float, float, float]:
    """Inputs a second: framed, as the public runner does it, and what the line could carry."""
    most = limit(decode_artifact(payload).input_bytes, baud)
    golden = golden_of(payload, max(4, round(SECONDS * most)))
    with bench(program, payload, baud, turn_s) as (consoles, worker, _):
        result = Runner(consoles, SystemClock()).run(worker, "b1", baud, golden, emulated=False)
        if not result.exact:
            raise RuntimeError(f"{result.different} of {result.windows} outputs differ from the host twin's")
    with bench(program, payload, baud, turn_s) as (consoles, _, _):
        # The public runner has the port to itself.
        consoles.close()
        line = SerialConsoles().open(consoles.address("b1"), baud)
        try:
            runners = as_the_runner(line, golden.windows[0], SECONDS)
        finally:
            line.close()
    return result.windows / result.elapsed_s, runners, most


def commands_of(input_bytes: int) -> int:
    """MLPerf's, for one input: each waits for its answer."""
    return 2 + -(-input_bytes // CHUNK_BYTES)


def nights(program: Path, payload: bytes) -> list[Figure]:
    """The same golden set twice: what is sent the second time."""
    golden = golden_of(payload, NIGHT_WINDOWS)
    sent = []
    with bench(program, payload, SLOW, 0.0) as (consoles, worker, line):
        for _ in range(2):
            before = line.sent
            result = Runner(consoles, SystemClock()).run(
                worker, "b1", SLOW, golden, emulated=False, kept=golden.windows, keep=True
            )
            if not result.exact or result.stored != NIGHT_WINDOWS:
                raise RuntimeError("the golden set was not kept")
            sent.append(line.sent - before)
    size = sum(map(len, golden.windows))
    peer = f"the set's {size:,} bytes"
    return [
        Figure("first night: bytes to the board", sent[0], "bytes", peer, sent[0] / size),
        Figure(
            *("second night: bytes to the board", sent[1], "bytes", peer, sent[1] / size),
            *(f"<= {NIGHT_BAR_BYTES} bytes", sent[1] <= NIGHT_BAR_BYTES),
        ),
    ]


def figures() -> list[Figure]:
    program = build()
    known = models()
    name = "KWS" if "KWS" in known else "livestock"
    payload = compile_model(known[name], ModelSpec("bench", "1"))
    size = decode_artifact(payload).input_bytes
    found = []
    for baud, turn_s, bar in ((SLOW, 0.0, RUNNER_BAR), (FAST, 0.0, None), (FAST, TURN_S, TURN_BAR)):
        ours, runners, most = rates(program, payload, baud, turn_s)
        turn = f", {turn_s * 1e3:g} ms turn" if turn_s else ""
        where = f"{name}, {size} bytes, {baud} baud{turn}: golden set"
        limited = (f">= {LIMIT_BAR}", ours >= LIMIT_BAR * most) if baud == SLOW else (None, None)
        found.append(
            Figure(where, round(ours, 2), "inputs/s", "what the line carries", ours / most, *limited)
        )
        ratio = ours / runners
        faster = (None, None) if bar is None else (f">= {bar:g} x", ratio >= bar)
        peer = f"MLPerf's by the public runner's way, {runners:.2f}"
        found.append(Figure(where, round(ours, 2), "inputs/s", peer, ratio, *faster))
        best = 1 / (1 / lock_step_limit(bytes(size), baud) + turn_s * commands_of(size))
        found.append(
            Figure(where, round(ours, 2), "inputs/s", f"MLPerf's at its best, {best:.2f}", ours / best)
        )
    livestock = compile_model(known["livestock"], ModelSpec("bench", "1"))
    return [*found, *nights(program, livestock)]
