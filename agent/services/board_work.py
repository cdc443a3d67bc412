"""One operation on one board: the board is had, is BUSY meanwhile, and what became of it is kept and told."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final, TypeVar

from tinyfleet.agent.core.errors import AgentError, BoardGone, CoreLockedUp, StepFailed, SwitchError
from tinyfleet.agent.core.tally import FLASHES, RUNS, Metric
from tinyfleet.agent.services.inventory import Inventory
from tinyfleet.agent.services.leases import BoardLeases
from tinyfleet.agent.services.ports import Counting
from tinyfleet.agent.services.recovery import Recovery
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import BoardState

R = TypeVar("R")


# Whose power is off is not plugged in, nor is an emulated board that is just being started again: these
# failures say why themselves.
_KNOW_WHY: Final = (SwitchError, CoreLockedUp)
_WORDS: Final = {FLASHES.name: "flash", RUNS.name: "run"}


class BoardWork:
    """`lock` is held while the inventory is changed; `tell` is called after each change."""

    def __init__(
        self,
        leases: BoardLeases,
        workers: Mapping[str, BoardWorker],
        inventory: Inventory,
        counting: Counting,
        recovery: Recovery,
        *,
        wait_s: float,
        lock: Lock,
        tell: Callable[[], None],
    ) -> None:
        self._leases = leases
        self._workers = workers
        self._inventory = inventory
        self._counting = counting
        self._recovery = recovery
        self._wait_s = wait_s
        self._lock = lock
        self._tell = tell

    def on(self, board: str, counted: Metric | None, work: Callable[[], R], what: str = "work") -> R:
        """What `work` answers. `counted` takes the failures; what succeeded counts whoever knows how well.
        `what`: how the use is called to others, where nothing is counted.

        Raises BoardBusyError when another program has the board, QuarantinedError for work that counts, and
        what `work` raises; BoardGone instead, where it failed and a part of the board is not plugged in any
        more.
        """
        if counted is not None:
            self._recovery.admit(board)
            what = _WORDS.get(counted.name, counted.name)
        worker = self._workers[board]
        wait_s = max(self._wait_s, self._recovery.wait_s(self._leases.of(board).holder))
        with self._leases.use(board, what, wait_s, worker.hangs) as lease, worker.guarded(lease.check):
            return self._done(board, counted, work)

    def _done(self, board: str, counted: Metric | None, work: Callable[[], R]) -> R:
        self._mark(board, BoardState.BUSY)
        try:
            answer = work()
        except AgentError as error:
            if counted is not None:
                self._counting.add(counted, board=board, outcome="FAILED")
            gone = self._gone(board)
            if gone is not None and isinstance(error, StepFailed) and not isinstance(error, _KNOW_WHY):
                error = BoardGone(board, error.step, f"{gone} any more ({error.cause})", "plug it in again")
            self._mark(board, BoardState.FAILED, str(error))
            if counted is not None:
                self._recovery.failed(board, error, by_probe=counted is FLASHES)
            raise error
        except BaseException:
            self._mark(board, BoardState.UNKNOWN)
            raise
        self._mark(board, BoardState.READY)
        return answer

    def _gone(self, board: str) -> str | None:
        """What of the board was unplugged meanwhile, as far as can be told."""
        with self._lock, contextlib.suppress(AgentError):
            return self._inventory.missing(board)
        return None

    def _mark(self, board: str, state: BoardState, detail: str | None = None) -> None:
        with self._lock:
            self._inventory.mark(board, state, detail)
        self._tell()
