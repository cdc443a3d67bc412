"""Inputs over a serial line: the framed protocol and MLPerf's, beside what the line could carry. `make
bench-console`.

The bench app runs as a process behind a line that carries as many bytes a second as the baud rate says, both
ways at once. MLPerf's commands are sent as the public runner sends them: 31 bytes of input each, the
next after m-ready; what the board computes meanwhile is not counted. Frames come while it computes; on this
host, under sanitizers, a model is slow, so only small ones are measured on a fast line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.bench.report import ROOT, Figure, publish
from tests.bench.serial_line import BITS, SerialLine
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.core.bench_image import wrap_model
from tinyfleet.agent.services.console_client import ConsoleClient
from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.wire.artifact import decode_artifact

BENCH_HOST = ROOT / "build" / "firmware" / "host" / "tests" / "bench_host"
SLOW, FAST = 115_200, 921_600
BAUDS = {"KWS": (SLOW,), "AD": (SLOW, FAST), "livestock": (SLOW, FAST)}
CHUNK_BYTES = 31
SECONDS = 4.0
LIMIT_BAR = 0.9
RUNNER_BAR = 2.4


def models() -> dict[str, bytes]:
    """MLPerf's where they are, else the example's."""
    shared = Path(os.environ.get("TINYFLEET_MODELS") or ROOT.parent / "shared" / "models")
    found = {}
    for name, stem in (("KWS", "mlperf_kws_dscnn"), ("AD", "mlperf_ad_toycar")):
        path = shared / f"{stem}.tflite"
        if path.is_file():
            found[name] = path.read_bytes()
        else:
            print(f"skipped {name}: {path} is absent; TINYFLEET_MODELS names the folder with public models")
    return found | {"livestock": (ROOT / "examples/livestock/livestock_v1.tflite").read_bytes()}


def limit(input_bytes: int, baud: int) -> float:
    """Inputs a second: one frame each, 8 bytes of header, CRC-32, COBS and a delimiter, no gap between."""
    raw = input_bytes + 8 + 4
    return baud / BITS / (raw + raw // 254 + 1 + 1)


def lock_step_limit(told: bytes, baud: int) -> float:
    """Inputs a second by MLPerf's commands if nothing were lost between a reply and the next command."""
    pieces = [told[at : at + CHUNK_BYTES] for at in range(0, len(told), CHUNK_BYTES)]
    there = sum(len(f"db {piece.hex()}%") for piece in pieces) + len(f"db load {len(told)}%infer 1 0%")
    back = (len(pieces) + 2) * len("m-ready\r\n") + len("m-[Expecting 490 bytes]\r\nm-load-done\r\n")
    return baud / BITS / (there + back)


def framed(line: SerialLine, windows: list[bytes], baud: int, seconds: float) -> float:
    client = ConsoleClient("bench", line, SystemClock(), baud=baud)
    client.hello()
    count = max(4, round(seconds * limit(len(windows[0]), baud)))
    client.begin([windows[i % len(windows)] for i in range(count)], 0)
    from_s, done = time.monotonic(), 0
    while done < count:
        done += len(client.advance())
    return count / (time.monotonic() - from_s)


def as_the_runner(line: SerialLine, window: bytes, seconds: float) -> float:
    """Of the time, what the board computed is taken away."""

    def ask(command: str) -> str:
        line.write(command.encode() + b"%")
        said = b""
        while not said.endswith(b"m-ready\r\n"):
            said += line.read(10.0)
        return said.decode(errors="replace")

    ask("name")
    from_s, count, computed_s = time.monotonic(), 0, 0.0
    while (spent := time.monotonic() - from_s) < seconds or count < 2:
        ask(f"db load {len(window)}")
        for at in range(0, len(window), CHUNK_BYTES):
            ask("db " + window[at : at + CHUNK_BYTES].hex())
        laps = [int(x.removeprefix("m-lap-us-")) for x in ask("infer 1 0").split() if "lap" in x]
        computed_s += (laps[1] - laps[0]) / 1e6
        count += 1
    return count / (spent - computed_s)


@contextmanager
def board(payload: bytes, baud: int) -> Iterator[SerialLine]:
    with tempfile.TemporaryDirectory() as folder:
        image, flash = Path(folder) / "model.img", Path(folder) / "flash.bin"
        image.write_bytes(wrap_model(payload, "bench-host"))
        flash.write_bytes(b"\xff" * 96 * 1024)
        line = SerialLine(BENCH_HOST, image, flash, baud)
        try:
            line.read(2.0)
            yield line
        finally:
            line.close()


def measure(name: str, tflite: bytes, baud: int) -> list[Figure]:
    payload = compile_model(tflite, ModelSpec("bench", "1"))
    plan = decode_artifact(payload)
    rng = np.random.default_rng(1)
    windows = [rng.bytes(plan.input_bytes) for _ in range(8)]
    # MLPerf takes an anomaly's input as floats, four times the bytes; the agent's are quantised before.
    told = rng.normal(-20, 15, 640).astype("<f4").tobytes() if name == "AD" else windows[0]
    with board(payload, baud) as line:
        ours = framed(line, windows, baud, SECONDS)
    with board(payload, baud) as line:
        runners = as_the_runner(line, told, SECONDS)
    most, runners_most = limit(plan.input_bytes, baud), lock_step_limit(told, baud)
    where = f"{name}, {plan.input_bytes} bytes, {baud} baud"
    unit, best = "inputs/s", "MLPerf's at its best"
    barred = baud == SLOW
    return [
        Figure(
            *(f"{where}: framed", round(ours, 2), unit, "what the line carries", ours / most),
            *((f">= {LIMIT_BAR}", ours >= LIMIT_BAR * most) if barred else (None, None)),
        ),
        Figure(
            *(f"{where}: framed", round(ours, 2), unit, best, ours / runners_most),
            *((f">= {RUNNER_BAR} x", ours >= RUNNER_BAR * runners_most) if barred else (None, None)),
        ),
        Figure(f"{where}: MLPerf's", round(runners, 2), unit, best, runners / runners_most),
    ]


def main() -> int:
    for command in (
        ["cmake", "--preset", "host"],
        ["cmake", "--build", "--preset", "host", "--parallel", "2", "--target", "bench_host"],
    ):
        subprocess.run(command, cwd=ROOT / "firmware", check=True, stdout=subprocess.DEVNULL, timeout=900)
    figures = [
        figure
        for name, model in models().items()
        for baud in BAUDS[name]
        for figure in measure(name, model, baud)
    ]
    publish("console", "Inputs over a serial line (a slow pipe to the bench app on this host)", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
