"""A power meter that measures in a thread of its own, so that nothing a board does keeps its port waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tinyfleet.agent.core.errors import AgentError, MeterError
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.core.tally import METER_LOST, METER_SAMPLES
from tinyfleet.agent.services.ports import Clock, Counting
from tinyfleet.agent.services.power_ports import MadeUp, PowerMeter

READ_S: Final = 0.1
SILENT_S: Final = 2.0
"""Without a sample: the meter is gone or stuck."""
_END_S: Final = 10.0


@dataclass(slots=True)
class Counts:
    samples: int = 0
    lost: int = 0


class Metering:
    """`take` gets every block, in the meter's thread; a ValueError of it ends the measurement with its text.
    Leaving the context stops the meter and closes it."""

    def __init__(
        self,
        board: str,
        meter: PowerMeter,
        take: Callable[[Block], None],
        clock: Clock,
        counting: Counting | None = None,
    ) -> None:
        self._board = board
        self._power = meter
        self._take = take
        self._clock = clock
        self._counting = counting
        self._stopping = threading.Event()
        self._news = threading.Condition()
        self._error: AgentError | None = None
        self._thread = threading.Thread(target=self._run, name=f"meter-{board}", daemon=True)
        self.counts = Counts()

    @property
    def error(self) -> AgentError | None:
        """Why no more samples come."""
        return self._error

    @property
    def meter(self) -> Meter:
        return self._power.meter

    def pretend(self, inferences: int) -> None:
        """Only a simulated meter has to be told what it should measure."""
        if isinstance(self._power, MadeUp):
            self._power.inferred(inferences)

    def wait(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it came true, asked after each block; at once False when no more samples come."""
        end_s = self._clock.monotonic_s() + timeout_s
        with self._news:
            while not until():
                left_s = end_s - self._clock.monotonic_s()
                if left_s <= 0 or self._error is not None or not self._thread.is_alive():
                    return until()
                self._news.wait(min(left_s, READ_S))
        return True

    def __enter__(self) -> Metering:
        """Feeds the board and starts. Raises MeterError."""
        try:
            self._power.supply(True)
            self._power.start()
        except BaseException:
            self._power.close()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(_END_S)
        if self._counting is not None:
            meter = self._power.meter
            labels = {
                "board": self._board,
                "meter": meter.name,
                "simulated": "true" if meter.simulated else "false",
            }
            self._counting.add(METER_SAMPLES, self.counts.samples, **labels)
            self._counting.add(METER_LOST, self.counts.lost, **labels)

    def _run(self) -> None:
        try:
            self._measure()
            self._power.stop()
        except AgentError as error:
            self._end(error)
        except ValueError as error:
            self._end(MeterError(self._board, "meter", str(error), "make the run shorter"))
        finally:
            try:
                self._power.close()
            except AgentError as error:
                self._end(error)
            with self._news:
                self._news.notify_all()

    def _measure(self) -> None:
        heard_s = self._clock.monotonic_s()
        while not self._stopping.is_set():
            block = self._power.read(READ_S)
            now_s = self._clock.monotonic_s()
            if block is None:
                if now_s - heard_s > SILENT_S:
                    raise MeterError(
                        self._board,
                        "meter read",
                        f"no sample for {SILENT_S:g} s",
                        "is the meter still plugged in?",
                    )
                continue
            heard_s = now_s
            self._take(block)
            with self._news:
                self.counts.samples += len(block.current_ua)
                self.counts.lost += block.lost
                self._news.notify_all()

    def _end(self, error: AgentError) -> None:
        with self._news:
            self._error = self._error or error
