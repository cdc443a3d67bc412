"""Joulescope, by its own package (the extra `joulescope`, Apache-2.0).

Facts of its interface (JS110 and JS220): samples lie in a buffer of some seconds, numbered; those that were
lost are there as NaN. The general-purpose inputs come as `current_lsb` and `voltage_lsb`.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np

from tinyfleet.agent.core.errors import MeterError
from tinyfleet.agent.core.power.samples import NONE, Block, FallingEdges, Meter
from tinyfleet.agent.services.ports import Clock

RATE_HZ: Final = 1_000_000
_INPUTS: Final = ("current_lsb", "voltage_lsb")
_SAMPLES_MAX: Final = 200_000
_SAMPLES_MIN: Final = 20_000
"""At once: each read costs."""
_POLL_S: Final = 0.005
_MICRO: Final = 1e6
_MILLI: Final = 1e3


def devices() -> list[Any]:
    """Those that are plugged in. Raises ImportError without the package."""
    found: list[Any] = importlib.import_module("joulescope").scan(config="off")
    return found


class Joulescope:
    """`services.power_ports.PowerMeter`. It passes the supply on and measures its voltage, too."""

    def __init__(
        self,
        board: str,
        clock: Clock,
        *,
        serial: str | None,
        window_input: int | None,
        accuracy: float | None = None,
        scan: Callable[[], list[Any]] = devices,
    ) -> None:
        """`scan`: the package's. Raises MeterError."""
        self._board = board
        self._clock = clock
        self._next: int | None = None
        if window_input is not None and window_input >= len(_INPUTS):
            raise self._failed("open", f"it has no input {window_input}", "0 and 1 are there")
        self._device = self._translated("open", lambda: _chosen(scan(), serial))
        self._window = None if window_input is None else _INPUTS[window_input]
        self._translated("open", self._device.open)
        try:
            self._translated("setup", self._set_up)
        except MeterError:
            self.close()
            raise
        self.meter = Meter(
            name="Joulescope",
            serial=str(self._device.device_serial_number),
            calibration="calibrated by its maker",
            rate_hz=RATE_HZ,
            logic_inputs=len(_INPUTS),
            simulated=False,
            accuracy=accuracy,
        )
        self._begin()

    def supply(self, on: bool) -> None:
        self._translated("supply", lambda: self._device.parameter_set("i_range", "auto" if on else "off"))

    def start(self) -> None:
        self._begin()
        self._translated("start", self._device.start)

    def read(self, timeout_s: float) -> Block | None:
        end_s = time.monotonic() + timeout_s
        while True:
            first, last = self._translated("read", lambda: self._device.stream_buffer.sample_id_range)
            there = 0 if first is None else last - max(first, self._next or first)
            late = time.monotonic() >= end_s
            if there >= _SAMPLES_MIN or (late and there > 0):
                break
            if late:
                return None
            time.sleep(_POLL_S)
        wanted = first if self._next is None else self._next
        begin = max(first, wanted)
        end = min(last, begin + _SAMPLES_MAX)
        if self._next is None:
            self._first, self._zero_s = begin, self._clock.monotonic_s() - (last - begin) / RATE_HZ
        self._next = end
        fields = ["current", "voltage", *([self._window] if self._window else [])]
        told = self._translated(
            "read", lambda: self._device.stream_buffer.samples_get(begin, end, fields=fields)
        )["signals"]
        return self._block(begin, begin - wanted, {name: told[name]["value"] for name in fields})

    def stop(self) -> None:
        self._translated("stop", self._device.stop)

    def close(self) -> None:
        with suppress(MeterError):
            self._translated("close", self._device.close)

    def _set_up(self) -> None:
        self._device.parameter_set("source", "raw")
        self._device.parameter_set("sensor_power", "on")
        self._device.parameter_set("sampling_frequency", RATE_HZ)
        if self._window is not None:
            self._device.parameter_set(self._window, f"gpi{_INPUTS.index(self._window)}")

    def _begin(self) -> None:
        self._next = None
        self._first = 0
        self._zero_s = 0.0
        self._edges = FallingEdges(0)
        self._owed = 0

    def _block(self, begin: int, missed: int, told: dict[str, Any]) -> Block | None:
        """`missed`: overwritten before they were read. NaN are missing, too."""
        current = np.asarray(told["current"], np.float64)
        here = np.flatnonzero(np.isfinite(current))
        missed += self._owed
        if len(here) == 0:
            self._owed = missed + len(current)
            return None
        steps = np.diff(here, prepend=-1) - 1
        steps[0] += missed
        self._owed = len(current) - 1 - int(here[-1])
        at = np.flatnonzero(steps)
        edges = None
        if self._window is not None:
            edges = self._edges.find((np.asarray(told[self._window])[here] > 0).astype(np.uint8))
        return Block(
            zero_s=self._zero_s,
            start_s=(begin + int(here[0]) - self._first) / RATE_HZ,
            period_s=1 / RATE_HZ,
            current_ua=(current[here] * _MICRO).astype(np.float32),
            supply_mv=(np.asarray(told["voltage"], np.float64)[here] * _MILLI).astype(np.float32),
            edges=edges,
            gap_at=at if len(at) else NONE,
            gap_lost=steps[at] if len(at) else NONE,
        )

    def _translated(self, step: str, call: Callable[[], Any]) -> Any:
        """The package raises many kinds of exceptions, some of them OSError's and RuntimeError's children."""
        try:
            return call()
        except ImportError as error:
            raise self._failed(
                step, f"no package joulescope: {error}", "install tinyfleet[joulescope]"
            ) from error
        except MeterError:
            raise
        except Exception as error:
            raise self._failed(step, f"{type(error).__name__}: {error}", "is it plugged in?") from error

    def _failed(self, step: str, cause: str, hint: str) -> MeterError:
        return MeterError(self._board, f"meter {step}", cause, hint)


def _chosen(found: list[Any], serial: str | None) -> Any:
    named = {str(device.device_serial_number): device for device in found}
    if serial is not None and serial in named:
        return named[serial]
    if serial is None and len(named) == 1:
        return next(iter(named.values()))
    wanted = "one" if serial is None else serial
    raise LookupError(f"Joulescopes there: {', '.join(named) or 'none'}; wanted: {wanted}")
