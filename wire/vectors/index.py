"""The list of vectors: rows of index.tsv, and where their bytes lie. Reads files; only tests import it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = ("dir", "file", "kind", "expected", "note")


@dataclass(frozen=True, slots=True)
class Vector:
    """`set` is accept or reject; `expected` OK, a Result or an error class of `wire.errors`."""

    set: str
    file: str
    kind: str
    expected: str
    note: str

    @property
    def path(self) -> Path:
        return HERE / self.set / self.file

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def row(self) -> str:
        return "\t".join((self.set, self.file, self.kind, self.expected, self.note))


def read_index() -> tuple[Vector, ...]:
    """All rows. ValueError when a row does not have the five columns."""
    lines = (HERE / "index.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    for row in rows:
        if len(row) != len(HEADER):
            raise ValueError(f"index.tsv: expected {len(HEADER)} columns, got {row}")
    return tuple(Vector(*row) for row in rows)
