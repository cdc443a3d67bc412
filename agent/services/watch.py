"""The round of duties that keeps a bench going: about one a second, for as long as the agent runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.ports import Clock

LOG = logging.getLogger(__name__)
WATCH_S = 1.0


@dataclass(frozen=True, slots=True)
class Rounds:
    """`trouble`: duties that failed in the last round, and why. `age_s`: since the end of the last round;
    since the start, before the first."""

    count: int
    age_s: float
    trouble: Mapping[str, str]


class Watch:
    """`run` in one thread, `rounds` from any. A duty returns within a second or two: the next one waits for
    it, and a service manager's watchdog for the round."""

    def __init__(
        self,
        duties: Mapping[str, Callable[[], None]],
        clock: Clock,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self._duties = duties
        self._clock = clock
        self._on_round = on_round
        self._count = 0
        self._ended_s = clock.monotonic_s()
        self._trouble: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._trouble = {name: told for name in self._duties if (told := self._do(name)) is not None}
            self._count += 1
            self._ended_s = self._clock.monotonic_s()
            self._on_round()
            stop.wait(WATCH_S)

    def rounds(self) -> Rounds:
        return Rounds(self._count, self._clock.monotonic_s() - self._ended_s, self._trouble)

    def _do(self, name: str) -> str | None:
        """One board, or a moment without USB, must not take the others from the manager: what failed is told
        when it changes, and tried again."""
        try:
            self._duties[name]()
        except AgentError as error:
            told = str(error)
            if told != self._trouble.get(name):
                LOG.warning("%s: trying again: %s", name, told)
            return told
        except Exception as error:
            # A bug in one duty is no reason to leave the boards alone: it is logged whole, and health tells.
            told = f"{type(error).__name__}: {error}"
            if told != self._trouble.get(name):
                LOG.exception("%s: trying again", name)
            return told
        return None
