"""MLPerf Tiny over a serial line on every bench board: commands as a runner sends them, and what models
answer, held against the host twin."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from tests.integration.agent.bench_rig import BENCH_ELF, BENCH_YAML, GOLDEN
from tests.integration.agent.emulated_bench import (
    MACHINES,
    MLPERF_RUNS,
    EmulatedBench,
    example_model,
    mlperf_model,
    plan_of,
)
from tests.models import livestock
from tests.servers import TIMEOUT_S

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.adapters.emulated_boards import console_of
from tinyfleet.agent.adapters.mlperf_data import golden_set, model_set
from tinyfleet.agent.adapters.part_files import load_parts
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.core.mlperf_run import EMULATED, Mode
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services.mlperf_runner import MlperfRunner
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.model.twin import Twin

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(240)]
CHUNK_BYTES = 31  # as the public runner cuts an input


class Runner:
    """Sends a command, waits for its m-ready."""

    def __init__(self, address: str) -> None:
        self._port = serial.serial_for_url(address, timeout=TIMEOUT_S)

    def until_ready(self) -> list[str]:
        said = self._port.read_until(b"m-ready\r\n")
        assert said.endswith(b"m-ready\r\n"), said
        lines = said.decode().splitlines()[:-1]
        return lines

    def ask(self, command: str) -> list[str]:
        self._port.write(command.encode() + b"%")
        return self.until_ready()

    def load(self, data: bytes) -> None:
        assert self.ask(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]"]
        for at in range(0, len(data), CHUNK_BYTES):
            said = self.ask("db " + data[at : at + CHUNK_BYTES].hex())
            assert said == (["m-load-done"] if at + CHUNK_BYTES >= len(data) else [])

    def infer(self, runs: int, warmups: int) -> list[float]:
        said = self.ask(f"infer {runs} {warmups}")
        assert said[:3] == [f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{runs}"]
        laps = [int(line.removeprefix("m-lap-us-")) for line in said[3:5]]
        assert said[5] == "m-infer-done" and laps[1] > laps[0]
        assert self.ask("results") == said[6:]
        found = re.fullmatch(r"m-results-\[([^]]+)\]", said[6])
        assert found is not None
        return [float(value) for value in found[1].split(",")]

    def close(self) -> None:
        self._port.close()


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def started(board: EmulatedBench) -> Iterator[Runner]:
    runner = Runner(board.console)
    try:
        said = runner.until_ready()
        assert said[-1] == "m-init-done"
        yield runner
    finally:
        runner.close()


def test_an_example_model_answers_as_the_twin(machine: str, tmp_path: Path) -> None:
    plan = plan_of(example_model(), machine)
    window = np.random.default_rng(1).integers(-128, 128, 384).astype(np.int8).tobytes()
    with EmulatedBench(machine, plan, tmp_path) as board:
        for runner in started(board):
            assert runner.ask("name") == ["m-name-dut-[tinyfleet]"]
            assert runner.ask("profile")[1] == "m-model-[under-test]"
            assert runner.ask("infer 1 0") == ["e-[The input has another size than the model's]"]
            assert runner.ask("nonsense") == ["e-[Unknown command: nonsense]"]
            runner.load(window)
            assert runner.ask("db print 9")[0] == "m-buffer-" + window[:8].hex("-")
            assert runner.infer(3, 2) == as_told(plan, window)


@pytest.mark.parametrize(("name", "machine"), MLPERF_RUNS)
def test_mlperf_models_answer_as_the_twin(name: str, machine: str, tmp_path: Path) -> None:
    plan = plan_of(mlperf_model(name), machine)
    rng = np.random.default_rng(2)
    sizes = {"kws01": 490, "ic01": 3072}
    data = rng.bytes(sizes[name]) if name in sizes else struct.pack("<640f", *rng.normal(-20, 15, 640))
    with EmulatedBench(machine, plan, tmp_path) as board:
        for runner in started(board):
            assert runner.ask("profile")[1] == f"m-model-[{name}]"
            runner.load(data)
            got = runner.infer(2, 1)
    if name == "ad01":
        assert got == pytest.approx([squared_error(plan, data)], abs=0.0011, rel=1e-6)
    else:
        assert got == as_told(plan, bytes(b ^ 0x80 for b in data) if name == "ic01" else data)


def as_told(plan: bytes, window: bytes) -> list[float]:
    twin = Twin(plan)
    steps = twin.run(window).reshape(-1).astype(np.int64) - twin.plan.output.zero_point
    exact = steps * float(np.float32(twin.plan.metadata.output_scale))
    return [float(np.floor(abs(v) * 1000 + 0.5) / 1000 * np.sign(v)) for v in exact]


def squared_error(plan: bytes, data: bytes) -> float:
    twin = Twin(plan)
    about = twin.plan.metadata
    spectrum = np.frombuffer(data, "<f4")
    steps = np.round(spectrum / np.float32(about.input_scale)) + twin.plan.input.zero_point
    output = twin.run(np.clip(steps, -128, 127).astype(np.int8).tobytes()).reshape(-1).astype(np.float32)
    real = (output - twin.plan.output.zero_point) * np.float32(about.output_scale)
    return float(np.mean((real - spectrum) ** 2))


@pytest.mark.parametrize("name", ["kws01", "ic01", "ad01"])
def test_the_agents_client_with_mlperf_models(name: str, tmp_path: Path) -> None:
    plan = plan_of(mlperf_model(name), "mps2-an386")
    twin = Twin(plan)
    rng = np.random.default_rng(4)
    windows = [rng.integers(-128, 128, twin.plan.input_bytes).astype(np.int8) for _ in range(4)]
    outputs = tuple(twin.run(window.tobytes()).tobytes() for window in windows)
    golden = GoldenSet(tuple(window.tobytes() for window in windows), (0, 1, 0, 1), outputs)
    worker = BoardWorker("b1")
    with EmulatedBench("mps2-an386", plan, tmp_path) as board:
        runner = MlperfRunner(SerialConsoles().open, SystemClock())
        data = golden_set(golden, plan, b"digest")
        result = runner.run(
            *(worker, board.console, 115_200, Mode.ACCURACY, data),
            device_type="mps2-an386",
            emulated=True,
        )
    worker.close()
    assert (result.name, result.benchmark, result.run.windows) == ("tinyfleet", name, 4)
    if name == "ad01":
        assert result.auc is not None and result.run.compared == 0
    else:
        assert result.run.exact and result.run.model == b"digest" and result.run.labelled == 4
    assert EMULATED in result.objections


def test_energy_mode_tells_no_times(machine: str, tmp_path: Path) -> None:
    plan = plan_of(example_model(), machine)
    with EmulatedBench(machine, plan, tmp_path, app="bench_energy") as board:
        runner = Runner(board.console)
        assert runner.until_ready()[-2:] == ["m-timestamp-mode-energy", "m-init-done"]
        runner.load(bytes(384))
        said = runner.ask("infer 2 0")
        assert [line.split("-")[1] for line in said] == ["warmup", "warmup", "infer", "infer", "results"]
        assert runner.ask("timestamp") == []
        runner.close()


def test_a_microbit_after_its_flash_was_programmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    model = tmp_path / "v1.model"
    model.write_bytes(livestock("v1", vectors=1))
    with Agent(parse_bench(BENCH_YAML, "b"), Folders(tmp_path)) as agent:
        agent.start_boards()
        agent.flash("microbit-1", load_parts("microbit", firmware=BENCH_ELF, model=model))
        runner = Runner(console_of("qemu-microbit-0001"))
        assert runner.ask("name")[-1] == "m-name-dut-[tinyfleet]"
        assert runner.ask("profile")[1].startswith("m-model-[livestock")
        window = np.random.default_rng(3).integers(-128, 128, 384).astype(np.int8).tobytes()
        runner.load(window)
        assert runner.infer(2, 1) == as_told(livestock("v1", vectors=1), window)
        runner.close()

        # The agent's own client gives the record that the framed protocol gives.
        data = model_set(GOLDEN, model, "microbit", 12)
        told = agent.mlperf("microbit-1", Mode.ACCURACY, data)
        parts = load_parts("microbit", model=model, golden=GOLDEN)
        assert parts.golden is not None
        framed = agent.run("microbit-1", parts.golden.first(12), model=parts.model)
        assert told.run.exact and framed.exact
        same = {"latency_us", "elapsed_s", "finished"}
        assert {k: v for k, v in told.run.to_json().items() if k not in same} == {
            k: v for k, v in framed.to_json().items() if k not in same
        }
        assert told.run.latency_median_us == pytest.approx(framed.latency_median_us, rel=0.05)
        assert told.objections[0] == "emulated, instruction-timed"
        speed = agent.mlperf("microbit-1", Mode.PERFORMANCE, data)
        assert len(speed.windows) == 5 and all(window.duration_us >= 10e6 for window in speed.windows)
        assert speed.throughput == pytest.approx(1e6 / framed.latency_median_us, rel=0.05)
        assert (speed.run.compared, speed.run.different) == (5, 0)
