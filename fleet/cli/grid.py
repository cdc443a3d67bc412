"""Tables and figures for a terminal: aligned, as wide as the screen, plain and whole when piped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import click

GAP: Final = 2
PIPED_WIDTH: Final = 100
_LEAST: Final = 8
_INDENT: Final = 4


@dataclass(frozen=True, slots=True)
class Column:
    """`flexible` ones are cut, with an ellipsis, when the screen is too narrow; `from_width`: left out on
    screens narrower than that."""

    title: str
    right: bool = False
    flexible: bool = False
    from_width: int = 0


def on_screen() -> bool:
    return sys.stdout.isatty()


def width() -> int:
    """Of the screen, or what a picture takes when there is none."""
    return shutil.get_terminal_size((PIPED_WIDTH, 24)).columns if on_screen() else PIPED_WIDTH


def show_grid(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], last: Sequence[object] | None = None
) -> None:
    """Prints a table; `last` is a row of totals under a rule."""
    lines = grid(columns, rows, last, width() if on_screen() else None)
    click.echo(click.style(lines[0], bold=True))
    for line in lines[1:]:
        click.echo(line)


def grid(
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    last: Sequence[object] | None = None,
    room: int | None = None,
) -> list[str]:
    """Lines; `room` None: as wide as it gets, with every column."""
    kept = [i for i, column in enumerate(columns) if room is None or column.from_width <= room]
    chosen = [columns[i] for i in kept]
    cells = [[column.title for column in chosen]]
    cells += [[_text(row[i]) for i in kept] for row in rows]
    if last is not None:
        cells.append([_text(last[i]) for i in kept])
    widths = [max(len(row[i]) for row in cells) for i in range(len(chosen))]
    if room is not None:
        _narrow(chosen, widths, room)
    lines = [_line(chosen, widths, row) for row in cells]
    if last is not None:
        lines.insert(-1, "  ".join("─" * size for size in widths))
    return lines


def plain(cells: Sequence[Sequence[str]], room: int | None, nothing: str) -> list[str]:
    """Lines of a table without a look, its titles in the first row. Where `room` is too narrow for them,
    columns are left out that have `nothing` in every row; where that is not enough, what the last column says
    stands below its row."""
    lines = _padded(cells)
    if room is None or len(cells) == 1 or max(map(len, lines)) <= room:
        return lines
    telling = [i for i in range(len(cells[0])) if any(row[i] != nothing for row in cells[1:])]
    cells = [[row[i] for i in telling] for row in cells]
    lines = _padded(cells)
    heads = _padded([row[:-1] for row in cells])
    if max(map(len, lines)) <= room or max(map(len, heads)) > room:
        return lines
    found = heads[:1]
    for head, row in zip(heads[1:], cells[1:], strict=True):
        found.append(head)
        if row[-1] != nothing:
            found += [f"{'':{_INDENT}}{part}" for part in wrapped(row[-1], room - _INDENT)]
    return found


def _padded(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    gap = " " * GAP
    return [
        gap.join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def number(value: float | None) -> str:
    """With separators; empty for none."""
    return "" if value is None else f"{value:,}"


def shape_text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Prints `name  value` lines; long values go on under themselves."""
    pairs = list(pairs)
    left = max((len(name) for name, _ in pairs), default=0)
    room = max(width() - left - GAP, 20) if on_screen() else None
    for name, value in pairs:
        for i, part in enumerate(wrapped(value, room)):
            head = click.style((name if i == 0 else "").ljust(left), dim=True)
            click.echo(f"{head}{' ' * GAP}{part}")


def paragraph(text: str) -> None:
    """Prints text, wrapped between words on a screen."""
    for line in wrapped(text, width() if on_screen() else None):
        click.echo(line)


def wrapped(text: str, room: int | None) -> list[str]:
    """Lines of at most `room` characters, cut between words; None: one line."""
    if room is None or len(text) <= room:
        return [text]
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def _narrow(columns: Sequence[Column], widths: list[int], room: int) -> None:
    """Takes what is too much from the widest flexible column, one character after the other."""
    spare = room - sum(widths) - GAP * (len(widths) - 1)
    while spare < 0:
        flexible = [i for i, column in enumerate(columns) if column.flexible and widths[i] > _LEAST]
        if not flexible:
            return
        widths[max(flexible, key=lambda i: widths[i])] -= 1
        spare += 1


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts = []
    for column, size, cell in zip(columns, widths, row, strict=True):
        text = cell if len(cell) <= size else cell[: size - 1] + "…"
        parts.append(text.rjust(size) if column.right else text.ljust(size))
    return (" " * GAP).join(parts).rstrip()


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
