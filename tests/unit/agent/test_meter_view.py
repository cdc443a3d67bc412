"""What people see of a meter: the right figures, in any width, and whether they are made up."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from rich.console import Console, RenderableType
from tests.unit.agent.test_runner import GOLDEN, MODEL

from tinyfleet.agent.adapters.metrics import BenchCollector, registry_of
from tinyfleet.agent.cli.chart import amperes, chart
from tinyfleet.agent.cli.meter_view import MeterView, as_json, summary
from tinyfleet.agent.cli.run_table import rounded, run_table
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.bench_run import Answer, RunResult, judge
from tinyfleet.agent.core.broker import Validity
from tinyfleet.agent.core.energy import Energy, Idle
from tinyfleet.agent.core.errors import BenchFileError
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.core.power.trace import Trace
from tinyfleet.agent.core.tally import Tally
from tinyfleet.agent.services.inventory import BoardStatus
from tinyfleet.agent.services.watch import Rounds
from tinyfleet.wire.enums import EnergyWindow
from tinyfleet.wire.vectors.message_vectors import BENCH, BENCH_ENERGY

REAL = Meter(
    *("PPK2", "D4F1", "calibrated by its maker", 1000, 8), simulated=False, accuracy=0.05, counts_modulo=64
)
MADE_UP = Meter("simulated PPK2", "SIMULATED-PPK2", "made up: x", 1000, 8, simulated=True)


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(what)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def some_trace() -> Trace:
    trace = Trace(1.0)
    current = np.full(1000, 100.0)
    current[200:300] = 5000.0
    trace.feed(Block(0.0, 0.0, 0.001, current.astype(np.float32), 3000.0, np.array([200, 300], np.int64)))
    return trace


@given(
    cuts=st.lists(st.integers(1, 299), max_size=6, unique=True),
    spans=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_a_trace_is_what_was_fed_however_it_was_cut(cuts: list[int], spans: int, seed: int) -> None:
    current = np.random.default_rng(seed).integers(1, 9000, 300).astype(np.float32)
    trace = Trace(0.3, spans)
    for piece in np.split(np.arange(300), sorted(cuts)):
        trace.feed(Block(0.0, piece[0] / 1000, 0.001, current[piece], 2000.0))
    assert (trace.samples, trace.lost) == (300, 0)
    assert (trace.least_ua, trace.most_ua) == (current.min(), current.max())
    assert trace.mean_ua == pytest.approx(current.mean(), rel=1e-5)
    assert trace.energy_uj == pytest.approx(current.sum() * 2 * 0.001, rel=1e-5)
    assert trace.counts.sum() == pytest.approx(300, abs=1)
    known = trace.counts > 0
    assert trace.low_ua[known].min() == current.min()
    assert (trace.high_ua[known] >= trace.low_ua[known]).all()


def test_what_comes_after_the_picture_counts_in_the_figures() -> None:
    trace = Trace(0.1, 10)
    trace.feed(
        Block(
            0.0,
            0.05,
            0.001,
            np.full(100, 7, np.float32),
            1000.0,
            gap_lost=np.array([3]),
            gap_at=np.array([50]),
        )
    )
    assert (trace.samples, trace.counts.sum(), trace.lost) == (100, 50, 3)
    assert trace.end_s == pytest.approx(0.153)


@given(
    spans=st.lists(st.none() | st.tuples(st.floats(-10, 1e6), st.floats(0, 1e5)), max_size=200),
    width=st.integers(1, 60),
    height=st.integers(1, 12),
)
def test_a_chart_fits_whatever_it_is_given(
    spans: list[tuple[float, float] | None], width: int, height: int
) -> None:
    lines, axis = chart([None if s is None else (s[0], s[0] + s[1]) for s in spans], width, height)
    assert [len(line) for line in lines] == [width] * height
    assert (axis is None) == all(span is None for span in spans)
    if axis is None:
        assert not "".join(lines).strip()


def test_a_charts_pulse_stands_where_it_was() -> None:
    lines, axis = chart([(1.0, 1.0), (1.0, 1.0), (1000.0, 1000.0), (1.0, 1.0)], width=4, height=2)
    assert axis is not None and axis.logarithmic
    assert [lines[0][i] != " " for i in range(4)] == [False, False, True, False]
    assert axis.value(0) == pytest.approx(1)
    assert axis.value(1) == pytest.approx(1000)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00 nA"), (0.25, "250 nA"), (12.34, "12.3 µA"), (4567, "4.57 mA"), (-2e6, "-2.00 A")],
)
def test_amperes(value: float, text: str) -> None:
    assert amperes(value) == text


@pytest.mark.parametrize("width", [76, 80, 140])
def test_the_view_fills_its_width_and_says_simulated(width: int) -> None:
    told = shown(MeterView("b1", MADE_UP, some_trace()), width)
    assert {len(line) for line in told.splitlines()} == {width}
    assert "simulated PPK2 SIMULATED-PPK2" in told
    assert "SIMULATED: what it tells is made up" in told
    assert "5.00 mA" in told and "mean 590 µA" in told
    real = shown(MeterView("b1", REAL, some_trace()), width)
    assert "imulated" not in real and "SIMULATED" not in real


def test_an_empty_view_is_a_view() -> None:
    assert "now 0.00 nA" in shown(MeterView("b1", REAL, Trace(1.0)))


def test_the_summary_in_figures() -> None:
    told = shown(summary("b1", MADE_UP, some_trace()), 140)
    assert "simulated" in told
    assert "1770 µJ in 1.00 s" in told
    assert "2 falling edges" in told
    assert "imulated" not in shown(summary("b1", REAL, some_trace()), 140)
    record = as_json("b1", MADE_UP, some_trace())
    assert (record["simulated"], record["edges"], record["charge_uc"]) == (True, 2, pytest.approx(590))


def result(meter: Meter | None, no_energy: str | None = None) -> RunResult:
    energy = None
    if meter is not None:
        energy = Energy(
            *(meter, EnergyWindow.EDGE, 6, 6, 412.35, 500.0, {"statistical": 3.0, "lost": 4.0}),
            *(Idle(100.0, 110.0, 1.0, 50), 0.01, 3000.0, 17, 100_000),
        )
    return judge(
        GOLDEN,
        [Answer(b"\0", 1000)] * 6,
        board="b1",
        device_type="microbit",
        emulated=True,
        model=MODEL,
        version="1.0.0",
        golden_digest=MODEL,
        stored=0,
        elapsed_s=1.0,
        finished=1,
        energy=energy,
        no_energy=no_energy,
    )


def test_a_runs_energy_says_how_it_was_measured() -> None:
    told = shown(run_table(result(REAL)), 140)
    for words in (
        "412 ± 10 µJ (k = 2)",
        "6 windows of 10 ms by the window pin's edges",
        "at least 17 of 100017",
    ):
        assert words in told
    assert "imulated" not in told and "which is not known" not in told
    made_up = shown(run_table(result(MADE_UP)), 140)
    assert "energy simulated)" in made_up, "in the title"
    assert made_up.count("simulated, made up:") == 3
    assert "without the meter's own accuracy, which is not known" in made_up
    record = result(MADE_UP).to_json()["energy"]
    assert (record["lost"], record["lost_at_least"]) == (17, False), "this one shows every loss"
    assert record["simulated"] is record["meter"]["simulated"] is True


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [(122.39998, 0.0003, "122.39998 ± 0.00030"), (-0.5, 12.0, "-0 ± 12"), (3.0, 0.0, "3.000000 ± 0.000000")],
)
def test_digits_as_uncertain_as_they_are(value: float, uncertainty: float, text: str) -> None:
    assert rounded(value, uncertainty) == text


def test_a_run_without_energy_says_why() -> None:
    told = shown(run_table(result(None, "b1: meter read: it broke off; [check] its cable")), 140)
    assert "not measured: b1: meter read: it broke off; [check] its cable" in told
    assert "an emulated board has none" in shown(run_table(result(None)))
    assert result(None, "x").to_message().energy_nj is None


def test_a_meters_accuracy_in_bench_yaml() -> None:
    meter = "{kind: ppk2, port: x, accuracy_percent: %s}"
    text = "boards: [{name: b, device_type: d, probe: p, console: c, meter: " + meter + "}]"
    spec = parse_bench(text % "2.5", "b").boards[0].meter
    assert getattr(spec, "accuracy", None) == pytest.approx(0.025)
    with pytest.raises(BenchFileError, match="accuracy_percent"):
        parse_bench(text % "0", "b")
    emulated = text.replace("probe: p", "probe: qemu-microbit-0001") % "1"
    with pytest.raises(BenchFileError, match="an emulated board draws no current"):
        parse_bench(emulated, "b")
    known = replace(result(REAL), energy=None).to_json()
    assert "energy" not in known and "no_energy" not in known


class Alone:
    """No link to a manager."""

    def connected(self) -> None:
        return None

    def certificates(self) -> dict[str, Validity]:
        return {}


def test_prometheus_is_told_whose_energy_is_made_up() -> None:
    spec = parse_bench("boards: [{name: b, device_type: d, probe: p, console: c}]", "b").boards[0]
    runs = [board.run for board in BENCH_ENERGY.boards] + [BENCH.boards[0].run]
    boards = [BoardStatus(spec.model_copy(update={"name": f"b{at}"}), run=run) for at, run in enumerate(runs)]
    collector = BenchCollector(lambda: boards, Tally, lambda: Rounds(0, 0.0, {}), Alone())
    text = generate_latest(registry_of(collector)).decode()
    told = [line for line in text.splitlines() if "inference_energy" in line and not line.startswith("#")]
    name, labels = "tinyfleet_bench_inference_energy", 'device_type="d",meter="PPK2 D4F1A2",simulated="false"'
    assert len(told) == 4, "the last one was not measured"
    assert f'{name}_joules{{board="b0",{labels},windows_by="EDGE"}} 0.00041235' in told
    assert any('b1"' in line and 'simulated="true"' in line for line in told)
    assert told == [line for line in told if "calibration" not in line], "an earlier version's has none"


def test_prometheus_is_told_the_calibration_of_what_measured() -> None:
    spec = parse_bench("boards: [{name: b, device_type: d, probe: p, console: c}]", "b").boards[0]
    board = BoardStatus(spec, run=result(MADE_UP).to_message())
    collector = BenchCollector(lambda: [board], Tally, lambda: Rounds(0, 0.0, {}), Alone())
    text = generate_latest(registry_of(collector)).decode()
    (told,) = [line for line in text.splitlines() if line.startswith("tinyfleet_bench_inference_energy_cal")]
    labels = f'board="b",calibration="{MADE_UP.calibration}",meter="{MADE_UP.label}",simulated="true"'
    assert told == f"tinyfleet_bench_inference_energy_calibration_info{{{labels}}} 1.0"
