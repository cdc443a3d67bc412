"""The consoles of a bench: read and kept by the process that serves them, shared with all others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tinyfleet.agent.adapters.console_link import NoHub, SharedConsoles, WatchedConsole
from tinyfleet.agent.adapters.console_log import ConsoleLogs, LogCounts
from tinyfleet.agent.adapters.console_server import ConsoleServer
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import BoardBusyError, NoSuchBoardError
from tinyfleet.agent.services.console_hub import ConsoleClock, ConsoleHub, HubCounts
from tinyfleet.agent.services.ports import Console, Consoles


class FindConsole(Protocol):
    def __call__(self, spec: BoardSpec) -> str:
        """The address of a board's console now. Raises NoSuchBoardError."""


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
    ) -> None:
        self.folder = folder
        self._boards = {spec.name: spec for spec in boards}
        self._find = find
        self._direct = direct
        self._clock = clock
        self._shared = SharedConsoles(folder, self._address, direct)
        self._logs = ConsoleLogs(folder)
        self._server = ConsoleServer(folder)

    def open(self, address: str, baud: int, *, mlperf: bool = False) -> Console:
        """The console of the board with that name, this caller's alone until it is closed. `mlperf`: as
        SharedConsoles has it. Raises NoSuchBoardError, BoardBusyError, ConsoleError."""
        return self._shared.open(address, baud, mlperf=mlperf)

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
        """Every board's console that nobody serves yet. Raises AgentError when it cannot be."""
        for spec in self._boards.values():
            if has_console(spec) and not self._server.serves(spec.name):
                try:
                    self._add(spec)
                except BoardBusyError:
                    continue  # another program's `bench console`: until that ends

    @property
    def counts(self) -> dict[str, HubCounts]:
        """By board, of those this process serves."""
        return {board: hub.counts for board, hub in self._server.hubs.items()}

    @property
    def log_counts(self) -> LogCounts:
        return self._logs.counts

    def close(self) -> None:
        self._server.close()
        self._logs.close()

    def _add(self, spec: BoardSpec) -> None:

        def find() -> str:
            return self._find(spec)

        keep = self._logs.of(spec.name)
        self._server.add(ConsoleHub(spec.name, find, spec.baud, self._direct, self._clock, keep))

    def _address(self, board: str) -> str:
        return self._find(self._spec(board))

    def _spec(self, board: str) -> BoardSpec:
        if board not in self._boards:
            raise NoSuchBoardError(f"the bench has no board {board!r}", f"it has {', '.join(self._boards)}")
        return self._boards[board]


def has_console(spec: BoardSpec) -> bool:
    """A board may be reached by network alone."""
    return spec.console is not None or spec.is_emulated_probe
