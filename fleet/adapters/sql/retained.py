"""What the broker should hold: the outbox of every retained publish, and the identity that orders them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from tinyfleet.fleet.adapters.sql.codecs import upsert
from tinyfleet.fleet.adapters.sql.schema import meta, retained
from tinyfleet.fleet.adapters.sql.shadows import ShadowTable
from tinyfleet.fleet.services.ports import Retained, RetainedKind


class IdentityTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _value(self, key: str) -> str:
        return str(self._connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one())

    def manager(self) -> bytes:
        """16 bytes that name this database."""
        return bytes.fromhex(self._value("manager"))

    def seq(self) -> int:
        """The sequence number given last."""
        return int(self._value("seq"))

    def raise_seq(self, above: int) -> None:
        if self.seq() <= above:
            self._set(above)

    def next_credential(self, name: str) -> int:
        """A credential number for one that is registered now: none that its name had before."""
        key = f"credential/{name}"
        last = self._connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()
        number = 1 if last is None else int(last) + 1
        upsert(self._connection, meta, {"key": key, "value": str(number)})
        return number

    def next_seq(self) -> int:
        seq = self.seq() + 1
        self._set(seq)
        return seq

    def _set(self, seq: int) -> None:
        self._connection.execute(update(meta).where(meta.c.key == "seq").values(value=str(seq)))


class RetainedTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._identity = IdentityTable(connection)

    def put(
        self,
        kind: RetainedKind,
        key: str,
        *,
        live: bool,
        payload: bytes = b"",
        names: str = "",
        also: str = "",
        size_bytes: int = 0,
    ) -> None:
        """Sets what the broker should hold and queues its publishing under a new sequence number."""
        upsert(
            self._connection,
            retained,
            {
                "kind": kind.name,
                "key": key,
                "seq": self._identity.next_seq(),
                "live": live,
                "done": False,
                "payload": payload,
                "names": names,
                "also": also,
                "size_bytes": size_bytes,
            },
        )

    def get(self, kind: RetainedKind, key: str) -> Retained | None:
        row = self._connection.execute(
            select(retained).where(retained.c.kind == kind.name, retained.c.key == key)
        ).one_or_none()
        return None if row is None else _retained(row)

    def pending(self) -> list[Retained]:
        rows = self._connection.execute(
            select(retained).where(retained.c.done.is_(False)).order_by(retained.c.seq)
        )
        return [_retained(row) for row in rows]

    def pending_count(self) -> int:
        query = select(func.count()).select_from(retained).where(retained.c.done.is_(False))
        return int(self._connection.execute(query).scalar_one())

    def done(self, rows: Iterable[Retained]) -> None:
        """Marks as published, unless changed since: then the row stays pending under its newer number."""
        for row in rows:
            if row.kind is RetainedKind.PAST:
                self._connection.execute(delete(retained).where(retained.c.seq == row.seq))
                continue
            self._connection.execute(update(retained).where(retained.c.seq == row.seq).values(done=True))

    def again(self, after_seq: int | None) -> int:
        """Queues everything newer than `after_seq` again, all that is live when None. Returns how many."""
        everything = retained.c.live.is_(True) | (retained.c.kind == RetainedKind.WANT.name)
        newer = everything if after_seq is None else retained.c.seq > after_seq
        query = update(retained).where(newer, retained.c.done.is_(True)).values(done=False)
        return self._connection.execute(query).rowcount

    def live_blobs(self) -> list[Retained]:
        return self._blobs()

    def unnamed_blobs(self) -> list[Retained]:
        """Live blobs that no live `want` names."""
        wants = retained.alias("wants")
        named = (
            select(wants.c.key)
            .where(
                wants.c.kind == RetainedKind.WANT.name,
                wants.c.live.is_(True),
                or_(wants.c.names == retained.c.key, wants.c.also == retained.c.key),
            )
            .exists()
        )
        challengers = ShadowTable(self._connection).named_blobs()
        return [row for row in self._blobs(~named) if row.key not in challengers]

    def _blobs(self, *conditions: Any) -> list[Retained]:
        rows = self._connection.execute(
            select(retained)
            .where(retained.c.kind == RetainedKind.BLOB.name, retained.c.live.is_(True), *conditions)
            .order_by(retained.c.seq)
        )
        return [_retained(row) for row in rows]


def _retained(row: Row[Any]) -> Retained:
    return Retained(
        kind=RetainedKind[row.kind],
        key=row.key,
        seq=row.seq,
        live=row.live,
        payload=row.payload,
        names=row.names,
        also=row.also,
        size_bytes=row.size_bytes,
    )
