"""Energy of known currents: to the sample, whatever the pieces, with what was lost inside the uncertainty."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyfleet.agent.core.energy import (
    Energy,
    Idle,
    Integral,
    Mark,
    energy,
    idle,
    windows_by_edges,
    wire_fields,
)
from tinyfleet.agent.core.power.samples import Block, FallingEdges, Meter
from tinyfleet.wire.enums import EnergyWindow

RATE_HZ = 10_000
METER = Meter("PPK2", "X1", "calibrated", RATE_HZ, 8, simulated=False)
IDLE_UA, BUSY_UA, SUPPLY_MV = 50.0, 5000.0, 3000.0
WINDOW, PAUSE, REST = 200, 100, 4000
"""Samples of an inference, between two, and of idling before and after."""


def profile(inferences: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Current, and before which samples the pin falls."""
    busy = np.concatenate([np.full(WINDOW, BUSY_UA), np.full(PAUSE, IDLE_UA)])
    rest = np.full(REST, IDLE_UA)
    begins = REST + np.arange(inferences) * (WINDOW + PAUSE)
    edges = np.sort(np.concatenate([begins, begins + WINDOW]))
    return np.concatenate([rest, np.tile(busy, inferences), rest]), edges


TRUE_UJ = WINDOW / RATE_HZ * (BUSY_UA - IDLE_UA) * SUPPLY_MV / 1000


def measured(
    current: NDArray[np.float64],
    edges: NDArray[np.int64],
    cuts: list[int],
    kept: NDArray[np.bool_] | None = None,
) -> Integral:
    """Fed in pieces that end at `cuts`; samples that are not `kept` are missing."""
    kept = np.ones(len(current), bool) if kept is None else kept
    integral, last = Integral(), -1
    for begin, end in pairwise([0, *sorted(set(cuts) - {0}), len(current)]):
        here = np.flatnonzero(kept[begin:end]) + begin
        if len(here) == 0:
            raise ValueError("a piece without samples")
        steps = np.diff(here, prepend=last) - 1
        last = int(here[-1])
        at = np.flatnonzero(steps)
        # An edge at a sample that is missing is seen at the next one.
        places = np.searchsorted(here, edges[(edges >= begin) & (edges < end)])
        integral.feed(
            Block(
                zero_s=7.0,
                start_s=100 + here[0] / RATE_HZ,
                period_s=1 / RATE_HZ,
                current_ua=current[here].astype(np.float32),
                supply_mv=SUPPLY_MV,
                edges=np.minimum(places, len(here) - 1),
                gap_at=at,
                gap_lost=steps[at],
            )
        )
    return integral


def result(integral: Integral, inferences: int, meter: Meter = METER) -> Energy:
    end_s = integral.end_s
    rest = idle(integral, (100.01, 100.39), (end_s - 0.39, end_s - 0.01))
    windows = windows_by_edges(integral, inferences)
    return energy(integral, meter, windows, inferences, rest, by=EnergyWindow.EDGE)


def within_samples(got: Energy) -> float:
    """The standard uncertainty of what has its edges exactly where a sample begins."""
    return math.hypot(*(part for name, part in got.parts_uj.items() if name != "edges"))


@settings(max_examples=40, deadline=None)
@given(inferences=st.integers(2, 12), cuts=st.lists(st.integers(1, 8000), max_size=12), ripple=st.booleans())
def test_a_known_profile_gives_its_energy_however_it_is_cut(
    inferences: int, cuts: list[int], ripple: bool
) -> None:
    current, edges = profile(inferences)
    if ripple:
        current = current + np.where(np.arange(len(current)) % 2, 20.0, -20.0)
    got = result(measured(current, edges, cuts), inferences)
    assert got.energy_uj == pytest.approx(TRUE_UJ, rel=1e-5)
    assert got.gross_uj == pytest.approx(WINDOW / RATE_HZ * BUSY_UA * SUPPLY_MV / 1000, rel=1e-5)
    assert got.window_s == pytest.approx(WINDOW / RATE_HZ)
    assert (got.windows, got.lost) == (inferences, 0)
    assert within_samples(got) < 0.001 * TRUE_UJ


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), part=st.sampled_from([0.001, 0.02, 0.2]))
def test_lost_samples_are_in_the_uncertainty(seed: int, part: float) -> None:
    current, edges = profile(10)
    kept = np.random.default_rng(seed).random(len(current)) >= part
    kept[::500] = kept[-1] = True
    got = result(measured(current, edges, [1500, 2000, 5500], kept), 10)
    assert got.lost == (~kept).sum()
    assert abs(got.energy_uj - TRUE_UJ) <= 2 * got.uncertainty_uj
    assert got.energy_uj == pytest.approx(TRUE_UJ, rel=0.05)


def test_the_truth_lies_within_what_is_told_as_often_as_said() -> None:
    """Noise, windows that differ, idling that drifts: 2 u hold the truth 95 times in a hundred."""
    rng, inside, trials = np.random.default_rng(11), 0, 150
    for _ in range(trials):
        current, edges = profile(12)
        busy = current == BUSY_UA
        current = current + rng.normal(0, 60, len(current)) + np.linspace(0, rng.normal(0, 4), len(current))
        current[busy] *= np.repeat(rng.normal(1, 0.01, 12), WINDOW)
        got = result(measured(current, edges, []), 12)
        inside += abs(got.energy_uj - TRUE_UJ) <= 2 * within_samples(got)
    # With 12 windows Student's t would want 2.2 for 95 %: 2 are 93 %.
    assert 0.86 < inside / trials < 0.99


def test_samples_missing_by_the_clock_count_too() -> None:
    integral = Integral()
    block = Block(0.0, 0.0, 0.001, np.full(100, 10, np.float32), 1000.0)
    integral.feed(block)
    integral.feed(Block(0.0, 0.164, 0.001, np.full(100, 10, np.float32), 1000.0, unplaced=64))
    assert integral.lost == 64
    assert integral.at(integral.end_s).energy_uj == pytest.approx(10 * 0.264)
    assert integral.end_s == pytest.approx(0.264)


def test_what_shows_behind_an_edge_belongs_to_what_was_before() -> None:
    integral = Integral()
    for at, edges in ((0.0, [2]), (0.004, [3]), (0.008, [])):
        block = Block(
            0.0, at, 0.001, np.full(4, 1000, np.float32), 1000.0, np.array(edges, np.int64), settle=2
        )
        integral.feed(block)
    assert [mark.at_s for mark in integral.edges] == pytest.approx([0.002, 0.007])
    assert [mark.at_s for mark in integral.settled] == pytest.approx([0.004, 0.009])
    ((begin, end),) = windows_by_edges(integral, 1)
    assert end.energy_uj - begin.energy_uj == pytest.approx(7)


def test_the_parts_of_the_uncertainty_by_hand() -> None:
    integral = Integral()
    integral.feed(Block(0.0, 0.0, 0.001, np.array([0, 1000], np.float32), 1000.0))
    integral.edges = [Mark(0, 0, 0), Mark(1, 100, 0), Mark(2, 100, 0), Mark(3, 210, 4)]
    integral.settled = integral.edges
    meter = Meter("PPK2", "X1", "", 1000.0, 8, simulated=False, accuracy=0.03)
    got = energy(
        integral,
        meter,
        windows_by_edges(integral, 4, each=2),
        4,
        Idle(before_uw=10.0, after_uw=14.0, scatter_uw=3.0, pieces=9),
        by=EnergyWindow.EDGE,
    )
    # Windows of 1 s with 100 and 110 uJ, less 12 uW idling, two inferences each.
    assert got.energy_uj == pytest.approx((44 + 49) / 2)
    assert got.parts_uj == pytest.approx(
        {
            "statistical": math.sqrt(12.5) / math.sqrt(2),
            "idle": 0.5 * 3 / 3,
            "drift": 0.5 * 4 / math.sqrt(12),
            "lost": 4 / 1000 * 1000 / 2 / math.sqrt(3) / 4,
            "edges": 46.5 / (1.0 * 1000) / math.sqrt(3),
            "accuracy": 52.5 * 0.03 / math.sqrt(3),
        }
    )
    assert got.uncertainty_uj == pytest.approx(math.hypot(*got.parts_uj.values()))
    # Of 6 samples more nobody knows when they were lost: the whole range of power each.
    integral.unplaced = 6
    windows = windows_by_edges(integral, 4, each=2)
    more = energy(integral, meter, windows, 4, Idle(10.0, 14.0, 3.0, 9), by=EnergyWindow.EDGE)
    assert more.parts_uj["lost"] == pytest.approx((4 / 2 + 6) / 1000 * 1000 / math.sqrt(3) / 4)
    assert got.accuracy_known
    fields = wire_fields(got.to_json())
    assert (fields["energy_nj"], fields["energy_simulated"], fields["meter"]) == (46_500, False, "PPK2 X1")
    assert (fields["calibration"], fields["energy_samples"]) == ("", 2)
    long = wire_fields(replace(got, meter=replace(meter, calibration="å" * 50)).to_json())
    assert long["calibration"] == "å" * 36


def test_edges_are_known_to_a_sample_however_many_windows() -> None:
    """A board whose inferences fall on the same place of a sample each time: no scatter tells of it."""
    fine, length, inferences = 100, 2467, 20
    true_uj = length / fine / RATE_HZ * (BUSY_UA - IDLE_UA) * SUPPLY_MV / 1000
    off = []
    for phase in range(0, fine, 20):
        pulse = np.concatenate([np.full(length, BUSY_UA), np.full(60 * fine - length, IDLE_UA)])
        begins = 400 * fine + phase + np.arange(inferences) * len(pulse)
        current = np.full(2000 * fine, IDLE_UA)
        current[begins[0] : begins[0] + inferences * len(pulse)] = np.tile(pulse, inferences)
        # The first sample taken while the pin is low.
        edges = -(-np.sort(np.concatenate([begins, begins + length])) // fine)
        integral = measured(current.reshape(-1, fine).mean(axis=1), edges, [])
        rest = idle(integral, (100.0, 100.03), (integral.end_s - 0.03, integral.end_s))
        windows = windows_by_edges(integral, inferences)
        got = energy(integral, METER, windows, inferences, rest, by=EnergyWindow.EDGE)
        off.append(abs(got.energy_uj - true_uj))
        assert within_samples(got) < 1e-3, got.parts_uj
        assert off[-1] <= 2 * got.uncertainty_uj
    assert max(off) > 0.02 * true_uj, "of 25 samples"


def test_a_window_shorter_than_a_sample_is_none() -> None:
    """It would be an energy of nothing with an uncertainty of nothing."""
    current, _ = profile(2)
    integral = measured(current, np.array([5000, 5000, 6000, 6000]), [])
    with pytest.raises(ValueError, match="less than a sample of the meter apart"):
        windows_by_edges(integral, 2)


def test_one_window_has_the_scatter_of_idling() -> None:
    rng = np.random.default_rng(2)
    current = np.full(20_000, 100.0) + rng.normal(0, 10, 20_000)
    integral = measured(current, np.array([5000, 15_000]), [])
    rest = idle(integral, (100.1, 100.4), (101.6, 101.9))
    got = energy(
        integral, METER, [(integral.at(100.5), integral.at(101.5))], 100, rest, by=EnergyWindow.TIMESTAMP
    )
    assert abs(got.energy_uj) < 3 * got.uncertainty_uj, "nothing but idling: nothing within its uncertainty"
    assert "accuracy" not in got.parts_uj
    assert got.to_json()["accuracy_known"] is False


def test_what_cannot_be_measured_is_refused() -> None:
    integral = Integral()
    with pytest.raises(ValueError, match="no samples of that moment"):
        integral.at(0)
    integral.feed(Block(0.0, 1.0, 0.001, np.zeros(0, np.float32), 1000.0))
    integral.feed(Block(0.0, 1.0, 0.001, np.ones(1000, np.float32), 1000.0))
    with pytest.raises(ValueError, match="too shortly"):
        idle(integral, (1.0, 1.011), (1.5, 1.9))
    mark = Mark(0, 0, 0)
    integral.edges = integral.settled = [mark] * 3
    with pytest.raises(ValueError, match="fell 3 times, expected 4"):
        windows_by_edges(integral, 2)
    with pytest.raises(ValueError, match="3 inferences in 2 windows"):
        energy(integral, METER, [(mark, mark)] * 2, 3, Idle(0, 0, 0, 3), by=EnergyWindow.EDGE)


def test_a_run_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyfleet.agent.core.energy.STEPS_MAX", 20)
    integral = Integral()
    with pytest.raises(ValueError, match="hours of samples in one run"):
        for at in range(30):
            integral.feed(Block(0.0, at * 0.01, 0.001, np.ones(10, np.float32), 1000.0))


def test_edges_over_pieces() -> None:
    edges = FallingEdges(2)
    low, high = 0b11111011, 0b100
    found = [
        edges.find(np.array(piece, np.uint8)).tolist()
        for piece in ([low, high, high], [], [low, low, high], [high, low])
    ]
    assert found == [[], [], [0], [1]]
    assert FallingEdges(2).find(np.array([low, low], np.uint8)).tolist() == []


def test_a_pin_that_nobody_drives_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loose wire hears its neighbours: a hundred thousand edges a second."""
    monkeypatch.setattr("tinyfleet.agent.core.energy.EDGES_MAX", 100)
    integral = Integral()
    block = Block(
        zero_s=0.0,
        start_s=0.0,
        period_s=1 / RATE_HZ,
        current_ua=np.full(60, IDLE_UA, np.float32),
        supply_mv=SUPPLY_MV,
        edges=np.arange(60),
    )
    integral.feed(block)
    with pytest.raises(ValueError, match="the window pin fell more than 100 times"):
        integral.feed(replace(block, start_s=60 / RATE_HZ))
    assert len(integral.edges) == 60
