"""Simulated meters: the real adapters, at the other end of whose port nothing is real."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.adapters.power.lpm01a import Lpm01a
from tinyfleet.agent.adapters.power.port import MeterPort
from tinyfleet.agent.adapters.power.ppk2 import BAUD, Ppk2
from tinyfleet.agent.adapters.power.simulated_lpm01a import SimulatedLpm01a
from tinyfleet.agent.adapters.power.simulated_ppk2 import SERIAL, WINDOW_INPUT, SimulatedPpk2
from tinyfleet.agent.core.power.lpm01a import BAUD as LPM01A_BAUD
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.services.ports import Clock

PPK2_MV = 3000
LPM01A_MV = 3300
LPM01A_HZ = 1000


def dropping(part: float) -> Callable[[int], NDArray[np.bool_]]:
    """That part of the samples, at random, the same ones each time."""
    random = np.random.default_rng(1)
    return lambda count: random.random(count) < part


class SimulatedMeter:
    """`services.power_ports.PowerMeter` and `MadeUp`; ends its device with itself."""

    def __init__(self, device: SimulatedPpk2 | SimulatedLpm01a, board: str, clock: Clock) -> None:
        self.device = device
        device.start()
        try:
            self._meter = _reader(device, board, clock)
        except BaseException:
            device.close()
            raise

    @property
    def meter(self) -> Meter:
        return self._meter.meter

    def supply(self, on: bool) -> None:
        self._meter.supply(on)

    def start(self) -> None:
        self._meter.start()

    def read(self, timeout_s: float) -> Block | None:
        return self._meter.read(timeout_s)

    def stop(self) -> None:
        self._meter.stop()

    def inferred(self, count: int) -> None:
        self.device.profile.inferred(count)

    def close(self) -> None:
        try:
            self._meter.close()
        finally:
            self.device.close()


def _reader(device: SimulatedPpk2 | SimulatedLpm01a, board: str, clock: Clock) -> Ppk2 | Lpm01a:
    if isinstance(device, SimulatedPpk2):
        return Ppk2(
            MeterPort(board, device.address, BAUD),
            clock,
            supply_mv=PPK2_MV,
            source=True,
            window_input=WINDOW_INPUT,
            serial_number=SERIAL,
            simulated=True,
        )
    return Lpm01a(
        MeterPort(board, device.address, LPM01A_BAUD),
        clock,
        supply_mv=LPM01A_MV,
        rate_hz=LPM01A_HZ,
        edges=True,
        simulated=True,
    )
