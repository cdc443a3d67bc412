"""ST X-NUCLEO-LPM01A, on its serial port."""

from __future__ import annotations

import time
from typing import Final

from tinyfleet.agent.adapters.power.port import GATHER_S, MeterPort
from tinyfleet.agent.core.power.lpm01a import DONE, LineReader, Reply, setup
from tinyfleet.agent.core.power.lpm01a_blocks import LpmBlocks
from tinyfleet.agent.core.power.sample_clock import SampleClock
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.services.ports import Clock

_ANSWER_S: Final = 3.0
_PRESENT: Final = "PowerShield present"


class Lpm01a:
    """`services.power_ports.PowerMeter`. It feeds the board with `supply_mv`; `edges`: the board's window pin
    is on its D7."""

    def __init__(
        self,
        port: MeterPort,
        clock: Clock,
        *,
        supply_mv: int,
        rate_hz: int,
        edges: bool,
        accuracy: float | None = None,
        simulated: bool = False,
    ) -> None:
        """Takes control of the meter and asks who it is. Raises MeterError, with the port closed."""
        self._port = port
        self._clock = clock
        self._rate_hz = rate_hz
        self._supply_mv = supply_mv
        self._with_edges = edges
        self._lines = LineReader()
        try:
            identity, version = self._take_control()
        except BaseException:
            port.close()
            raise
        self.meter = Meter(
            name="simulated LPM01A" if simulated else "LPM01A",
            serial=identity.removeprefix(_PRESENT).strip(": ") or "unknown",
            calibration=("made up: " if simulated else "") + f"firmware {version}, calibrates itself",
            rate_hz=rate_hz,
            logic_inputs=1,
            simulated=simulated,
            accuracy=accuracy,
        )
        self._begin()

    def _take_control(self) -> tuple[str, str]:
        """Identity and the firmware's version."""
        port = self._port
        try:
            commands = setup(self._supply_mv, self._rate_hz)
        except ValueError as error:
            raise port.failed("setup", str(error), "correct the meter's entry in bench.yaml") from error
        # It may be measuring still, for a program that was killed; what it says to that does not matter.
        port.write(b"stop\r\n")
        port.drain(_ANSWER_S)
        self._command("htc")
        identity = self._command("powershield", answers=1)[0]
        version = self._command("version", answers=1)[0]
        for command in commands:
            self._command(command)
        return identity, version

    def supply(self, on: bool) -> None:
        self._command("pwr on nostatus" if on else "pwr off")

    def start(self) -> None:
        self._begin()
        self._command("start")

    def read(self, timeout_s: float) -> Block | None:
        data = self._port.read(timeout_s, GATHER_S)
        if not data:
            return None
        before = self._blocks.place
        zero_s = self._clock.monotonic_s() if before == 0 else self._times.time_of(0)
        block = self._blocks.take(self._lines.feed(data), zero_s)
        if block is not None:
            # Its own stamps tell what is missing: the clock is for when it was.
            self._times.add(self._blocks.place - before, self._clock.monotonic_s())
        return block

    def stop(self) -> None:
        self._port.write(b"stop\r\n")
        self._port.read_until("stop", lambda data: DONE.encode() in data, _ANSWER_S)

    def close(self) -> None:
        """Its own buttons work again."""
        try:
            self._command("hrc")
        finally:
            self._port.close()

    def _begin(self) -> None:
        self._lines = LineReader()
        self._blocks = LpmBlocks(self._rate_hz, self._supply_mv, self._with_edges)
        self._times = SampleClock(self._rate_hz, step=0)

    def _command(self, command: str, answers: int = 0) -> list[str]:
        """The lines it answers beside `ack`."""
        self._port.write(f"{command}\r\n".encode("ascii"))
        end_s, acknowledged = time.monotonic() + _ANSWER_S, False
        told: list[str] = []
        while not acknowledged or len(told) < answers:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise self._port.failed(
                    command,
                    f"{self._port.address} answered {told or 'nothing'} within {_ANSWER_S:g} s",
                    "is `port` in bench.yaml an LPM01A's?",
                )
            for item in self._lines.feed(self._port.read(left_s)):
                if not isinstance(item, Reply):
                    continue
                if item.text.startswith("error") and command in item.text:
                    raise self._port.failed(command, f"the meter refused: {item.text}", "see UM2269")
                if item.text.startswith(f"ack {command.split()[0]}"):
                    acknowledged = True
                    told += [line for line in [item.text.removeprefix(f"ack {command}").strip()] if line]
                elif acknowledged:
                    told.append(item.text)
        return told
