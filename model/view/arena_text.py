"""The arena over time in characters: a line for each op, the arena's bytes from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tinyfleet.model.compiler.occupancy import Piece

SHADES: Final = "█▒▓░"
FREE: Final = "·"
_TICK_COLUMNS: Final = 12


@dataclass(frozen=True, slots=True)
class ArenaRow:
    """`cells`: a character for each column; `owners`: the piece (its index) that each column shows, None
    where the arena is free. moment: as Piece."""

    moment: int
    cells: str
    owners: tuple[int | None, ...]
    live_bytes: int


def arena_rows(
    pieces: Sequence[Piece], arena_bytes: int, ops: int, columns: int, names: Sequence[str] = ()
) -> list[ArenaRow]:
    """Rows from before the first op to after the last. A piece shows its name (one a piece) and bytes where
    it begins, as far as there is room; neighbours in room or time have different shades."""
    spans = [_span(piece, arena_bytes, columns) for piece in pieces]
    shades = shades_of(pieces)
    rows = []
    for moment in range(-1, ops + 1):
        owners: list[int | None] = [None] * columns
        alive = [i for i, piece in enumerate(pieces) if piece.first <= moment <= piece.last]
        for i in sorted(alive, key=lambda i: -pieces[i].size_bytes):
            first, end = spans[i]
            owners[first:end] = [i] * (end - first)
        cells = [FREE if owner is None else SHADES[shades[owner] % len(SHADES)] for owner in owners]
        for i in alive:
            if pieces[i].first == moment:
                size = f"{pieces[i].size_bytes:,} B"
                texts = (f"{names[i]} {size}", size) if names and names[i] else (size,)
                _label(cells, owners, i, spans[i], texts)
        live = sum(pieces[i].size_bytes for i in alive)
        rows.append(ArenaRow(moment, "".join(cells), tuple(owners), live))
    return rows


def scale_line(arena_bytes: int, columns: int) -> str:
    """Byte positions over the columns, at round figures; the arena's end is the last."""
    step = round_step(arena_bytes * _TICK_COLUMNS // columns)
    line = [" "] * (columns + 1)
    for at in range(0, arena_bytes, step):
        text = size_text(at)
        column = at * columns // max(arena_bytes, 1)
        if column + 1 + len(text) < columns:
            line[column : column + 1 + len(text)] = f"╷{text}"
    line[columns] = "╷"
    return "".join(line)


def round_step(least: int) -> int:
    """The smallest round number of bytes that is at least that."""
    small = [16 << i for i in range(6)]
    large = [unit * ten * factor for unit in (2**10, 2**20) for ten in (1, 10, 100) for factor in (1, 2, 5)]
    return next((step for step in small + large if step >= least), large[-1])


def size_text(size: int) -> str:
    """Short: 512, 16K, 1.5K, 2M (units of 1024)."""
    for unit, name in ((1024**2, "M"), (1024, "K")):
        if size >= unit:
            return f"{size / unit:.4g}{name}"
    return str(size)


def shades_of(pieces: Sequence[Piece]) -> list[int]:
    """A small number for each piece, different for those that touch in room and time, and as far as that
    allows for those that follow one another at one place."""
    shades: list[int] = []
    for i, piece in enumerate(pieces):
        taken = {shades[k] for k in range(i) if _neighbours(pieces[k], piece)}
        shades.append(next(shade for shade in range(len(pieces) + 1) if shade not in taken))
    return shades


def _neighbours(a: Piece, b: Piece) -> bool:
    in_time = a.first <= b.last + 1 and b.first <= a.last + 1
    # Padding to 16 bytes may lie between two pieces that look adjacent.
    in_room = a.offset < b.end + 16 and b.offset < a.end + 16
    return in_time and in_room


def _span(piece: Piece, arena_bytes: int, columns: int) -> tuple[int, int]:
    """Columns of a piece: at least one."""
    first = min(piece.offset * columns // max(arena_bytes, 1), columns - 1)
    return first, max(first + 1, round(piece.end * columns / max(arena_bytes, 1)))


def _label(
    cells: list[str], owners: Sequence[int | None], piece: int, span: tuple[int, int], texts: Sequence[str]
) -> None:
    """Writes the first of `texts` that fits where the piece is seen."""
    first, end = span
    while first < end and owners[first] != piece:
        first += 1
    while end > first and owners[end - 1] != piece:
        end -= 1
    if any(owner != piece for owner in owners[first:end]):
        return
    for text in texts:
        if len(text) + 4 <= end - first:
            at = first + (end - first - len(text)) // 2
            cells[at - 1 : at + len(text) + 1] = f" {text} "
            return
