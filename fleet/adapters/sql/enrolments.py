"""How devices were enrolled, and which certificates are good no more: rows of `meta`, as credentials are."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Connection, select

from tinyfleet.fleet.adapters.sql.codecs import upsert
from tinyfleet.fleet.adapters.sql.schema import meta
from tinyfleet.fleet.services.ports import Enrolment, Revoked

_ENROLMENT: Final = "enrolment/"
_REVOKED: Final = "revoked/"


class EnrolmentTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, device: str) -> Enrolment:
        query = select(meta.c.value).where(meta.c.key == _ENROLMENT + device)
        value = self._connection.execute(query).scalar_one_or_none()
        if value is None:
            return Enrolment()
        held = json.loads(value)
        key = held.get("key")
        return Enrolment(
            tls=held["tls"], sequence=held["sequence"], key=None if key is None else bytes.fromhex(key)
        )

    def put(self, device: str, enrolment: Enrolment) -> None:
        key = {} if enrolment.key is None else {"key": enrolment.key.hex()}
        value = json.dumps({"tls": enrolment.tls, "sequence": enrolment.sequence, **key})
        upsert(self._connection, meta, {"key": _ENROLMENT + device, "value": value})

    def revoke(self, revoked: Revoked) -> None:
        key = f"{_REVOKED}{revoked.device}/{revoked.credential}"
        upsert(self._connection, meta, {"key": key, "value": str(revoked.sequence)})

    def revoked(self) -> list[Revoked]:
        # A range, not LIKE, in which the underscores of a name would stand for any character.
        query = (
            select(meta).where(meta.c.key > _REVOKED, meta.c.key < _REVOKED[:-1] + "0").order_by(meta.c.key)
        )
        found = []
        for row in self._connection.execute(query):
            _, device, credential = row.key.split("/")
            found.append(Revoked(device, int(credential), int(row.value)))
        return found
