"""The agent's client on the other bench boards: windows kept and streamed, byte for byte as the twin; and
mps2-an386 programmed by its probe, as a microbit is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyocd_qemu import registry
from pyocd_qemu.process import end_stranded
from tests.integration.agent.bench_rig import ROOT
from tests.integration.agent.emulated_bench import (
    MACHINES,
    MLPERF_RUNS,
    PRESETS,
    EmulatedBench,
    example_model,
    mlperf_model,
    plan_of,
)

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.adapters.part_files import load_parts
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.bench_run import RunResult
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services.runner import Runner
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.model.twin import Twin
from tinyfleet.wire.enums import Timing

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(240)]
YAML = """\
boards:
  - name: board-1
    device_type: {0}
    probe: qemu-{0}-0001
    emulate: {0}
"""


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("b1")
    yield worker
    worker.close()


def golden_of(plan: bytes, count: int) -> GoldenSet:
    twin = Twin(plan)
    rng = np.random.default_rng(7)
    windows = [rng.integers(-128, 128, twin.plan.input_bytes).astype(np.int8).tobytes() for _ in range(count)]
    return GoldenSet(tuple(windows), expected=tuple(twin.run(window).tobytes() for window in windows))


def run(worker: BoardWorker, board: EmulatedBench, golden: GoldenSet, kept: int) -> RunResult:
    runner = Runner(SerialConsoles(), SystemClock())
    windows = golden.windows[:kept]
    return runner.run(worker, board.console, 115_200, golden, emulated=False, kept=windows, keep=True)


@pytest.mark.parametrize("machine", MACHINES)
def test_an_example_model_with_its_golden_set_kept(machine: str, worker: BoardWorker, tmp_path: Path) -> None:
    plan = plan_of(example_model(), machine)
    golden = golden_of(plan, 60)
    with EmulatedBench(machine, plan, tmp_path) as board:
        result = run(worker, board, golden, 40)
    assert (result.windows, result.stored, result.different, result.exact) == (60, 40, 0, True)
    assert result.device_type == machine
    assert (result.emulated, result.timing) == (True, Timing.INSTRUCTIONS), "the board says so itself"


@pytest.mark.parametrize(("name", "machine"), MLPERF_RUNS)
def test_mlperf_models(name: str, machine: str, worker: BoardWorker, tmp_path: Path) -> None:
    plan = plan_of(mlperf_model(name), machine)
    golden = golden_of(plan, 6)
    with EmulatedBench(machine, plan, tmp_path) as board:
        result = run(worker, board, golden, 3)
    assert (result.windows, result.stored, result.exact) == (6, 3, True)


@pytest.mark.parametrize("machine", MACHINES)
def test_by_its_probe_a_board_keeps_its_golden_set(
    machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second night sends hashes alone: also after a power cut, as flash is a file."""
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "boards"))
    elf = ROOT / "build" / "firmware" / PRESETS[machine] / "apps" / "bench" / "bench.elf"
    model = tmp_path / "example.model"
    plan = plan_of(example_model(), machine)
    model.write_bytes(plan)
    golden = golden_of(plan, 30)
    bench = parse_bench(YAML.format(machine), "b")
    for night in range(2):
        with Agent(bench, Folders(tmp_path)) as agent:
            agent.start_boards()
            if night == 0:
                report = agent.flash("board-1", load_parts(machine, firmware=elf, model=model))
                assert report.written == report.sectors
            result = agent.run("board-1", golden, kept=golden.windows, keep=night == 0)
            assert (result.stored, result.exact) == (30, True)
            # A power cut.
            assert end_stranded(tmp_path / "boards" / f"qemu-{machine}-0001")
