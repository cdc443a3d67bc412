"""A power meter with a logic input on the board's window pin, for MLPerf's energy mode."""

from __future__ import annotations

from collections.abc import Callable

from tinyfleet.agent.core.energy import Integral
from tinyfleet.agent.core.errors import MeterError, NoMeterError
from tinyfleet.agent.core.power.samples import Block
from tinyfleet.agent.services.metering import Metering
from tinyfleet.agent.services.mlperf_runner import EdgeWindow
from tinyfleet.agent.services.ports import Clock, Counting
from tinyfleet.agent.services.power_ports import PowerMeter

_EDGES = 2


class PinMeter:
    """`services.mlperf_runner.WindowMeter`. Its methods raise MeterError, NoMeterError or BoardBusyError."""

    def __init__(
        self,
        board: str,
        open_meter: Callable[[], PowerMeter],
        clock: Clock,
        counting: Counting | None = None,
    ) -> None:
        self._board = board
        self._open = open_meter
        self._clock = clock
        self._counting = counting
        self._integral = Integral()
        self._metering: Metering | None = None
        self._watched = True
        self._seen = 0
        self.label = self.calibration = ""

    def start(self) -> None:
        meter = self._open()
        self.label, self.calibration = meter.meter.label, meter.meter.calibration
        if meter.meter.simulated:
            meter.close()
            raise NoMeterError(
                f"{self._board}: {self.label} cannot see the board's window pin", "use a real meter for this"
            )
        metering = Metering(self._board, meter, self._take, self._clock, self._counting)
        self._metering = metering.__enter__()

    def arm(self) -> None:
        self._seen = len(self._integral.edges)

    def window(self, timeout_s: float) -> EdgeWindow:
        metering = self._metering
        if metering is None:
            raise RuntimeError("the meter was not started")
        there = metering.wait(lambda: len(self._integral.edges) >= self._seen + _EDGES, timeout_s)
        if metering.error is not None:
            raise metering.error
        if not self._watched:
            raise self._failed("its logic inputs are not watched", "name `window_input` in bench.yaml")
        edges = self._integral.edges[self._seen :]
        if not there or len(edges) != _EDGES:
            raise self._failed(
                f"the window pin fell {len(edges)} times, expected {_EDGES}",
                "is the meter's logic input on the board's window pin, and its build the one for energy?",
            )
        begin, end = edges
        return EdgeWindow(
            (end.at_s - begin.at_s) * 1e6, end.energy_uj - begin.energy_uj, round(end.lost - begin.lost)
        )

    def stop(self) -> None:
        if self._metering is not None:
            self._metering.__exit__(None, None, None)
            self._metering = None

    def _take(self, block: Block) -> None:
        self._watched = block.edges is not None
        self._integral.feed(block)

    def _failed(self, cause: str, hint: str) -> MeterError:
        return MeterError(self._board, "window edges", cause, hint)
