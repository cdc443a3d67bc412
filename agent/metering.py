"""Joins a board's power meter, as bench.yaml names it, with what speaks to it; used by main."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyfleet.agent.adapters.power.ina226 import by_hwmon, by_i2c
from tinyfleet.agent.adapters.power.joulescope import Joulescope
from tinyfleet.agent.adapters.power.lpm01a import Lpm01a
from tinyfleet.agent.adapters.power.port import MeterPort
from tinyfleet.agent.adapters.power.ppk2 import BAUD, Ppk2
from tinyfleet.agent.adapters.power.simulated import SimulatedMeter, dropping
from tinyfleet.agent.adapters.power.simulated_lpm01a import SimulatedLpm01a
from tinyfleet.agent.adapters.power.simulated_ppk2 import SimulatedPpk2
from tinyfleet.agent.adapters.power.usb_serial import serial_number
from tinyfleet.agent.core.attachments import Ina226Spec, JoulescopeSpec, Lpm01aSpec, Ppk2Spec
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import NoMeterError
from tinyfleet.agent.core.power.lpm01a import BAUD as LPM01A_BAUD
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.services.energy import EnergyRun
from tinyfleet.agent.services.metering import Metering
from tinyfleet.agent.services.pin_meter import PinMeter
from tinyfleet.agent.services.ports import Clock, Counting
from tinyfleet.agent.services.power_ports import PowerMeter


def check_meter(board: BoardSpec) -> None:
    """Raises NoMeterError for a board without one."""
    if board.meter is None:
        raise _without(board.name)


def energy_run(board: BoardSpec, clock: Clock, counting: Counting) -> EnergyRun:
    return EnergyRun(board.name, lambda: open_meter(board, clock), clock, counting)


def measured(
    board: BoardSpec,
    take: Callable[[Block], None],
    watch: Callable[[Metering], None],
    clock: Clock,
    counting: Counting,
) -> Meter:
    """The meter's blocks go to `take` while `watch` lasts. Raises NoMeterError, MeterError."""
    meter = open_meter(board, clock)
    with Metering(board.name, meter, take, clock, counting) as metering:
        watch(metering)
    return metering.meter


def open_meter(board: BoardSpec, clock: Clock) -> PowerMeter:
    """Raises NoMeterError, MeterError, BoardBusyError."""
    spec, name = board.meter, board.name
    if spec is None:
        raise _without(name)
    if isinstance(spec, Ppk2Spec):
        return Ppk2(
            MeterPort(name, spec.port, BAUD),
            clock,
            supply_mv=spec.voltage_mv,
            source=spec.mode == "source",
            window_input=spec.window_input,
            serial_number=serial_number(spec.port),
            accuracy=spec.accuracy,
        )
    if isinstance(spec, Lpm01aSpec):
        return Lpm01a(
            MeterPort(name, spec.port, LPM01A_BAUD),
            clock,
            supply_mv=spec.voltage_mv,
            rate_hz=spec.rate_hz,
            edges=spec.window_input is not None,
            accuracy=spec.accuracy,
        )
    if isinstance(spec, Ina226Spec):
        if spec.hwmon is not None:
            return by_hwmon(name, Path(spec.hwmon), spec.accuracy)
        return by_i2c(name, spec.bus or 0, spec.address, spec.shunt_uohm, spec.accuracy)
    if isinstance(spec, JoulescopeSpec):
        return Joulescope(
            name, clock, serial=spec.serial, window_input=spec.window_input, accuracy=spec.accuracy
        )
    drop = dropping(spec.lost_percent / 100)
    device = SimulatedPpk2(drop=drop) if spec.like == "ppk2" else SimulatedLpm01a(drop=drop)
    return SimulatedMeter(device, name, clock)


def pin_meter(board: BoardSpec, clock: Clock, counting: Counting) -> PinMeter:
    """Raises NoMeterError for a board without one; it is opened when it starts."""
    check_meter(board)
    return PinMeter(board.name, lambda: open_meter(board, clock), clock, counting)


def _without(board: str) -> NoMeterError:
    return NoMeterError(f"{board} has no power meter", "name its `meter` in bench.yaml")
