"""What `bench flash` shows: a bar a board meanwhile, one table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tinyfleet.agent.cli.common import meanwhile
from tinyfleet.agent.core.errors import AgentError, StepFailed
from tinyfleet.agent.services.flasher import FlashReport, StepProgress

Result = FlashReport | AgentError


class Bars:
    """A context manager; `of` may be used from any thread."""

    def __init__(self, boards: Iterable[str], *, shown: bool) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=meanwhile, transient=True, disable=not shown)
        self._bars: dict[str, TaskID] = {
            board: self._progress.add_task(f"{board}: waits", total=1.0, start=False) for board in boards
        }

    def of(self, board: str) -> StepProgress:
        bar = self._bars[board]
        self._progress.start_task(bar)
        self._progress.update(bar, description=f"{board}: connect")

        def tell(step: str, part: float) -> None:
            self._progress.update(bar, description=f"{board}: {step}", completed=part)

        return tell

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def summary(done: Mapping[str, Result]) -> Table:
    table = Table()
    table.add_column("board", no_wrap=True)
    for column in ("bytes", "programmed", "s"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("outcome")
    for board, result in done.items():
        if isinstance(result, FlashReport):
            table.add_row(
                board,
                f"{result.size_bytes}",
                f"{result.written} of {result.units} {result.unit}",
                f"{result.elapsed_s:.2f}",
                "as planned, read back" if result.compared else "as its tool says; nothing read back",
            )
        else:
            where = f" at {result.step}" if isinstance(result, StepFailed) else ""
            table.add_row(board, "", "", "", f"FAILED{where}")
    return table


def error_lines(done: Mapping[str, Result]) -> list[str]:
    """Each failure in full, beginning with its board."""
    return [
        str(result) if str(result).startswith((f"{board}:", f"{board} ")) else f"{board}: {result}"
        for board, result in done.items()
        if isinstance(result, AgentError)
    ]


def report_json(board: str, result: Result, golden_stored: int) -> dict[str, Any]:
    if isinstance(result, FlashReport):
        return {**result.to_json(), "golden_stored": golden_stored}
    step = {"step": result.step} if isinstance(result, StepFailed) else {}
    return {"board": board, **step, "error": result.what, "next": result.hint}
