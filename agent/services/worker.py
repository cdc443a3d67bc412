"""One worker thread a board: blocking calls run there in order, and each has a time-out.

A call that hangs cannot be taken back. It keeps its thread, and the board is refused until the call has
ended: two calls on one probe would be worse than a board that is out of service.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tinyfleet.agent.core.errors import BoardBusyError, StepTimeout

P = ParamSpec("P")
R = TypeVar("R")


class BoardWorker:
    def __init__(self, board: str) -> None:
        self.board = board
        self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=f"board-{board}")
        self._hanging: concurrent.futures.Future[Any] | None = None

    def call(
        self, step: str, timeout_s: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """What `function` answers or raises. StepTimeout when it takes too long; BoardBusyError while an
        earlier call still hangs."""
        if self._hanging is not None:
            if not self._hanging.done():
                raise BoardBusyError(
                    f"{self.board}: an earlier step still hangs, so {step} was not begun",
                    "unplug the probe, or end this program",
                )
            self._hanging = None
        future = self._pool.submit(function, *args, **kwargs)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError:
            if future.done():
                raise  # the function's own
            if not future.cancel():
                self._hanging = future
            raise StepTimeout(
                self.board,
                step,
                f"no end within {timeout_s:g} s",
                "reset the board by hand, check probe and cable",
            ) from None

    def finish(self, step: str, timeout_s: float, function: Callable[[], object]) -> None:
        """As `call`, for what must happen after a failure, too: behind a call that hangs it runs once that
        has ended, and is not waited for."""
        if self._hanging is not None and not self._hanging.done():
            self._hanging = self._pool.submit(function)
        else:
            self.call(step, timeout_s, function)

    def close(self) -> None:
        """Ends the thread, unless a call hangs in it."""
        self._pool.shutdown(wait=self._hanging is None, cancel_futures=True)
