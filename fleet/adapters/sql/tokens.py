"""Rows of one-time tokens: hashes, never the words."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from tinyfleet.fleet.adapters.sql.codecs import inserted_id, name_of, named, upsert
from tinyfleet.fleet.adapters.sql.schema import tokens
from tinyfleet.fleet.core.enrolment import Token, TokenState

_LIVING = (TokenState.OPEN.name, TokenState.PENDING.name)
# Built once: every batch of messages asks for it.
_PENDING = select(tokens).where(tokens.c.state == TokenState.PENDING.name)


class TokenTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> Token:
        """The token with its number."""
        values = _values(token)
        del values["id"]
        number = inserted_id(self._connection.execute(insert(tokens).values(**values)))
        return replace(token, id=number)

    def get(self, token: int) -> Token | None:
        return self._one(tokens.c.id == token)

    def hashed(self, digest: bytes) -> Token | None:
        return self._one(tokens.c.hash == digest)

    def put(self, token: Token) -> None:
        upsert(self._connection, tokens, _values(token))

    def all(self, limit: int) -> list[Token]:
        """Newest first."""
        query = select(tokens).order_by(tokens.c.id.desc()).limit(limit)
        return [_of(row) for row in self._connection.execute(query)]

    def pending(self) -> dict[str, Token]:
        """By device: at most one each."""
        return {row.device: _of(row) for row in self._connection.execute(_PENDING)}

    def due(self, now_s: float) -> list[Token]:
        query = select(tokens).where(tokens.c.state.in_(_LIVING), tokens.c.expires_s <= now_s)
        return [_of(row) for row in self._connection.execute(query)]

    def forget(self, ended_before_s: float) -> None:
        self._connection.execute(
            delete(tokens).where(tokens.c.state.not_in(_LIVING), tokens.c.changed_s < ended_before_s)
        )

    def _one(self, which: Any) -> Token | None:
        row = self._connection.execute(select(tokens).where(which)).one_or_none()
        return None if row is None else _of(row)


def _values(token: Token) -> dict[str, Any]:
    return {**asdict(token), "state": name_of(token.state)}


def _of(row: Row[Any]) -> Token:
    return Token(**{**row._asdict(), "state": named(TokenState, row.state)})
