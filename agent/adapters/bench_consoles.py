"""The consoles of a bench: read and kept by the process that serves them, shared with all others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tinyfleet.agent.adapters.console_link import NoHub, SharedConsoles, WatchedConsole, lent
from tinyfleet.agent.adapters.console_log import ConsoleLogs
from tinyfleet.agent.adapters.console_server import ConsoleServer
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import AgentError, BoardBusyError, NoSuchBoardError
from tinyfleet.agent.core.tally import CONSOLE_LOST, SERIAL_ERRORS, Metric
from tinyfleet.agent.services.console_hub import ConsoleClock, ConsoleHub, HubCounts
from tinyfleet.agent.services.ports import Console, Consoles


class FindConsole(Protocol):
    def __call__(self, spec: BoardSpec) -> str:
        """The address of a board's console now. Raises NoSuchBoardError."""


class Counting(Protocol):
    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None: ...


class BenchConsoles:
    """`open` is `services.ports.Consoles`, by boards' names. Nothing is served before `serve`, or `watch`
    where nobody else does. Not for several threads at once, but for `open` and `counts`."""

    def __init__(
        self,
        boards: Sequence[BoardSpec],
        folder: Path,
        find: FindConsole,
        direct: Consoles,
        clock: ConsoleClock,
        counting: Counting | None = None,
    ) -> None:
        self._counting = counting
        self._counted: dict[tuple[str, Metric], int] = {}
        self.folder = folder
        self._boards = {spec.name: spec for spec in boards}
        self._find = find
        self._direct = direct
        self._clock = clock
        self._shared = SharedConsoles(folder, self.address, direct)
        self._logs = ConsoleLogs(folder)
        self._server = ConsoleServer(folder)

    def open(self, address: str, baud: int, *, mlperf: bool = False) -> Console:
        """The console of the board with that name, this caller's alone until it is closed. `mlperf`: as
        SharedConsoles has it. Raises NoSuchBoardError, BoardBusyError, ConsoleError."""
        return self._shared.open(address, baud, mlperf=mlperf)

    def open_for_mlperf(self, address: str, baud: int) -> Console:
        """As `open`; MLPerf's replies are not for the console's log."""
        return self.open(address, baud, mlperf=True)

    def lend(self, board: str) -> AbstractContextManager[None]:
        """The board's port is for another program to open, meanwhile. Raises BoardBusyError."""
        return lent(self.folder, board)

    def watch(self, board: str, tail: int = 0) -> WatchedConsole:
        """Its lines, by the hub of whoever serves it; else this process does from now on. Raises
        AgentError."""
        try:
            return WatchedConsole(self.folder, board, tail)
        except NoHub:
            self._add(self._spec(board))
        try:
            return WatchedConsole(self.folder, board, tail)
        except NoHub as error:
            raise BoardBusyError(f"the console of {board} is not served", "try again") from error

    def serve(self) -> None:
        """Every board's console that nobody serves yet. Raises AgentError for one that cannot be, once all
        have been tried."""
        failures = []
        for spec in self._boards.values():
            if has_console(spec) and not self._server.serves(spec.name):
                try:
                    self._add(spec)
                except BoardBusyError:
                    continue  # another program's `bench console`: until that ends
                except AgentError as error:
                    failures.append(error)
        self._count()
        if failures:
            raise failures[0]

    @property
    def counts(self) -> dict[str, HubCounts]:
        """By board, of those this process serves."""
        return {board: hub.counts for board, hub in self._server.hubs.items()}

    def close(self) -> None:
        self._server.close()
        self._logs.close()

    def _count(self) -> None:
        """What is new since the last time."""
        if self._counting is None:
            return
        for board, counts in self.counts.items():
            lost = counts.lost_lines + self._logs.not_kept(board)
            for metric, value in ((SERIAL_ERRORS, counts.errors), (CONSOLE_LOST, lost)):
                new = value - self._counted.get((board, metric), 0)
                if new > 0:
                    self._counting.add(metric, new, board=board)
                    self._counted[board, metric] = value

    def _add(self, spec: BoardSpec) -> None:

        def find() -> str:
            return self._find(spec)

        keep = self._logs.of(spec.name)
        self._server.add(ConsoleHub(spec.name, find, spec.baud, self._direct, self._clock, keep))

    def address(self, board: str) -> str:
        """Of its port, now. Raises NoSuchBoardError."""
        return self._find(self._spec(board))

    def _spec(self, board: str) -> BoardSpec:
        if board not in self._boards:
            raise NoSuchBoardError(f"the bench has no board {board!r}", f"it has {', '.join(self._boards)}")
        return self._boards[board]


def has_console(spec: BoardSpec) -> bool:
    """A board may be reached by network alone."""
    return spec.console is not None or spec.is_emulated_probe
