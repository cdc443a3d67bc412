"""The steps of one plan on one board: each has its time-out, and so have all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, ParamSpec, TypeVar

from tinyfleet.agent.core.errors import AgentError, StepFailed, StepTimeout
from tinyfleet.agent.services.ports import Clock
from tinyfleet.agent.services.worker import BoardWorker

P = ParamSpec("P")
R = TypeVar("R")
PLAN_TIMEOUT_S: Final = 600.0
FINISH_TIMEOUT_S: Final = 10.0


class Steps:
    """Whatever fails is told with the board's name and the step's, not the probe's."""

    def __init__(self, worker: BoardWorker, clock: Clock, whole_s: float = PLAN_TIMEOUT_S) -> None:
        self.board = worker.board
        self._worker = worker
        self._clock = clock
        self._whole_s = whole_s
        self._begun_s = clock.monotonic_s()

    @property
    def elapsed_s(self) -> float:
        return self._clock.monotonic_s() - self._begun_s

    def left_s(self, step: str, timeout_s: float) -> float:
        """How long the step may take. Raises StepTimeout when the plan's time is over."""
        left_s = self._whole_s - self.elapsed_s
        if left_s <= 0:
            raise StepTimeout(
                self.board,
                step,
                f"not begun, as the {self._whole_s:g} s for the whole plan are over",
                "give it longer (`--timeout`), or see which step took so long",
            )
        return min(timeout_s, left_s)

    def call(
        self, step: str, timeout_s: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """What `function` answers. Raises StepFailed (StepTimeout), and what else `BoardWorker.call` does."""
        limit_s = self.left_s(step, timeout_s)
        try:
            return self._worker.call(step, limit_s, function, *args, **kwargs)
        except StepFailed as error:
            if (error.board, error.step) == (self.board, step):
                raise
            raise type(error)(self.board, step, error.cause, error.hint) from error

    @contextmanager
    def finishing(self, step: str, function: Callable[[], object]) -> Iterator[None]:
        """Does `function` after the block in any case, behind a hanging step, too. When both fail, what went
        wrong first is told."""
        try:
            yield
        except BaseException:
            with suppress(AgentError):
                self._worker.finish(step, FINISH_TIMEOUT_S, function)
            raise
        self._worker.finish(step, FINISH_TIMEOUT_S, function)
