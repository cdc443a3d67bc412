"""Rows of what devices report: snapshots of counters, fleet totals, events, and the quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    select,
)
from sqlalchemy.dialects.sqlite import insert as insert_or

from tinyfleet.fleet.adapters.sql.codecs import inserted_id, pack, unpack, upsert
from tinyfleet.fleet.adapters.sql.schema import (
    class_totals,
    events,
    latency_totals,
    live_totals,
    quarantine,
    snapshots,
)
from tinyfleet.fleet.adapters.sql.series import HISTOGRAM_SERIES, LIVE_SERIES, series
from tinyfleet.fleet.core.counters import Delta, Snapshot
from tinyfleet.fleet.core.order import Order, newer
from tinyfleet.fleet.services.ports import ClassTotal, LatencyTotal, LiveTotal, ModelKey, Stored
from tinyfleet.wire.codec import decode, encode, to_json
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS, MARGIN_BUCKETS
from tinyfleet.wire.messages import Event, Tele

EPOCHS_KEPT: Final = 64
"""What a node kept in flash may be of epochs long past: a forgotten one could not be told from a new one."""
EVENTS_KEPT: Final = 1000
PAYLOAD_KEPT_BYTES: Final = 4096


def _by_key(table: Table, *columns: ColumnElement[Any]) -> Select[Any]:
    """A row by its whole primary key, its parameters named like the columns."""
    keys = [column == bindparam(column.name) for column in table.primary_key]
    return select(*columns or (table,)).where(*keys)


# Built once: every snapshot runs these.
_SNAPSHOT = _by_key(snapshots)
_EPOCHS = select(snapshots.c.boot, snapshots.c.epoch).where(snapshots.c.device == bindparam("device"))
_LATENCY = _by_key(latency_totals, latency_totals.c.buckets, latency_totals.c.sum_us)
_LIVE = _by_key(live_totals)
_CLASS = _by_key(class_totals, class_totals.c.inferences)


class TelemetryTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stored(self, device: str, boot: int, epoch: int) -> Stored | None:
        values = {"device": device, "boot": boot, "epoch": epoch}
        row = self._connection.execute(_SNAPSHOT, values).one_or_none()
        if row is None:
            return None
        snapshot = Snapshot(
            seq=row.seq,
            model=row.model,
            inferences=row.inferences,
            classes=unpack(row.classes),
            latency=unpack(row.latency),
            latency_sum_us=int(row.latency_sum_us),
            dropped=row.dropped,
            live=None if row.live is None else unpack(row.live),
        )
        return Stored(snapshot, int(row.first_uptime_ms), row.first_s)

    def put(self, device: str, tele: Tele, stored: Stored, now_s: float, *, fresh: bool = False) -> None:
        """Keeps the newest snapshot of an epoch, and of each device its newest epochs. `fresh`: its first."""
        snapshot = stored.snapshot
        upsert(
            self._connection,
            snapshots,
            {
                "device": device,
                "boot": tele.boot,
                "epoch": tele.epoch,
                "seq": snapshot.seq,
                "model": snapshot.model,
                "inferences": snapshot.inferences,
                "classes": pack(snapshot.classes),
                "latency": pack(snapshot.latency),
                "latency_sum_us": str(snapshot.latency_sum_us),
                "dropped": snapshot.dropped,
                "live": None if snapshot.live is None else pack(snapshot.live),
                "tele": encode(tele),
                "first_uptime_ms": str(stored.first_uptime_ms),
                "first_s": stored.first_s,
                "at_s": now_s,
            },
        )
        if fresh:
            self._forget_old_epochs(device)

    def _epochs(self, device: str) -> list[Order]:
        """(boot, epoch) of what is kept of a device, newest first. Both numbers wrap."""
        rows = self._connection.execute(_EPOCHS, {"device": device})
        return sorted(((row.boot, row.epoch) for row in rows), key=cmp_to_key(_newer_first))

    def is_forgotten(self, device: str, boot: int, epoch: int) -> bool:
        """Whether an epoch is so old that what was counted of it is no longer known."""
        kept = self._epochs(device)
        return len(kept) >= EPOCHS_KEPT and newer(kept[-1], (boot, epoch))

    def _forget_old_epochs(self, device: str) -> None:
        for boot, epoch in self._epochs(device)[EPOCHS_KEPT:]:
            self._connection.execute(
                delete(snapshots).where(
                    snapshots.c.device == device, snapshots.c.boot == boot, snapshots.c.epoch == epoch
                )
            )

    def forget(self, device: str) -> None:
        """Snapshots and events of a device; what was added to the fleet's totals stays."""
        for table in (snapshots, events):
            self._connection.execute(delete(table).where(table.c.device == device))

    def latest(self, device: str) -> dict[str, object] | None:
        """The newest snapshot as JSON, with the time it came. One that comes late is not the newest."""
        epochs = self._epochs(device)
        if not epochs:
            return None
        boot, epoch = epochs[0]
        row = self._connection.execute(_SNAPSHOT, {"device": device, "boot": boot, "epoch": epoch}).one()
        return {**to_json(decode(Tele, row.tele)), "received_s": row.at_s}

    def add(self, key: ModelKey, labels: Sequence[str], delta: Delta, room: int) -> int:
        """Adds to the fleet's totals. `room` is how many series there may be; returns how many had none."""
        dropped = 0
        if (any(delta.latency) or delta.latency_sum_us) and not self._add_latency(key, delta, room):
            dropped += HISTOGRAM_SERIES
        if (any(delta.live) or delta.dropped) and not self._add_live(key, delta, room):
            dropped += LIVE_SERIES
        for label, count in zip(labels, delta.classes, strict=True):
            if count and not self._add_class(key, label, count, room):
                dropped += 1
        return dropped

    def _add_latency(self, key: ModelKey, delta: Delta, room: int) -> bool:
        row = self._connection.execute(_LATENCY, _values(latency_totals, key)).one_or_none()
        # Series are counted only when a new one is asked for: the rest of the time they all exist.
        if row is None and series(self._connection) + HISTOGRAM_SERIES > room:
            return False
        before = (0,) * len(delta.latency) if row is None else unpack(row.buckets)
        sum_us = 0 if row is None else int(row.sum_us)
        upsert(
            self._connection,
            latency_totals,
            {
                **_values(latency_totals, key),
                "buckets": pack([a + b for a, b in zip(before, delta.latency, strict=True)]),
                "sum_us": str(sum_us + delta.latency_sum_us),
            },
        )
        return True

    def _add_live(self, key: ModelKey, delta: Delta, room: int) -> bool:
        row = self._connection.execute(_LIVE, _values(live_totals, key)).one_or_none()
        if row is None and series(self._connection) + LIVE_SERIES > room:
            return False
        before = _live_total(key, row)
        upsert(
            self._connection,
            live_totals,
            {
                **_values(live_totals, key),
                "missed": before.missed + delta.dropped,
                "paused": before.paused + delta.paused,
                "switches": before.switches + delta.switches,
                "captured": before.captured + delta.captured,
                "skipped": before.skipped + delta.skipped,
                "margin": pack([a + b for a, b in zip(before.margin, delta.margin, strict=True)]),
                "confidence": pack([a + b for a, b in zip(before.confidence, delta.confidence, strict=True)]),
            },
        )
        return True

    def live_totals(self) -> list[LiveTotal]:
        rows = self._connection.execute(select(live_totals).order_by(*live_totals.primary_key))
        return [_live_total(_key(row), row) for row in rows]

    def _add_class(self, key: ModelKey, label: str, count: int, room: int) -> bool:
        values = {**_values(class_totals, key), "label": label}
        before = self._connection.execute(_CLASS, values).scalar_one_or_none()
        if before is None and series(self._connection) + 1 > room:
            return False
        upsert(self._connection, class_totals, {**values, "inferences": count + (before or 0)})
        return True

    def totals(self) -> tuple[list[ClassTotal], list[LatencyTotal]]:
        classes = [
            ClassTotal(_key(row), row.label, row.inferences)
            for row in self._connection.execute(select(class_totals).order_by(*class_totals.primary_key))
        ]
        latencies = [
            LatencyTotal(_key(row), unpack(row.buckets), int(row.sum_us))
            for row in self._connection.execute(select(latency_totals).order_by(*latency_totals.primary_key))
        ]
        return classes, latencies

    def add_event(self, device: str, event: Event, now_s: float) -> bool:
        """Keeps an event and the newest ones of its device. False: it was there already."""
        result = self._connection.execute(
            insert_or(events)
            .values(
                {
                    "device": device,
                    "boot": event.boot,
                    "seq": event.seq,
                    "kind": event.kind.name,
                    "uptime_ms": str(event.uptime_ms),
                    "class": event.class_,
                    "score": event.score,
                    "text": event.text,
                    "model": event.model,
                    "at_s": now_s,
                }
            )
            .on_conflict_do_nothing()
        )
        if result.rowcount == 0:
            return False
        oldest = (
            select(events.c.at_s)
            .where(events.c.device == device)
            .order_by(events.c.at_s.desc())
            .limit(1)
            .offset(EVENTS_KEPT - 1)
            .scalar_subquery()
        )
        self._connection.execute(delete(events).where(events.c.device == device, events.c.at_s < oldest))
        return True

    def events(self, device: str, limit: int) -> list[dict[str, object]]:
        """Newest first."""
        rows = self._connection.execute(
            select(events).where(events.c.device == device).order_by(events.c.at_s.desc()).limit(limit)
        )
        return [_plain(row) for row in rows.mappings()]


class QuarantineTable:
    def __init__(self, connection: Connection, rows_kept: int) -> None:
        self._connection = connection
        self._rows_kept = rows_kept

    def add(self, topic: str, payload: bytes, reason: str, now_s: float) -> None:
        """Keeps a message nobody could read, and the newest rows only."""
        result = self._connection.execute(
            insert(quarantine).values(
                topic=topic[:256], payload=payload[:PAYLOAD_KEPT_BYTES], reason=reason, at_s=now_s
            )
        )
        last = inserted_id(result)
        self._connection.execute(delete(quarantine).where(quarantine.c.id <= last - self._rows_kept))

    def all(self, limit: int) -> list[dict[str, object]]:
        """Newest first."""
        rows = self._connection.execute(select(quarantine).order_by(quarantine.c.id.desc()).limit(limit))
        return [_plain(row) for row in rows.mappings()]


def _live_total(key: ModelKey, row: Any) -> LiveTotal:
    if row is None:
        return LiveTotal(key, 0, 0, 0, 0, 0, (0,) * MARGIN_BUCKETS, (0,) * CONFIDENCE_BUCKETS)
    return LiveTotal(
        key,
        missed=row.missed,
        paused=row.paused,
        switches=row.switches,
        captured=row.captured,
        skipped=row.skipped,
        margin=unpack(row.margin),
        confidence=unpack(row.confidence),
    )


def _newer_first(left: Order, right: Order) -> int:
    return -1 if newer(left, right) else 1


def _plain(row: Any) -> dict[str, object]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


def _values(table: Table, key: ModelKey) -> dict[str, Any]:
    """The columns of `key` that the table has: counts do not depend on what a node's clock means."""
    values = {"site": key.site, "model": key.model, "version": key.version, "timing": key.timing}
    return {name: value for name, value in values.items() if name in table.c}


def _key(row: Any) -> ModelKey:
    return ModelKey(row.site, row.model, row.version, getattr(row, "timing", ""))
