"""Rows of shadow challengers, the newest of each device, and what all of them counted."""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select

from tinyfleet.fleet.adapters.sql.codecs import name_of, named, upsert
from tinyfleet.fleet.adapters.sql.schema import shadow_totals, shadows
from tinyfleet.fleet.adapters.sql.series import SHADOW_SERIES, series
from tinyfleet.fleet.core.shadow import OPEN, Counts, Shadow, ShadowState
from tinyfleet.fleet.services.ports import ShadowKey, ShadowTotal
from tinyfleet.wire.enums import Result

_OPEN: Final = sorted(state.name for state in OPEN)


class ShadowTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, device: str) -> Shadow | None:
        row = self._connection.execute(select(shadows).where(shadows.c.device == device)).one_or_none()
        return None if row is None else _shadow(row)

    def all(self) -> list[Shadow]:
        return [_shadow(row) for row in self._connection.execute(select(shadows).order_by(shadows.c.device))]

    def put(self, shadow: Shadow) -> None:
        upsert(self._connection, shadows, _values(shadow))

    def due(self, now_s: float) -> list[Shadow]:
        """Open ones whose deadline has passed."""
        rows = self._connection.execute(
            select(shadows).where(shadows.c.state.in_(_OPEN), shadows.c.deadline_s <= now_s)
        )
        return [_shadow(row) for row in rows]

    def named_blobs(self) -> set[str]:
        """Manifests (hex) that a want names because of an open challenger."""
        rows = self._connection.execute(select(shadows.c.manifest).where(shadows.c.state.in_(_OPEN)))
        return {row.manifest.hex() for row in rows}

    def add(self, key: ShadowKey, new: Counts, room: int) -> int:
        """Adds to the fleet's totals. `room` is how many series there may be; how many had none."""
        keys = {
            "site": key.site,
            "model": key.model,
            "version": key.version,
            "challenger": key.challenger,
            "challenger_version": key.challenger_version,
        }
        where = [column == keys[column.name] for column in shadow_totals.primary_key]
        row = self._connection.execute(select(shadow_totals).where(*where)).one_or_none()
        if row is None and series(self._connection) + SHADOW_SERIES > room:
            return SHADOW_SERIES
        before = (0, 0, 0, 0) if row is None else (row.windows, row.agreements, row.skipped, row.missed)
        values = {
            "windows": before[0] + new.windows,
            "agreements": before[1] + new.agreements,
            "skipped": before[2] + new.skipped,
            "missed": before[3] + new.missed,
        }
        upsert(self._connection, shadow_totals, keys | values)
        return 0

    def totals(self) -> list[ShadowTotal]:
        rows = self._connection.execute(select(shadow_totals).order_by(*shadow_totals.primary_key))
        return [
            ShadowTotal(
                ShadowKey(row.site, row.model, row.version, row.challenger, row.challenger_version),
                row.windows,
                row.agreements,
                row.skipped,
                row.missed,
            )
            for row in rows
        ]

    def remove(self, device: str) -> None:
        self._connection.execute(delete(shadows).where(shadows.c.device == device))


def _packed(counts: Counts) -> str:
    pairs = [[active, other, n] for (active, other), n in sorted(counts.pairs.items())]
    values = [counts.windows, counts.agreements, counts.skipped, counts.missed, counts.rest, pairs]
    return json.dumps(values, separators=(",", ":"))


def _unpacked(text: str) -> Counts:
    windows, agreements, skipped, missed, rest, pairs = json.loads(text)
    told_apart = {(active, other): n for active, other, n in pairs}
    return Counts(windows, agreements, skipped, missed, rest, told_apart)


def _values(shadow: Shadow) -> dict[str, Any]:
    boot, seq = shadow.order or (None, None)
    run_boot, run = shadow.run or (None, None)
    return {
        "device": shadow.device,
        "release": shadow.release,
        "image": shadow.image,
        "manifest": shadow.manifest,
        "active": shadow.active,
        "generation": shadow.generation,
        "state": shadow.state.name,
        "transition": shadow.transition,
        "result": name_of(shadow.result),
        "detail": shadow.detail,
        "boot": boot,
        "seq": seq,
        "deadline_s": shadow.deadline_s,
        "started_s": shadow.started_s,
        "changed_s": shadow.changed_s,
        "run_boot": run_boot,
        "run": run,
        "last": _packed(shadow.last),
        "total": _packed(shadow.total),
    }


def _shadow(row: Row[Any]) -> Shadow:
    return Shadow(
        device=row.device,
        release=row.release,
        image=row.image,
        manifest=row.manifest,
        active=row.active,
        generation=row.generation,
        state=ShadowState[row.state],
        transition=row.transition,
        result=named(Result, row.result),
        detail=row.detail,
        order=None if row.boot is None else (row.boot, row.seq),
        deadline_s=row.deadline_s,
        started_s=row.started_s,
        changed_s=row.changed_s,
        run=None if row.run_boot is None else (row.run_boot, row.run),
        last=_unpacked(row.last),
        total=_unpacked(row.total),
    )
