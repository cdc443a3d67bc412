"""The demo's progress: a live table of steps on a terminal, a line a change elsewhere; a table at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

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
    STOPPED = ("-", "yellow")


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
        # While it lives, a row is one line: a table that changes its height flickers.
        self._live = Live(
            get_renderable=lambda: self._table("ellipsis"),
            console=console,
            refresh_per_second=8,
            transient=True,
        )

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._console.print()
        self._console.print(self._table("fold"))

    def begin(self, index: int) -> Callable[[str], None]:
        """Marks a step running; returns the function that tells its progress."""
        with self._lock:
            row = self._rows[index]
            row.mark, row.started_s = Mark.RUNNING, time.monotonic()
        self._line(f"{row.title} …")

        def tell(detail: str) -> None:
            with self._lock:
                row.detail = detail

        return tell

    def end(self, index: int, mark: Mark) -> None:
        with self._lock:
            row = self._rows[index]
            row.mark = mark
            row.took_s = time.monotonic() - row.started_s
        self._line(f"{mark.value[0]} {row.title}: {row.detail} ({row.took_s:.1f} s)")

    def _line(self, text: str) -> None:
        if not self._console.is_terminal:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _table(self, overflow: Literal["ellipsis", "fold"]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
        table.add_column("", width=1)
        table.add_column("step", no_wrap=True)
        table.add_column("took", justify="right", no_wrap=True)
        table.add_column("what happened", ratio=1)
        with self._lock:
            for row in self._rows:
                running = row.mark is Mark.RUNNING
                sign = self._spinner if running else Text(row.mark.value[0], style=row.mark.value[1])
                took = time.monotonic() - row.started_s if running else row.took_s
                seconds = "" if took is None else f"{took:.1f} s"
                detail = Text(row.detail, overflow=overflow, no_wrap=overflow == "ellipsis")
                table.add_row(sign, Text(row.title), Text(seconds, style="dim"), detail)
        return table
