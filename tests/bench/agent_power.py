"""The PPK2: how fast samples are decoded, whether every lost one is counted, a known profile's energy.

No meter is measured with: samples are made here, for the energy by a simulated PPK2 on a terminal. Seconds
are those of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.bench.report import Figure
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.power.simulated import PPK2_MV, SimulatedMeter
from tinyfleet.agent.adapters.power.simulated_ppk2 import METADATA, SimulatedPpk2
from tinyfleet.agent.core.energy import COVERAGE
from tinyfleet.agent.core.power.ppk2 import Ppk2Decoder
from tinyfleet.agent.core.power.ppk2_calibration import current_table, parse_metadata, sample_current_ua
from tinyfleet.agent.services.energy import EnergyRun

SPEED_BAR: Final = 100.0
ENERGY_BAR_PCT: Final = 0.5
_SAMPLES: Final = 4 << 20
_PIECE: Final = 1 << 18
_PASSES: Final = 5
_HOLD: Final = 1000
"""Samples between two changes of range: 50 inferences a second."""
_DROPPED: Final = 0.001
_INFERENCES: Final = 100
_CALIBRATION: Final = parse_metadata(METADATA)


def figures() -> list[Figure]:
    return [*_speeds(), _drops(), *_energy()]


def _words(hold: int) -> NDArray[np.uint32]:
    """A counter, noise for the converter, and two ranges in turn."""
    rng = np.random.default_rng(1)
    place = np.arange(_SAMPLES)
    ranges = np.where(place // hold % 2, 2, 0)
    upper = ranges << 14 | place % 64 << 18 | (place // hold % 2) << 24
    return (rng.integers(0, 1 << 14, _SAMPLES) | upper).astype("<u4")


def _decode(data: bytes) -> Ppk2Decoder:
    decoder = Ppk2Decoder(current_table(_CALIBRATION, PPK2_MV))
    for at in range(0, len(data), _PIECE):
        decoder.feed(data[at : at + _PIECE])
    decoder.flush()
    return decoder


def _by_formula(words: NDArray[np.uint32]) -> None:
    for at in range(0, len(words), _PIECE // 4):
        sample_current_ua(_CALIBRATION, PPK2_MV, words[at : at + _PIECE // 4])


def _rate(work: Callable[[], object], samples: int) -> float:
    """Million samples a second of a core's time: the best of some passes, as others use the core's caches."""
    best = float("inf")
    for _ in range(_PASSES):
        begun_s = time.process_time()
        work()
        best = min(best, time.process_time() - begun_s)
    return samples / best / 1e6


def _speeds() -> list[Figure]:
    made = []
    for name, hold in (("range changes every 10 ms", _HOLD), ("one range", _SAMPLES)):
        words = _words(hold)
        data = words.tobytes()
        rate = _rate(partial(_decode, data), _SAMPLES)
        formula = _rate(partial(_by_formula, words), _SAMPLES)
        made.append(
            Figure(
                metric=f"PPK2, decode, {name}",
                value=rate,
                unit="MS/s a core",
                peer=f"the formula alone for each sample, numpy: {formula:.1f} MS/s",
                ratio=rate / formula,
                bar=f"≥ {SPEED_BAR:g}",
                ok=rate >= SPEED_BAR,
            )
        )
    return made


def _drops() -> Figure:
    words = _words(_HOLD)
    kept = np.random.default_rng(2).random(len(words)) >= _DROPPED
    kept[0], kept[-20:] = True, True
    decoder = _decode(words[kept].tobytes())
    dropped = int((~kept).sum())
    return Figure(
        metric="PPK2, 0.1 % of the samples dropped: counted",
        value=decoder.lost,
        unit="samples",
        peer=f"{dropped} of {len(words)} dropped",
        ratio=decoder.lost / dropped,
        bar=f"= {dropped}",
        ok=decoder.lost == dropped and decoder.received == int(kept.sum()),
    )


def _energy() -> list[Figure]:
    return [_energy_with(name, part) for name, part in (("no loss", 0.0), ("0.1 % lost", _DROPPED))]


def _energy_with(name: str, part: float) -> Figure:
    rng, clock = np.random.default_rng(3), SystemClock()
    device = SimulatedPpk2(drop=lambda count: rng.random(count) < part)
    with EnergyRun("bench", lambda: SimulatedMeter(device, "bench", clock), clock) as run:
        run.begin()
        run.inferred(_INFERENCES)
        run.end(_INFERENCES, _INFERENCES * device.profile.shape.busy_s)
    true_uj = device.profile.shape.energy_uj(PPK2_MV)
    if run.result is None:
        raise RuntimeError(f"no energy: {run.why_not}")
    off_pct = 100 * (run.result.energy_uj / true_uj - 1)
    told_pct = 100 * COVERAGE * run.result.uncertainty_uj / true_uj
    return Figure(
        metric=f"PPK2 (simulated), energy an inference, {name}: off by",
        value=off_pct,
        unit="%",
        peer=f"{true_uj:.1f} µJ put in; ± {told_pct:.2g} % (k = {COVERAGE:g}) told",
        bar=f"within {ENERGY_BAR_PCT:g}",
        ok=abs(off_pct) <= ENERGY_BAR_PCT,
    )
