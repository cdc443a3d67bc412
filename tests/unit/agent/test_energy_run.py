"""A run's energy: by the pin, by times where there is none, and why not when the meter fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.servers import wait_for
from tests.unit.agent.fakes import FakeClock, FakeConsole
from tests.unit.agent.test_runner import GOLDEN, board

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.power.port import MeterPort
from tinyfleet.agent.adapters.power.ppk2 import BAUD, Ppk2
from tinyfleet.agent.adapters.power.simulated import SimulatedMeter
from tinyfleet.agent.adapters.power.simulated_lpm01a import SimulatedLpm01a
from tinyfleet.agent.adapters.power.simulated_ppk2 import SimulatedPpk2
from tinyfleet.agent.core.errors import MeterError
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.core.tally import METER_LOST, METER_SAMPLES, Metric
from tinyfleet.agent.services import metering
from tinyfleet.agent.services.energy import EnergyRun
from tinyfleet.agent.services.runner import Runner
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import EnergyWindow

CLOCK = SystemClock()
IDLE_S = 0.25


class Counter:
    """`services.ports.Counting`."""

    def __init__(self) -> None:
        self.told: list[tuple[Metric, float, dict[str, str]]] = []

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        self.told.append((metric, amount, labels))

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        raise NotImplementedError


def simulated(device: SimulatedPpk2 | SimulatedLpm01a) -> Callable[[], SimulatedMeter]:
    return lambda: SimulatedMeter(device, "b1", CLOCK)


def test_energy_by_the_pin_is_that_of_the_profile() -> None:
    device, counter = SimulatedPpk2(), Counter()
    with EnergyRun("b1", simulated(device), CLOCK, counter, IDLE_S) as run:
        wait_for("samples", lambda: device.sent > 0)
        # As a board that marks its start: before the run, it is none of its windows.
        device.profile.inferred(1)
        wait_for("the end of the pulse", lambda: device.sent > 4000)
        run.begin()
        for _ in range(10):
            run.inferred(2)
        run.end(20, busy_s=0.1)
    assert run.why_not is None
    assert run.result is not None
    expected_uj = device.profile.shape.energy_uj(3000)
    assert run.result.energy_uj == pytest.approx(expected_uj, rel=0.005)
    assert abs(run.result.energy_uj - expected_uj) < 5 * run.result.uncertainty_uj
    assert (run.result.by, run.result.windows) == (EnergyWindow.EDGE, 20)
    assert run.result.simulated
    assert run.result.window_s == pytest.approx(0.010, abs=5e-5)
    assert run.result.idle.mean_uw == pytest.approx(360, rel=0.005)
    (samples, count, labels), (lost, none, _) = counter.told
    assert (samples, lost, none) == (METER_SAMPLES, METER_LOST, 0)
    assert count > 100_000 * 2 * IDLE_S
    assert labels == {"board": "b1", "meter": "simulated PPK2", "simulated": "true"}


def test_an_lpm01a_sees_edges_as_finely_as_it_samples() -> None:
    device = SimulatedLpm01a()
    with EnergyRun("b1", simulated(device), CLOCK, None, IDLE_S) as run:
        run.begin()
        run.inferred(30)
        run.end(30, busy_s=0.1)
    assert run.result is not None, run.why_not
    assert run.result.energy_uj == pytest.approx(device.profile.shape.energy_uj(3300), rel=0.15)
    assert (run.result.by, run.result.windows) == (EnergyWindow.EDGE, 30)


def test_without_a_pin_the_console_tells_when_and_the_record_says_so() -> None:
    device = SimulatedPpk2()
    device.start()

    def open_meter() -> Ppk2:
        port = MeterPort("b1", device.address, BAUD)
        return Ppk2(port, CLOCK, supply_mv=3000, source=True, window_input=None, simulated=True)

    try:
        with EnergyRun("b1", open_meter, CLOCK, None, IDLE_S) as run:
            run.begin()
            device.profile.inferred(10)
            begun = device.sent
            # As a runner waits for answers.
            wait_for("the end of the pulses", lambda: device.sent > begun + 25_000)
            run.end(10, busy_s=0.1)
    finally:
        device.close()
    assert run.result is not None, run.why_not
    assert (run.result.by, run.result.windows) == (EnergyWindow.TIMESTAMP, 1)
    assert run.result.energy_uj == pytest.approx(device.profile.shape.energy_uj(3000), rel=0.005)
    assert run.result.note is not None
    assert run.result.note.startswith("by the board's time stamps 0.1 s of 0.")
    assert run.result.note.endswith("what it did between them, talking too, is in the energy")


def test_edges_that_do_not_fit_are_not_believed() -> None:
    device = SimulatedPpk2()
    with EnergyRun("b1", simulated(device), CLOCK, None, IDLE_S) as run:
        run.begin()
        run.inferred(9)
        run.end(10, busy_s=0.1)
    assert run.result is not None, run.why_not
    assert run.result.by is EnergyWindow.TIMESTAMP
    assert run.result.note is not None
    assert "the window pin fell 18 times, expected 20" in run.result.note


def test_a_meter_unplugged_during_the_run_leaves_a_reason() -> None:
    device = SimulatedPpk2()
    with EnergyRun("b1", simulated(device), CLOCK, None, IDLE_S) as run:
        run.begin()
        device.close()
        run.inferred(10)
        begun_s = time.monotonic()
        run.end(10, busy_s=0.1)
        assert time.monotonic() - begun_s < 5
    assert run.result is None
    assert run.why_not is not None
    assert "b1: meter read" in run.why_not and "unplugged" in run.why_not


def test_a_meter_that_is_not_there_leaves_a_reason() -> None:
    def none() -> SimulatedMeter:
        raise MeterError("b1", "meter open", "cannot open /dev/none", "is it plugged in?")

    with EnergyRun("b1", none, CLOCK, None, IDLE_S) as run:
        run.begin()
        run.inferred(1)
        run.end(1, busy_s=0.1)
    assert (run.result, run.why_not) == (None, "b1: meter open: cannot open /dev/none; is it plugged in?")


class Silent:
    """`services.power_ports.PowerMeter` without a sample."""

    meter = Meter("PPK2", "X", "", 100_000, 8, simulated=False)
    closed = False

    def supply(self, on: bool) -> None:
        pass

    def start(self) -> None:
        pass

    def read(self, timeout_s: float) -> Block | None:
        time.sleep(0.001)
        return None

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_a_meter_without_samples_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "SILENT_S", 0.1)
    silent = Silent()
    with EnergyRun("b1", lambda: silent, CLOCK, None, IDLE_S) as run:
        run.begin()
        run.end(1, busy_s=0.1)
    assert run.why_not == "b1: meter read: no sample for 0.1 s; is the meter still plugged in?"
    assert silent.closed


def test_a_run_that_fails_stops_the_meter() -> None:
    device = SimulatedPpk2()
    with pytest.raises(ZeroDivisionError), EnergyRun("b1", simulated(device), CLOCK, None, IDLE_S) as run:
        run.begin()
        raise ZeroDivisionError
    assert not device._thread.is_alive()
    assert (run.result, run.why_not) == (None, None)


def test_an_emulated_board_has_no_measured_energy() -> None:
    """Whatever a real meter says: it is none of the board's."""
    device = SimulatedPpk2()

    def as_if_real() -> SimulatedMeter:
        meter = SimulatedMeter(device, "b1", CLOCK)
        meter._meter.meter = replace(meter.meter, simulated=False)
        return meter

    worker = BoardWorker("b1")
    try:
        with EnergyRun("b1", as_if_real, CLOCK, None, IDLE_S) as run:
            console = FakeConsole(FakeClock(), board)
            runner = Runner(console, SystemClock())
            result = runner.run(worker, "c", 115_200, GOLDEN, emulated=True, energy=run)
    finally:
        worker.close()
    assert run.result is not None and not run.result.simulated
    assert result.exact
    assert (result.energy, result.no_energy) == (
        None,
        "the board is emulated: what the meter measures is none of its",
    )
