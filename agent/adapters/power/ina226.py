"""TI INA226: a shunt, asked for its current again and again, by Linux's hwmon driver or by I2C.

It has no stream: samples are as regular as this host is. A turn that was missed counts as a lost sample.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from tinyfleet.agent.core.errors import MeterError
from tinyfleet.agent.core.power.samples import Block, Meter

_READ_S: Final = 0.05
_I2C_SLAVE: Final = 0x0703
# Registers and their steps: INA226 datasheet (SBOS547), table 7-5 and below.
_CONFIGURATION, _SHUNT, _BUS, _MAKER, _DIE = 0x00, 0x01, 0x02, 0xFE, 0xFF
_MAKER_TI: Final = 0x5449
_DIE_INA226: Final = 0x2260
_SHUNT_STEP_UV: Final = 2.5
_BUS_STEP_MV: Final = 1.25
_CONTINUOUS: Final = 0x4127
"""Shunt and bus in turn, 1.1 ms each, no averaging: what it does after power-on."""
_CONVERSION_S: Final = 0.0022
_DRIVERS: Final = ("ina226", "ina219", "ina220", "ina230", "ina231")

Source = Callable[[], tuple[float, float]]
"""Current in µA and supply in mV, now."""


class Ina226:
    """`services.power_ports.PowerMeter`. It feeds nothing and has no logic inputs."""

    def __init__(
        self, board: str, source: Source, interval_s: float, meter: Meter, close: Callable[[], None]
    ) -> None:
        self._board = board
        self._source = source
        self._interval_s = interval_s
        self._close = close
        self.meter = meter
        self._zero_s = 0.0
        self._next = 0

    def supply(self, on: bool) -> None:
        """It only looks on."""

    def start(self) -> None:
        self._zero_s, self._next = time.monotonic(), 0

    def read(self, timeout_s: float) -> Block | None:
        until_s = time.monotonic() + min(timeout_s, _READ_S)
        values: list[tuple[float, float]] = []
        gaps: list[tuple[int, int]] = []
        begin = 0
        while not values or time.monotonic() < until_s:
            due_s = self._zero_s + self._next * self._interval_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            turn = int((time.monotonic() - self._zero_s) / self._interval_s)
            missed = max(turn - self._next, 0)
            if missed:
                gaps.append((len(values), missed))
            if not values:
                begin = self._next + missed
            values.append(self._ask())
            self._next += missed + 1
        told = np.array(values)
        return Block(
            zero_s=self._zero_s,
            start_s=begin * self._interval_s,
            period_s=self._interval_s,
            current_ua=told[:, 0].astype(np.float32),
            supply_mv=told[:, 1].astype(np.float32),
            gap_at=np.array([at for at, _ in gaps], np.int64),
            gap_lost=np.array([lost for _, lost in gaps], np.int64),
        )

    def stop(self) -> None:
        """It measures on, for whoever asks."""

    def close(self) -> None:
        self._close()

    def _ask(self) -> tuple[float, float]:
        try:
            return self._source()
        except (OSError, ValueError) as error:
            raise MeterError(
                self._board, "meter read", f"the INA226 is gone: {error}", "check its bus and supply"
            ) from error


def by_hwmon(board: str, folder: Path, accuracy: float | None) -> Ina226:
    """By `curr1_input` (mA) and `in1_input` (mV) of Linux's ina2xx driver: its steps are 1 mA, too coarse for
    a board that sleeps. Raises MeterError."""

    def number(name: str) -> float:
        return float((folder / name).read_text())

    try:
        driver = (folder / "name").read_text().strip()
        shunt_uohm = number("shunt_resistor")
        interval_ms = number("update_interval")
    except (OSError, ValueError) as error:
        raise MeterError(
            board, "meter open", f"{folder} is no INA226's: {error}", "see /sys/class/hwmon/*/name"
        ) from error
    if driver not in _DRIVERS:
        raise MeterError(
            board,
            "meter open",
            f"{folder} is a {driver}, expected one of {', '.join(_DRIVERS)}",
            "see /sys/class/hwmon/*/name",
        )
    interval_s = max(interval_ms / 1000, _CONVERSION_S)
    meter = Meter(
        name=driver.upper(),
        serial=folder.name,
        calibration=f"shunt {shunt_uohm:g} uohm, by hwmon in steps of 1 mA",
        rate_hz=1 / interval_s,
        logic_inputs=0,
        simulated=False,
        accuracy=accuracy,
    )
    return Ina226(
        board,
        lambda: (number("curr1_input") * 1000, number("in1_input")),
        interval_s,
        meter,
        lambda: None,
    )


def by_i2c(
    board: str,
    bus: int,
    address: int,
    shunt_uohm: int,
    accuracy: float | None,
    *,
    device: Callable[[], int] | None = None,
) -> Ina226:
    """By `/dev/i2c-BUS`; the host's driver for it must not be bound. `device`: an open one, for tests. Raises
    MeterError."""
    handle = -1

    def word(register: int) -> int:
        os.write(handle, bytes([register]))
        told = os.read(handle, 2)
        if len(told) != 2:
            raise OSError(f"{len(told)} bytes of register {register:#x}")
        return int.from_bytes(told, "big")

    def signed(register: int) -> int:
        value = word(register)
        return value - 0x10000 if value & 0x8000 else value

    try:
        handle = (device or (lambda: _open_i2c(bus, address)))()
        maker, die = word(_MAKER), word(_DIE)
        if (maker, die) != (_MAKER_TI, _DIE_INA226):
            raise OSError(f"it says maker {maker:#06x}, die {die:#06x}")
        os.write(handle, bytes([_CONFIGURATION]) + _CONTINUOUS.to_bytes(2, "big"))
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        raise MeterError(
            board,
            "meter open",
            f"no INA226 at {address:#x} of I2C bus {bus}: {error}",
            "is its address right? may you open /dev/i2c-*?",
        ) from error
    meter = Meter(
        name="INA226",
        serial=f"i2c-{bus}-{address:02x}",
        calibration=f"shunt {shunt_uohm} uohm by bench.yaml",
        rate_hz=1 / _CONVERSION_S,
        logic_inputs=0,
        simulated=False,
        accuracy=accuracy,
    )
    return Ina226(
        board,
        lambda: (signed(_SHUNT) * _SHUNT_STEP_UV / (shunt_uohm * 1e-6), word(_BUS) * _BUS_STEP_MV),
        _CONVERSION_S,
        meter,
        lambda: os.close(handle),
    )


def _open_i2c(bus: int, address: int) -> int:
    handle = os.open(f"/dev/i2c-{bus}", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _I2C_SLAVE, address)
    except OSError:
        os.close(handle)
        raise
    return handle
