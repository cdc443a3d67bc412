"""Columns to values and back: what every table shares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Table, bindparam
from sqlalchemy.dialects.sqlite import Insert, insert

E = TypeVar("E", bound=Enum)


def name_of(value: Enum | None) -> str | None:
    """Enum names are stored, never ordinals."""
    return None if value is None else value.name


def named(enum: type[E], name: str | None) -> E | None:
    return None if name is None else enum[name]


def pack(numbers: Sequence[Any]) -> str:
    return json.dumps(list(numbers), separators=(",", ":"))


def unpack(text: str) -> tuple[Any, ...]:
    return tuple(json.loads(text))


def inserted_id(result: CursorResult[Any]) -> int:
    """The integer key SQLite gave to the row just inserted."""
    key = result.inserted_primary_key
    if key is None:
        raise RuntimeError("the statement inserted no single row")
    return int(key[0])


def upsert(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Inserts the row, or replaces the columns of the one with the same primary key."""
    connection.execute(_upsert(table, tuple(values)), values)


@cache
def _upsert(table: Table, columns: tuple[str, ...]) -> Insert:
    """Built once a table: building a statement costs more than SQLite takes to run it."""
    keys = [column.name for column in table.primary_key]
    statement = insert(table).values({name: bindparam(name) for name in columns})
    rest = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)
