"""One worker thread a board: blocking calls run there in order, and each has a time-out.

A call that hangs cannot be taken back. It keeps its thread, and the board is refused until the call has
ended: two calls on one probe would be worse than a board that is out of service.
"""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, ParamSpec, TypeVar

from tinyfleet.agent.core.errors import BoardBusyError, StepTimeout

P = ParamSpec("P")
R = TypeVar("R")
END_S: Final = 5.0


class BoardWorker:
    """The thread is a daemon: Python waits for the threads of its own pools at the end of the program, and
    one that hangs would keep the program from ending.
    """

    def __init__(self, board: str) -> None:
        self.board = board
        # At most one call waits behind one that hangs; None ends the thread.
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hanging: concurrent.futures.Future[Any] | None = None
        self._guard: Callable[[str], None] = lambda step: None

    @contextmanager
    def guarded(self, guard: Callable[[str], None]) -> Iterator[None]:
        """Within it, `guard` is asked before each step, and raises when the board is not ours any more."""
        before, self._guard = self._guard, guard
        try:
            yield
        finally:
            self._guard = before

    def hangs(self) -> bool:
        """Whether a call that nobody waits for any more may still touch the board."""
        return self._hanging is not None and not self._hanging.done()

    def call(
        self, step: str, timeout_s: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """What `function` answers or raises. StepTimeout when it takes too long; BoardBusyError while an
        earlier call still hangs; what the guard raises."""
        self._guard(step)
        return self._wait(step, timeout_s, lambda: function(*args, **kwargs))

    def _wait(self, step: str, timeout_s: float, function: Callable[[], R]) -> R:
        if self._hanging is not None:
            if not self._hanging.done():
                raise BoardBusyError(
                    f"{self.board}: an earlier step still hangs, so {step} was not begun",
                    "unplug the probe, or end this program",
                )
            self._hanging = None
        future = self._submit(function)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError:
            if future.done():
                return future.result()  # it ended just now, or with a TimeoutError of its own
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
        if self.hangs():
            self._hanging = self._submit(function)
        else:
            # Without the guard: what was opened is closed, whosever the board is now.
            self._wait(step, timeout_s, function)

    def wait_until_free(self, timeout_s: float) -> bool:
        """Waits for a call that hangs to end; whether none does any more. What frees it is its peer's end: a
        probe without power, a QEMU that was killed."""
        if self._hanging is not None:
            concurrent.futures.wait([self._hanging], timeout_s)
        return not self.hangs()

    def close(self) -> None:
        """Ends the thread, unless a call hangs in it: then it ends with the program."""
        if self._thread is not None:
            self._calls.put(None)
            if self._hanging is None or self._hanging.done():
                self._thread.join(END_S)

    def _submit(self, function: Callable[[], R]) -> concurrent.futures.Future[R]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"board-{self.board}", daemon=True)
            self._thread.start()
        future: concurrent.futures.Future[R] = concurrent.futures.Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                answer = function()
            except BaseException as error:
                # Whatever it is belongs to the caller, who waits in another thread.
                future.set_exception(error)
            else:
                future.set_result(answer)

        self._calls.put(run)
        return future

    def _work(self) -> None:
        while (run := self._calls.get()) is not None:
            run()
