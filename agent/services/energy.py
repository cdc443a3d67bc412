"""Measures the energy of a run's inferences. A meter that fails does not fail the run: its result says why it
has no energy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from tinyfleet.agent.core.energy import Energy, Integral, energy, idle, windows_by_edges
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.core.power.samples import Meter
from tinyfleet.agent.services.metering import Metering
from tinyfleet.agent.services.ports import Clock, Counting
from tinyfleet.agent.services.power_ports import MadeUp, PowerMeter
from tinyfleet.wire.enums import EnergyWindow

IDLE_S: Final = 1.0
"""Of idling, before and after."""
SETTLE_S: Final = 0.05
"""After which a board idles."""
_PATIENCE_S: Final = 3.0
_EDGES_S: Final = 1.0
"""Without another edge of the pin: there will be none."""


class EnergyRun:
    """One run's: `begin` before the first inference and `end` after the last, while the board idles. Neither
    raises. Then there is `result`, or `why_not` says what stood against it."""

    def __init__(
        self,
        board: str,
        open_meter: Callable[[], PowerMeter],
        clock: Clock,
        counting: Counting | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self._board = board
        self._open = open_meter
        self._clock = clock
        self._counting = counting
        self._idle_s = idle_s
        self._integral = Integral()
        self._stack = contextlib.ExitStack()
        self._power: PowerMeter | None = None
        self._metering: Metering | None = None
        self._before = (0.0, 0.0)
        self._first_edge = 0
        self.result: Energy | None = None
        self.why_not: str | None = None

    def __enter__(self) -> EnergyRun:
        """Feeds the board, where the meter does, before anything is asked of it."""
        try:
            self._power = self._open()
            self._metering = self._stack.enter_context(
                Metering(self._board, self._power, self._integral.feed, self._clock, self._counting)
            )
        except AgentError as error:
            self.why_not = str(error)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self) -> None:
        begun_s = self._idling()
        if begun_s is not None:
            self._before = (begun_s, self._integral.end_s)
        self._first_edge = len(self._integral.edges)

    def inferred(self, count: int) -> None:
        """So many more have been answered: only a simulated meter has to be told."""
        if self._metering is not None and self.why_not is None:
            self._metering.pretend(count)

    def end(self, inferences: int, busy_s: float, each: int = 1) -> None:
        """`busy_s`: how long they took by the board's own time stamps. `each`: inferences between two edges
        of the board's pin."""
        if self.why_not is None:
            self._await_edges(2 * inferences // each)
        begun_s = self._idling()
        self._stack.close()
        if begun_s is None or self._power is None:
            return
        try:
            self.result = self._made(
                self._power.meter, inferences, busy_s, each, (begun_s, self._integral.end_s)
            )
        except ValueError as error:
            self.why_not = str(error)

    def _idling(self) -> float | None:
        """From when on it was measured, by the meter's clock; None when the meter is gone."""
        metering, integral = self._metering, self._integral
        if metering is None or self.why_not is not None:
            return None
        came = metering.wait(lambda: integral.samples > 0, _PATIENCE_S)
        # What is taken now comes some time later.
        now_s = self._clock.monotonic_s() - integral.zero_s
        begun_s = max(now_s, integral.end_s) + SETTLE_S
        if came and metering.wait(
            lambda: integral.end_s >= begun_s + self._idle_s, self._idle_s + SETTLE_S + _PATIENCE_S
        ):
            return begun_s
        self.why_not = "the meter was too slow" if metering.error is None else str(metering.error)
        return None

    def _await_edges(self, expected: int) -> None:
        """Samples come some time after they were taken."""
        metering, edges = self._metering, self._integral.edges
        due = self._first_edge + expected
        if metering is None or (not edges and not isinstance(self._power, MadeUp)):
            return
        seen = -1
        while seen < len(edges) < due:
            before = seen = len(edges)
            metering.wait(lambda before=before: len(edges) > before, _EDGES_S)  # type: ignore[misc]

    def _made(
        self, meter: Meter, inferences: int, busy_s: float, each: int, after: tuple[float, float]
    ) -> Energy:
        """By the edges of the pin, where there is one. Else from the end of the idling before to the begin of
        that after: what of it the board idled counts nothing."""
        integral = self._integral
        rest = idle(integral, self._before, after)
        by, note = EnergyWindow.EDGE, None
        try:
            windows = windows_by_edges(integral, inferences, each, self._first_edge)
        except ValueError as error:
            by = EnergyWindow.TIMESTAMP
            note = f"{error}: " if len(integral.edges) > self._first_edge else ""
            begin, end = integral.at(self._before[1]), integral.at(after[0])
            windows = [(begin, end)]
            whole_s = end.at_s - begin.at_s
            note += f"by the board's time stamps {busy_s:.3g} s of {whole_s:.3g} s were inferences; "
            note += "what it did between them, talking too, is in the energy"
        return energy(integral, meter, windows, inferences, rest, by=by, note=note)
