"""The bench board's whole way: program over SWD, read back, infer on the console, byte for byte as the host
twin."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyocd_qemu import registry
from tests.integration.agent.bench_rig import (
    BENCH_ELF,
    BENCH_YAML,
    GOLDEN,
    LABELS,
    Broker,
    Program,
    tinyfleet,
)
from tests.models import livestock
from tests.servers import wait_for

from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.adapters.emulated_boards import console_of
from tinyfleet.agent.adapters.part_files import Parts, load_parts
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import BoardBusyError, BoardSaidNo, ConsoleError, NoSuchBoardError
from tinyfleet.agent.core.flash_plan import plan_flash
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.main import Agent
from tinyfleet.wire.enums import BoardState, ConnState, Result, Timing
from tinyfleet.wire.image_format import MODEL_HEADER_BYTES
from tinyfleet.wire.memory_map import MICROBIT

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(240)]
BOARD = "microbit-1"
PROBE = "qemu-microbit-0001"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = {version: folder / f"{version}.model" for version in ("v1", "v2")}
    for version, path in paths.items():
        path.write_bytes(livestock(version, vectors=4))
    return paths


@pytest.fixture(scope="module")
def parts(models: dict[str, Path]) -> Parts:
    if not BENCH_ELF.is_file():
        pytest.fail(f"there is no {BENCH_ELF}: build the firmware with `make setup`")
    return load_parts("microbit", firmware=BENCH_ELF, model=models["v1"], golden=GOLDEN)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "boards"))
    with Agent(parse_bench(BENCH_YAML, "b"), Folders(tmp_path)) as agent:
        agent.start_boards()
        yield agent


def console_log(agent: Agent) -> str:
    """Text lines, with frames between them."""
    return (registry.root() / PROBE / "console.log").read_text(errors="replace")


def some(golden: GoldenSet | None, stored: int) -> GoldenSet:
    """Ten windows on both sides of where the stored ones end."""
    assert golden is not None
    assert golden.labels is not None and golden.expected is not None
    end = stored + 5
    return golden.first(end)


def test_program_and_run_byte_for_byte(agent: Agent, parts: Parts) -> None:
    first = agent.flash(BOARD, parts)
    assert first.written == first.sectors > 100
    assert agent.flash(BOARD, parts).written == 0

    session = PyocdProbes().open(PROBE)
    try:
        for start, wanted in parts.plan.sectors().items():
            assert session.read(start, len(wanted)) == wanted
    finally:
        session.close()

    # Left to itself it says what it sees.
    wait_for("a live result", lambda: "window 0: class resting" in console_log(agent))
    assert "emulated, instruction-timed" in console_log(agent)
    assert "golden vectors: 4 right" in console_log(agent)

    assert parts.golden is not None and parts.golden.labels is not None
    assert parts.stored == (96 * 1024 - 256) // 384
    result = agent.run(BOARD, parts.golden, kept=parts.kept, model=parts.model)
    assert (result.windows, result.stored, result.different) == (512, 255, 0)
    assert result.exact
    # What the example says of itself, by the reference interpreter.
    reference = np.load(GOLDEN)
    right = int((reference["outputs_v1"].argmax(axis=1) == reference["labels"]).sum())
    assert (result.labelled, result.correct) == (512, right)
    assert (result.emulated, result.timing) == (True, Timing.INSTRUCTIONS)

    again = agent.run(BOARD, parts.golden.first(20), kept=parts.kept, model=parts.model)
    assert again.latency_median_us == pytest.approx(result.latency_median_us, rel=0.01)
    assert agent.refresh()[0].run == again.to_message()


def test_the_larger_model_runs_in_what_is_left_of_16_kib(agent: Agent, models: dict[str, Path]) -> None:
    parts = load_parts("microbit", firmware=BENCH_ELF, model=models["v2"], golden=GOLDEN)
    agent.flash(BOARD, parts)
    assert parts.golden is not None
    result = agent.run(BOARD, parts.golden.first(8), kept=parts.kept, model=parts.model)
    assert result.exact
    reference = np.load(GOLDEN)["outputs_v2"]
    assert parts.golden.expected is not None
    assert parts.golden.expected == tuple(row.tobytes() for row in reference)


def test_a_changed_byte_in_the_model_is_refused_by_the_board(agent: Agent, parts: Parts) -> None:
    image = bytearray(next(p.data for p in parts.plan.pieces if p.region == "model"))
    image[1000] ^= 1
    agent.flash(BOARD, parts)
    agent.flash(BOARD, Parts(plan_flash(MICROBIT, model=bytes(image)), None, 0, None))
    assert parts.golden is not None
    with pytest.raises(BoardSaidNo, match="the digest is not of this image") as told:
        agent.run(BOARD, parts.golden.first(2))
    assert told.value.result == Result.INTEGRITY
    assert "no model: the digest is not of this image (result 5)" in console_log(agent)
    status = agent.refresh()[0]
    assert status.state is BoardState.FAILED
    assert "INTEGRITY" in (status.detail or "")


def test_a_golden_vector_that_does_not_hold_is_refused_by_the_board(agent: Agent, parts: Parts) -> None:
    image = bytearray(next(p.data for p in parts.plan.pieces if p.region == "model"))
    payload_end = MODEL_HEADER_BYTES + int.from_bytes(image[12:16], "little")
    # The last four payload bytes are the last vector's output; the digest is made right again.
    image[payload_end - 4] ^= 0x10
    protected = int.from_bytes(image[10:12], "little")
    image[-32:] = hashlib.sha256(image[: payload_end + protected]).digest()
    agent.flash(BOARD, parts)
    agent.flash(BOARD, Parts(plan_flash(MICROBIT, model=bytes(image)), None, 0, None))
    assert parts.golden is not None
    with pytest.raises(BoardSaidNo) as told:
        agent.run(BOARD, parts.golden.first(2))
    assert told.value.result == Result.GOLDEN_FAILED


def test_a_golden_set_is_stored_over_the_console_once(
    agent: Agent, parts: Parts, models: dict[str, Path]
) -> None:
    agent.flash(BOARD, load_parts("microbit", firmware=BENCH_ELF, model=models["v1"]))
    assert parts.golden is not None
    first = agent.run(BOARD, parts.golden, kept=parts.kept, keep=True, model=parts.model)
    assert (first.windows, first.stored, first.exact) == (512, 255, True)
    # Another set takes its place, as there is no room for both; and back.
    other = parts.golden.windows[100:300]
    assert agent.run(BOARD, GoldenSet(other), kept=other, keep=True).stored == 200
    assert agent.run(BOARD, parts.golden.first(9), kept=parts.kept).stored == 0
    again = agent.run(BOARD, parts.golden.first(9), kept=parts.kept, keep=True)
    assert (again.stored, again.exact) == (9, True)
    session = PyocdProbes().open(PROBE)
    try:
        region = MICROBIT["golden"]
        wanted = next(p.data for p in parts.plan.pieces if p.region == "golden")
        assert session.read(region.offset, len(wanted)) == wanted
    finally:
        session.close()


def test_a_damaged_golden_set_is_not_used(agent: Agent, parts: Parts) -> None:
    region = bytearray(next(p.data for p in parts.plan.pieces if p.region == "golden"))
    region[5000] ^= 1
    agent.flash(BOARD, parts)
    agent.flash(BOARD, Parts(plan_flash(MICROBIT, golden=bytes(region)), None, 0, None))
    assert parts.golden is not None
    result = agent.run(BOARD, parts.golden.first(5), kept=parts.kept)
    assert (result.stored, result.exact) == (0, True)


def test_a_changed_byte_of_the_expected_outputs_is_a_difference(agent: Agent, parts: Parts) -> None:
    agent.flash(BOARD, parts)
    assert parts.golden is not None and parts.golden.expected is not None
    expected = list(parts.golden.expected[:3])
    expected[1] = bytes([expected[1][0] ^ 1]) + expected[1][1:]
    golden = GoldenSet(parts.golden.windows[:3], expected=tuple(expected))
    result = agent.run(BOARD, golden, kept=parts.kept)
    assert (result.compared, result.different, result.exact) == (3, 1, False)
    assert result.differences[0].window == 1


def test_only_one_client_at_probe_and_console(agent: Agent, parts: Parts) -> None:
    agent.flash(BOARD, parts)
    assert parts.golden is not None
    session = PyocdProbes().open(PROBE)
    try:
        with pytest.raises(BoardBusyError, match="in use by another debug client"):
            agent.flash(BOARD, parts)
    finally:
        session.close()
    console = SerialConsoles().open(console_of(PROBE), 115_200)
    try:
        with pytest.raises(BoardBusyError, match="in use by another program"):
            agent.run(BOARD, parts.golden.first(1))
    finally:
        console.close()
    assert agent.run(BOARD, parts.golden.first(1)).exact


def test_a_board_without_firmware_is_silent_and_told_so(
    agent: Agent, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinyfleet.agent.services.console_client.HELLO_TIMEOUT_S", 0.5)
    assert parts.golden is not None
    with pytest.raises(ConsoleError, match="is the bench firmware on the board"):
        agent.run(BOARD, parts.golden.first(1))


def test_no_such_board(agent: Agent, parts: Parts) -> None:
    with pytest.raises(NoSuchBoardError, match="the bench has no board 'x'; it has microbit-1"):
        agent.flash("x", parts)
    with pytest.raises(NoSuchBoardError, match="no probe qemu-microbit-0009"):
        PyocdProbes().open("qemu-microbit-0009")
    # pyOCD itself would take a part of the id.
    with pytest.raises(NoSuchBoardError):
        PyocdProbes().open("qemu-microbit-000")


@pytest.fixture
def stranded(tmp_path: Path) -> Iterator[None]:
    """Ends the QEMU of a killed agent where the test failed before another agent did."""
    yield
    for path in registry_folder(tmp_path).glob("*/qemu.pid"):
        pid = int(path.read_text())
        if _is_qemu(pid) and Path(f"/proc/{pid}/cwd").resolve() == path.parent.resolve():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.close()


@pytest.mark.broker
def test_the_commands_and_what_the_manager_hears(
    tmp_path: Path, models: dict[str, Path], broker: Broker, stranded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(registry.ROOT_VARIABLE, raising=False)
    environment = {"TINYFLEET_STATE": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    bench_yaml = tmp_path / "bench.yaml"
    bench_yaml.write_text("manager: agent.json\n" + BENCH_YAML)
    broker.credentials(tmp_path / "agent.json")
    running = Program(tmp_path / "run.log", environment, "agent", "run")
    try:
        running.wait_for("watching")
        wait_for("the agent tells of its bench", lambda: broker.bench is not None)
        heard = broker.bench
        assert heard is not None
        assert (heard.state, len(heard.boards)) == (ConnState.ONLINE, 1)
        board = heard.boards[0]
        assert (board.name, board.device_type, board.state, board.emulated, board.probe, board.run) == (
            *(BOARD, "microbit", BoardState.READY, True, PROBE),
            None,
        )

        scanned = tinyfleet(tmp_path, environment, "bench", "scan", "--json")
        assert [p["unique_id"] for p in json.loads(scanned.stdout)["probes"]] == [PROBE]
        follower = Program(tmp_path / "console.log", environment, "bench", "console", BOARD, "--no-input")
        files = ("--model", str(models["v1"]), "--golden", str(GOLDEN))
        flashed = tinyfleet(
            tmp_path, environment, "bench", "flash", BOARD, "--firmware", str(BENCH_ELF), *files, "--json"
        )
        assert flashed.returncode == 0, flashed.stderr
        assert json.loads(flashed.stdout)["golden_stored"] == 255
        ran = tinyfleet(tmp_path, environment, "bench", "run", BOARD, *files, "--windows", "20", "--json")
        assert ran.returncode == 0, ran.stderr
        result = json.loads(ran.stdout)
        assert (result["windows"], result["exact"], result["timing"]) == (20, True, "INSTRUCTIONS")
        # The run had the console to itself by the agent's hub, and whoever followed saw text only.
        follower.wait_for("held by __main__.py bench run")
        follower.wait_for("emulated, instruction-timed")
        assert follower.end() == 0
        assert "\0" not in (tmp_path / "console.log").read_text()
        kept = (tmp_path / "state/agent/consoles" / f"{BOARD}.log").read_text()
        assert "golden vectors: 4 right" in kept and "\\x00" not in kept

        wait_for(
            "the run is told", lambda: broker.bench is not None and broker.bench.boards[0].run is not None
        )
        told = broker.bench
        assert told is not None and told.boards[0].run is not None
        run = told.boards[0].run
        assert (run.model.hex(), run.windows, run.different) == (result["model"], 20, 0)
        assert told.seq > heard.seq

        reserved = tinyfleet(tmp_path, environment, "bench", "reserve", "--label", "desk=3", "--as", "ann")
        assert (reserved.returncode, reserved.stdout) == (0, f"{BOARD}\n")

        def holder() -> str | None:
            return None if broker.bench is None else broker.bench.boards[0].reserved_by

        wait_for("the reservation is told", lambda: holder() == "ann")
        refused = tinyfleet(tmp_path, environment, "bench", "flash", BOARD, "--model", str(models["v2"]))
        assert refused.returncode == 1
        assert f"{BOARD} is reserved by ann until" in refused.stderr

        other = tinyfleet(
            tmp_path,
            environment,
            "bench",
            "run",
            BOARD,
            "--model",
            str(models["v2"]),
            *files[2:],
            "--as",
            "ann",
        )
        assert other.returncode == 1
        assert "the board has model image" in other.stderr
        assert "Traceback" not in other.stderr
        assert tinyfleet(tmp_path, environment, "bench", "release", BOARD, "--as", "ann").returncode == 0
        wait_for("its end is told", lambda: holder() is None)

        pid = int((registry_folder(tmp_path) / PROBE / "qemu.pid").read_text())
        running.end(signal.SIGKILL)
        wait_for("the will", lambda: broker.bench is not None and broker.bench.state is ConnState.LOST)
        lost = broker.bench
        assert lost is not None
        assert lost.seq > told.seq
        assert Path(f"/proc/{pid}").exists()
    finally:
        running.end(signal.SIGKILL)
    broker.forget()
    # The next one ends what the killed one left, and knows what was run.
    running = Program(tmp_path / "run.log", environment, "agent", "run")
    try:
        running.wait_for("watching")
        wait_for("the stranded QEMU is ended", lambda: not _is_qemu(pid))
        wait_for(
            "it tells again", lambda: broker.bench is not None and broker.bench.state is ConnState.ONLINE
        )
        back = broker.bench
        assert back is not None
        assert back.boards[0].run == run
        pid = int((registry_folder(tmp_path) / PROBE / "qemu.pid").read_text())
        assert running.end() == 0
        wait_for("it says goodbye", lambda: broker.bench is not None and broker.bench.state is ConnState.LOST)
        assert not _is_qemu(pid)
    finally:
        running.end(signal.SIGKILL)


def registry_folder(tmp_path: Path) -> Path:
    return Folders(tmp_path / "state").boards


def _is_qemu(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("qemu")
    except OSError:
        return False


def test_labels_are_those_of_the_example() -> None:
    assert (GOLDEN.parent / "labels.txt").read_text().split() == list(LABELS)
