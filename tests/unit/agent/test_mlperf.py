"""MLPerf Tiny's protocol with an imitation of the reference firmware, as compliant as those in the field."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.agent.fakes import FakeClock
from tests.unit.agent.reference_firmware import ROOM_BYTES, Quirks, ReferenceFirmware

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.mlperf_data import Slices, folder_set, raw_set
from tinyfleet.agent.cli.mlperf_table import mlperf_table
from tinyfleet.agent.core.errors import ConsoleError, MeterError, NoMeterError, PlanError, StepFailed
from tinyfleet.agent.core.mlperf import LINE_MAX_BYTES, ReplyParser, load_commands
from tinyfleet.agent.core.mlperf_run import (
    EMULATED,
    MlperfResult,
    Mode,
    Sample,
    area_under_curve,
    inferences_for,
    top_of,
)
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.services.mlperf_client import MlperfClient
from tinyfleet.agent.services.mlperf_runner import EdgeWindow, MlperfRunner, MlperfSet
from tinyfleet.agent.services.pin_meter import PinMeter
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import Timing

INPUTS = [bytes([i]) * 490 for i in range(8)]
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30)


def scores(data: bytes) -> list[float]:
    """Class of the first byte, among three."""
    return [0.9 if data[:1] and data[0] % 3 == i else 0.05 for i in range(3)]


def samples(label: int = 0) -> MlperfSet:
    each = [Sample(str(i), (i + label) % 3, (data,)) for i, data in enumerate(INPUTS)]
    return MlperfSet(lambda benchmark: each, True, hashlib.sha256(b"").digest())


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("b1")
    yield worker
    worker.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def run(
    worker: BoardWorker,
    clock: FakeClock,
    board: ReferenceFirmware,
    mode: Mode,
    data: MlperfSet,
    **more: object,
) -> MlperfResult:
    runner = MlperfRunner(board.open, clock)
    options: dict[str, object] = {"device_type": "any", "emulated": False, **more}
    result = runner.run(worker, "b1", 115_200, mode, data, **options)  # type: ignore[arg-type]
    assert board.closed
    return result


FIRMWARES = {
    "by the book": Quirks(),
    "trailing comma": Quirks(trailing_comma=True),
    "bare line feeds": Quirks(end="\n"),
    "bare carriage returns": Quirks(end="\r"),
    "results in pieces": Quirks(split=True, trailing_comma=True),
    "text before replies": Quirks(before="[00:00:01] <inf> "),
    "slow start": Quirks(deaf=len("name%") * 3),
    "half a command before": Quirks(deaf=2),
    "results when asked": Quirks(silent_results=True),
    "a byte lost in digits": Quirks(lose={200}),
    "the end of a command lost": Quirks(lose={len("name%profile%db load 490%db ") + 63}),
}


@pytest.mark.parametrize("quirks", FIRMWARES.values(), ids=FIRMWARES.keys())
def test_accuracy_with_every_firmware(quirks: Quirks, worker: BoardWorker, clock: FakeClock) -> None:
    board = ReferenceFirmware(clock, scores, quirks=dataclasses.replace(quirks))
    seen: list[tuple[int, int]] = []
    result = run(
        worker,
        clock,
        board,
        Mode.ACCURACY,
        samples(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (result.name, result.benchmark) == ("imitation", "kws01")
    record = result.run
    assert (record.windows, record.labelled, record.correct, record.accuracy) == (8, 8, 8, 1.0)
    assert (record.latency_min_us, record.latency_max_us, record.timing) == (1000, 1000, Timing.WALL)
    assert result.objections == ()
    assert (record.model, record.compared) == (b"", 0), "its protocol has no digest"
    assert seen[-1] == (8, 8)
    assert [command for command in board.commands if command.startswith("infer")] == ["infer 1 0"] * 8
    assert not any(command.count("db") > 1 for command in board.commands), "no input behind half a command"


def test_a_wrong_model_is_below_its_quality(worker: BoardWorker, clock: FakeClock) -> None:
    result = run(worker, clock, ReferenceFirmware(clock, scores), Mode.ACCURACY, samples(1), emulated=True)
    assert (result.run.correct, result.run.timing) == (0, Timing.INSTRUCTIONS)
    assert result.objections == (EMULATED, "top-1 0.000 is below 0.9")


def test_input_goes_as_the_public_runner_sends_it() -> None:
    commands = list(load_commands(bytes(range(64))))
    assert commands[0] == b"db load 64%"
    assert commands[1] == b"db " + bytes(range(31)).hex().encode() + b"%"
    assert [len(command) for command in commands] == [11, 66, 66, 8]


@pytest.mark.parametrize("infer_us", [3.0, 1000.0, 250_000.0, 4e6])
def test_windows_are_ten_seconds_on_the_board(infer_us: float, worker: BoardWorker, clock: FakeClock) -> None:
    # Its clock has 32 bits, and starts over in the middle.
    board = ReferenceFirmware(clock, scores, infer_us=infer_us, ticks_us=2**32 - 30_000_000)
    result = run(worker, clock, board, Mode.PERFORMANCE, samples())
    assert len(result.windows) == 5
    assert all(10e6 <= window.duration_us < 15e6 for window in result.windows)
    assert result.throughput == pytest.approx(1e6 / infer_us, rel=1e-3)
    assert (result.objections, result.run.windows) == ((), 5)
    assert result.run.latency_median_us == round(infer_us)
    measured = [command for command in board.commands if command.startswith("infer")][-5:]
    assert all(command.endswith(" 10") for command in measured), "warm-ups of its script"


def test_a_board_that_gets_faster_measures_again(worker: BoardWorker, clock: FakeClock) -> None:
    board = ReferenceFirmware(clock, scores)

    def answer(data: bytes) -> list[float]:
        if int(board.commands[-1].split()[1]) > 5000:
            board._infer_us = 500.0  # behind the first window, as with caches that are warm now
        return scores(data)

    board._answer = answer
    result = run(worker, clock, board, Mode.PERFORMANCE, samples())
    assert min(window.duration_us for window in result.windows) >= 10e6
    assert result.windows[-1].throughput == pytest.approx(2000, rel=1e-3)
    assert result.windows[1].inferences > result.windows[0].inferences


class Edges:
    """What a meter sees of the imitation's pin, at 3 mW."""

    label, calibration = "a meter", "last year"

    def __init__(self, board: ReferenceFirmware) -> None:
        self._board = board
        self.running: bool | None = None

    def start(self) -> None:
        self.running = True

    def arm(self) -> None:
        self._board.edges_us.clear()

    def window(self, timeout_s: float) -> EdgeWindow:
        begin_us, end_us = self._board.edges_us
        return EdgeWindow(end_us - begin_us, (end_us - begin_us) * 3e-3, lost=1)

    def stop(self) -> None:
        self.running = False


def test_energy_is_between_the_edges_of_the_pin(worker: BoardWorker, clock: FakeClock) -> None:
    board = ReferenceFirmware(clock, scores, quirks=Quirks(energy=True), infer_us=2000.0)
    meter = Edges(board)
    result = run(worker, clock, board, Mode.ENERGY, samples(), meter=meter)
    assert meter.running is False
    assert result.energy_uj == pytest.approx(6.0)
    assert (result.meter, result.to_json()["calibration"]) == ("a meter", "last year")
    assert result.objections == ("5 samples of the meter were lost",)
    assert max(len(command) for command in board.commands) == 3 + 2 * 26
    assert "energy_per_inference_uj" in result.to_json()
    with pytest.raises(PlanError, match="energy mode needs a meter"):
        run(worker, clock, board, Mode.ENERGY, samples())


def test_a_meter_that_cannot_be_stopped_keeps_no_console(worker: BoardWorker, clock: FakeClock) -> None:
    """And what went wrong first is told."""
    board = ReferenceFirmware(clock, scores, quirks=Quirks(energy=True))
    meter = Edges(board)

    def gone(*_: object) -> None:
        raise MeterError("b1", "meter stop", "it was pulled out", "plug it in")

    meter.stop = gone  # type: ignore[method-assign]
    with pytest.raises(MeterError, match="b1: meter stop: it was pulled out"):
        run(worker, clock, board, Mode.ENERGY, samples(), meter=meter)
    assert board.closed

    fast = ReferenceFirmware(clock, scores)
    with pytest.raises(ConsoleError, match="tells times on the line, not on its pin"):
        run(worker, clock, fast, Mode.ENERGY, samples(), meter=meter)
    assert fast.closed


class ScriptedMeter:
    """`services.power_ports.PowerMeter` that measures 2 mW at 1 kHz; its pin falls before these samples."""

    def __init__(self, falls: list[int] | None, *, simulated: bool = False) -> None:
        self.meter = Meter("PPK2", "7", "none", 1000.0, 8, simulated)
        self._falls = falls
        self._at = 0
        self.begin = threading.Event()
        self.closed = False

    def supply(self, on: bool) -> None: ...

    def start(self) -> None: ...

    def read(self, timeout_s: float) -> Block | None:
        if not self.begin.wait(timeout_s) or self._at > 2000:
            return None
        start, self._at = self._at, self._at + 100
        edges = None
        if self._falls is not None:
            edges = np.array([fall - start for fall in self._falls if start <= fall < self._at], np.int64)
        return Block(0.0, start / 1000, 0.001, np.full(100, 1000, np.float32), 2000.0, edges)

    def stop(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def test_the_windows_that_a_meter_sees_on_the_pin() -> None:
    scripted = ScriptedMeter([150, 1150])
    meter = PinMeter("b1", lambda: scripted, SystemClock())
    meter.start()
    meter.arm()
    scripted.begin.set()
    window = meter.window(5.0)
    assert (window.duration_us, window.energy_uj) == (pytest.approx(1e6), pytest.approx(2000.0, rel=1e-6))
    assert (meter.label, meter.calibration) == ("PPK2 7", "none")
    meter.arm()
    with pytest.raises(MeterError, match="b1: window edges: the window pin fell 0 times, expected 2"):
        meter.window(0.05)
    meter.stop()
    assert scripted.closed
    unwatched = ScriptedMeter(None)
    unwatched.begin.set()
    blind = PinMeter("b1", lambda: unwatched, SystemClock())
    blind.start()
    with pytest.raises(MeterError, match="logic inputs are not watched"):
        blind.window(0.05)
    blind.stop()
    made_up = PinMeter("b1", lambda: ScriptedMeter([], simulated=True), SystemClock())
    with pytest.raises(NoMeterError, match="cannot see the board's window pin"):
        made_up.start()
    made_up.stop()


def test_what_is_no_measurement_is_refused(worker: BoardWorker, clock: FakeClock) -> None:
    energy = ReferenceFirmware(clock, scores, quirks=Quirks(energy=True))
    with pytest.raises(ConsoleError, match=r"0 times, expected 2; .*an energy build tells none"):
        run(worker, clock, energy, Mode.PERFORMANCE, samples())
    fast = ReferenceFirmware(clock, scores)
    with pytest.raises(ConsoleError, match="tells times on the line, not on its pin"):
        run(worker, clock, fast, Mode.ENERGY, samples(), meter=Edges(fast))
    nothing = ReferenceFirmware(clock, lambda data: [])
    with pytest.raises(ConsoleError, match="results without a value"):
        run(worker, clock, nothing, Mode.ACCURACY, samples())


def test_refusals_are_told_in_the_boards_words(clock: FakeClock) -> None:
    board = ReferenceFirmware(clock, scores)
    client = MlperfClient("b1", board, clock, 115_200)
    client.start()
    with pytest.raises(
        ConsoleError, match=f"does not take 4000 bytes: Supplied buffer size 4000 .* {ROOM_BYTES}"
    ):
        client.load(bytes(4000))
    with pytest.raises(StepFailed, match=r"b1: infer: the board says: Unknown command: x"):
        client._ask("infer", b"x%")
    assert sum(command == "db load 4000" for command in board.commands) == 3, "tried again"


def test_a_silent_board_and_one_that_never_ends(clock: FakeClock) -> None:
    board = ReferenceFirmware(clock, scores, quirks=Quirks(deaf=10_000))
    with pytest.raises(ConsoleError, match="b1: name: no m-ready within 16 s; it said nothing"):
        MlperfClient("b1", board, clock, 115_200).start()


@given(st.binary(max_size=300), st.data())
@settings(max_examples=200)
def test_whatever_comes_is_taken(noise: bytes, data: st.DataObject) -> None:
    """Cut anywhere, the same replies come out; noise before one reply spoils no later one."""
    stream = noise + b"\r\nm-ready\r\nm-lap-us-5\nm-results-[0.5,-1e3,]\r\nm-ready\r\n"
    whole = ReplyParser().feed(stream)
    parser, got = ReplyParser(), []
    rest = stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        got += parser.feed(rest[:size])
        rest = rest[size:]
    assert got == whole
    assert whole[-1].results == (0.5, -1000.0) and whole[-1].laps_us == (5,)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=12),
    st.booleans(),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.lists(TEXT, max_size=3),
)
def test_results_are_read_as_they_were_printed(
    values: list[float], comma: bool, end: str, texts: list[str]
) -> None:
    printed = ",".join(f"{value:.3f}" for value in values) + ("," if comma else "")
    safe = [text for text in texts if "m-" not in text and "e-[" not in text]
    said = end.join([*safe, f"m-results-[{printed}]", "m-ready"]) + end
    (reply,) = ReplyParser().feed(said.encode())
    assert reply.results == tuple(float(f"{value:.3f}") for value in values)
    assert reply.text == tuple(text.strip() for text in safe if text.strip())


@pytest.mark.parametrize("said", ["m-results-[a,b]", "m-results-[]", "m-results-[,]", "m-results-[0.5"])
def test_results_that_are_none(said: str) -> None:
    (reply,) = ReplyParser().feed(said.encode() + b"\r\nm-ready\r\n")
    assert reply.results is None and reply.nonsense


def test_a_line_without_end_is_bounded() -> None:
    parser = ReplyParser()
    parser.feed(b"x" * (3 * LINE_MAX_BYTES))
    (reply,) = parser.feed(b"\nm-[Expecting 7 bytes]\nm-load-done\nm-ready\n")
    assert (reply.expecting, reply.loaded, len(reply.text)) == (7, True, 3)


def test_area_under_curve_against_its_definition() -> None:
    rng = np.random.default_rng(1)
    marks = rng.integers(0, 5, 60).astype(float).tolist()
    labels = rng.integers(0, 2, 60).tolist()
    pairs = [
        (a > b) + (a == b) / 2
        for a, one in zip(marks, labels, strict=True)
        for b, other in zip(marks, labels, strict=True)
        if one and not other
    ]
    assert area_under_curve(marks, labels) == pytest.approx(sum(pairs) / len(pairs))
    assert area_under_curve([1.0, 2.0], [1, 1]) is None
    assert area_under_curve([1.0, 2.0, 3.0], [0, 0, 1]) == 1.0
    assert (top_of([0.1, 0.7, 0.7]), inferences_for(1e6), inferences_for(2e7)) == (1, 11, 1)
    assert math.isclose(inferences_for(0.5) * 0.5, 10.3e6, rel_tol=1e-6)


def test_a_folder_as_mlcommons_has_it(tmp_path: Path, worker: BoardWorker, clock: FakeClock) -> None:
    """Anomalies: a file is a stretch of time, its windows slide, and their mean error is its score."""
    folder = tmp_path / "ad01"
    folder.mkdir()
    normal, broken = bytes([1] * 100), bytes([200] * 100)
    (folder / "normal.bin").write_bytes(normal)
    (folder / "broken.bin").write_bytes(broken)
    (folder / "y_labels.csv").write_text("normal.bin,2,0,40,20\nbroken.bin, 2, 1, 40, 20\n")
    board = ReferenceFirmware(clock, lambda data: [data[0] / 10], model="ad01")
    result = run(worker, clock, board, Mode.ACCURACY, folder_set(tmp_path))
    assert (result.auc, result.run.windows, result.run.labelled, result.objections) == (1.0, 8, 0, ())
    assert list(Slices(bytes(range(10)), 4, 3)) == [b"\0\1\2\3", b"\3\4\5\6", b"\6\7\x08\x09"]
    assert Slices(bytes(range(10)), 4, 3)[1:] == [b"\3\4\5\6", b"\6\7\x08\x09"]
    with pytest.raises(PlanError, match="has no set of 'kws01'"):
        run(worker, clock, ReferenceFirmware(clock, scores), Mode.ACCURACY, folder_set(tmp_path))
    first = folder_set(folder, 1).inputs_for("ad01")
    assert [sample.name for sample in first] == ["normal.bin"]
    shown = mlperf_table(result)
    assert shown.row_count > 5


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("a.bin,2", "y_labels.csv:1: expected file,classes,class"),
        ("a.bin,2,x", "y_labels.csv:1: expected"),
        ("../y,2,0", "is outside of"),
        ("absent,2,0", "cannot read .*absent"),
        ("a.bin,2,0,400,20", "has 3 bytes, expected at least 400"),
    ],
)
def test_folders_that_do_not_add_up(table: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    (tmp_path / "y_labels.csv").write_text(table)
    with pytest.raises(PlanError, match=complaint):
        folder_set(tmp_path).inputs_for("kws01")


def test_sets_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    np.savez(path, windows=np.arange(6, dtype=np.uint8).reshape(3, 2), labels=np.array([2, 1, 0]))
    got = raw_set(path, 2)
    assert [(s.inputs, s.label) for s in got.inputs_for("any")] == [((b"\0\1",), 2), ((b"\2\3",), 1)]
    np.savez(path, windows=np.zeros((3, 2), np.int16))
    with pytest.raises(PlanError, match="raw sensor values need their model"):
        raw_set(path)
    with pytest.raises(PlanError, match=r"has no y_labels.csv"):
        folder_set(tmp_path)
