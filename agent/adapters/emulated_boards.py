"""The emulated boards of a bench: started, watched, ended. Any pyOCD on the host finds them while they
run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyocd_qemu import registry
from pyocd_qemu.board import Board
from pyocd_qemu.errors import QemuError

from tinyfleet.agent.core.errors import EmulatorError, NoSuchBoardError


def use_folder(folder: Path) -> Path:
    """Where emulated boards live in this process and those it starts: `folder`, unless the environment
    names one."""
    os.environ.setdefault(registry.ROOT_VARIABLE, str(folder.absolute()))
    return registry.root()


class EmulatedBoards:
    """Boards by probe id. Not for several threads at once. A context manager: leaving it stops them all."""

    def __init__(self) -> None:
        self._boards: dict[str, Board] = {}

    def start(self, unique_id: str, machine: str) -> str:
        """Starts a board, with the flash it had; answers its console's address. Raises EmulatorError."""
        with _translated():
            board = Board(unique_id, machine)
            board.start()
            self._boards[unique_id] = board
            return board.console_url

    def revive(self) -> list[str]:
        """Starts boards again whose QEMU died, held in reset: what they ran may have killed it. Answers
        why, each."""
        causes = []
        for unique_id, board in self._boards.items():
            try:
                board.check()
            except QemuError as error:
                causes.append(f"{unique_id}: {error}")
                with _translated():
                    board.restart(run=False)
        return causes

    def stop(self) -> None:
        """Ends every board; their flash is kept."""
        while self._boards:
            _, board = self._boards.popitem()
            board.stop()

    def __enter__(self) -> EmulatedBoards:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def console_of(unique_id: str) -> str:
    """The console's address of a running emulated board. Raises NoSuchBoardError."""
    entry = registry.find(unique_id)
    if entry is None:
        raise NoSuchBoardError(
            f"no emulated board {unique_id} runs",
            "start it: `tinyfleet agent run`, or `tinyfleet bench emulate`",
        )
    return entry.console_url


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except QemuError as error:
        raise EmulatorError(error.what, error.hint) from error
