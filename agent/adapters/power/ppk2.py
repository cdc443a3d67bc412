"""Nordic Power Profiler Kit II, on its serial port."""

from __future__ import annotations

from typing import Final

from tinyfleet.agent.adapters.power.port import GATHER_S, MeterPort
from tinyfleet.agent.core.power.ppk2 import (
    COUNTER_STEPS,
    LOGIC_INPUTS,
    RATE_HZ,
    Mode,
    Opcode,
    Ppk2Decoder,
    Samples,
    mode,
    power,
    regulator,
)
from tinyfleet.agent.core.power.ppk2_calibration import END, Ppk2Calibration, current_table, parse_metadata
from tinyfleet.agent.core.power.sample_clock import SampleClock
from tinyfleet.agent.core.power.samples import Block, FallingEdges, Meter
from tinyfleet.agent.core.power.spikes import FILTERED
from tinyfleet.agent.services.ports import Clock

BAUD: Final = 115_200
_ANSWER_S: Final = 3.0
_SENSELESS_BYTES: Final = 400_000
"""A second of bytes without a sample in them: this is no stream of samples."""


class Ppk2:
    """`services.power_ports.PowerMeter`. `source`: it feeds the board with `supply_mv`; else it measures
    between the board and a supply that is said to have that. `window_input`: where the board's pin is."""

    def __init__(
        self,
        port: MeterPort,
        clock: Clock,
        *,
        supply_mv: int,
        source: bool,
        window_input: int | None,
        serial_number: str = "",
        accuracy: float | None = None,
        simulated: bool = False,
    ) -> None:
        """Asks the meter who it is. Raises MeterError, with the port closed."""
        self._port = port
        self._clock = clock
        self._supply_mv = supply_mv
        self._source = source
        self._window_input = window_input
        try:
            calibration = self._ask()
        except BaseException:
            port.close()
            raise
        self._table = current_table(calibration, supply_mv)
        self.meter = Meter(
            name="simulated PPK2" if simulated else "PPK2",
            serial=serial_number or f"HW {calibration.hardware or 'unknown'}",
            calibration=("made up: " if simulated else "") + calibration.text,
            rate_hz=RATE_HZ,
            logic_inputs=LOGIC_INPUTS,
            simulated=simulated,
            accuracy=accuracy,
            counts_modulo=COUNTER_STEPS,
        )
        self._begin()

    def _ask(self) -> Ppk2Calibration:
        port = self._port
        # It may be sending still, for a program that was killed.
        port.write(bytes([Opcode.STOP]))
        port.drain(_ANSWER_S)
        port.write(bytes([Opcode.METADATA]))
        told = port.read_until("metadata", lambda data: END.encode() in data, _ANSWER_S)
        try:
            return parse_metadata(told.decode("ascii", errors="replace"))
        except ValueError as error:
            raise port.failed("metadata", str(error), "is `port` in bench.yaml a PPK2's?") from error

    def supply(self, on: bool) -> None:
        self._port.write(mode(Mode.SOURCE if self._source else Mode.AMPERE))
        self._port.write(regulator(self._supply_mv))
        self._port.write(power(on))

    def start(self) -> None:
        self._begin()
        self._port.write(bytes([Opcode.START]))

    def read(self, timeout_s: float) -> Block | None:
        data = self._port.read(timeout_s, GATHER_S)
        if not data:
            return None
        samples = self._decoder.feed(data)
        if self._decoder.passed_bytes - self._passed_bytes > _SENSELESS_BYTES:
            raise self._port.failed(
                "read", "a second of bytes that are no samples", "is another program reading the port, too?"
            )
        return self._block(samples, self._clock.monotonic_s())

    def stop(self) -> None:
        self._port.write(bytes([Opcode.STOP]))
        self._port.drain(_ANSWER_S)

    def close(self) -> None:
        self._port.close()

    def _begin(self) -> None:
        self._decoder = Ppk2Decoder(self._table)
        self._passed_bytes = 0
        self._times = SampleClock(RATE_HZ)
        self._edges = None if self._window_input is None else FallingEdges(self._window_input)

    def _block(self, samples: Samples, arrived_s: float) -> Block | None:
        count = len(samples.current_ua)
        if count == 0:
            return None
        self._passed_bytes = self._decoder.passed_bytes
        unplaced = self._times.add(count + samples.lost, arrived_s)
        between = int(samples.gap_lost[samples.gap_at > 0].sum())
        return Block(
            zero_s=self._times.time_of(0),
            start_s=(self._times.count - count - between) / RATE_HZ,
            period_s=1 / RATE_HZ,
            current_ua=samples.current_ua,
            supply_mv=float(self._supply_mv),
            edges=None if self._edges is None else self._edges.find(samples.logic),
            gap_at=samples.gap_at,
            gap_lost=samples.gap_lost,
            unplaced=unplaced,
            settle=FILTERED,
        )
