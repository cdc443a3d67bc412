"""The demo's progress: a live table of steps on a terminal, one line a change elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


class Mark(Enum):
    WAITING = ("·", "dim")
    RUNNING = ("", "cyan")
    DONE = ("✓", "green")
    FAILED = ("✗", "red")


@dataclass
class Row:
    title: str
    mark: Mark = Mark.WAITING
    detail: str = ""
    started_s: float = 0.0
    took_s: float | None = None


class Display:
    """Rows may be changed from several threads; `with` draws them until the block ends."""

    def __init__(self, console: Console, titles: list[str]) -> None:
        self._console = console
        self._rows = [Row(title) for title in titles]
        self._lock = threading.Lock()
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()
            self._console.print(self._table())

    def begin(self, index: int) -> Callable[[str], None]:
        """Marks a step running; returns the function that tells its progress."""
        with self._lock:
            row = self._rows[index]
            row.mark, row.started_s = Mark.RUNNING, time.monotonic()
        self._line(row)

        def tell(detail: str) -> None:
            with self._lock:
                row.detail = detail

        return tell

    def end(self, index: int, ok: bool) -> None:
        with self._lock:
            row = self._rows[index]
            row.mark = Mark.DONE if ok else Mark.FAILED
            row.took_s = time.monotonic() - row.started_s
        self._line(row)

    def _line(self, row: Row) -> None:
        if not self._console.is_terminal:
            state = (
                "…" if row.mark is Mark.RUNNING else f"{row.mark.value[0]} {row.detail} ({row.took_s:.1f} s)"
            )
            self._console.print(f"{row.title}: {state}", highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(width=2)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=1)
        with self._lock:
            for row in self._rows:
                running = row.mark is Mark.RUNNING
                sign = self._spinner if running else Text(row.mark.value[0], style=row.mark.value[1])
                took = time.monotonic() - row.started_s if running else row.took_s
                seconds = "" if took is None else f"{took:.1f} s"
                table.add_row(sign, row.title, Text(seconds, style="dim"), Text(row.detail))
        return table
