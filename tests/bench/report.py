"""One form for all benchmarks: a table for people, `build/bench/NAME.json` for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 140  # of a table that goes to a file


@dataclass(frozen=True)
class Figure:
    """`bar` is in words ("≥ 0.9"); `ok` is None where there is no bar; `ratio` is value to peer."""

    metric: str
    value: float
    unit: str
    peer: str | None = None
    ratio: float | None = None
    bar: str | None = None
    ok: bool | None = None


def publish(name: str, title: str, figures: list[Figure]) -> None:
    """Prints and writes the figures. A missed bar is said, not an error: a benchmark measures."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("peer")
    table.add_column("ratio", justify="right")
    table.add_column("bar")
    table.add_column("")
    for figure in figures:
        verdict = {None: "", True: "ok", False: "MISSED"}[figure.ok]
        value = f"{figure.value:,}" if isinstance(figure.value, int) else f"{figure.value:,.4g}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        table.add_row(figure.metric, value, figure.unit, figure.peer or "", ratio, figure.bar or "", verdict)
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)
    missed = sum(figure.ok is False for figure in figures)
    if missed:
        console.print(f"{missed} of {len(figures)} figures miss their bar")
    path = ROOT / "build" / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
