"""Rows of captured windows: the parts of one that is coming, and those that are whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, delete, func, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from tinyfleet.fleet.adapters.sql.schema import sample_parts, samples
from tinyfleet.fleet.core.samples import Window, assemble
from tinyfleet.fleet.services.ports import SampleFilter, StoredWindow
from tinyfleet.wire.messages import Sample

DELETED_AT_ONCE: Final = 64


class SampleTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_part(self, device: str, sample: Sample, now_s: float) -> Window | None:
        """Keeps a part; the window once it is whole, and its parts no longer. A device sends one window at a
        time, so the parts of any other are those of one that will never be whole.

        Raises SampleError when the parts do not fit together.
        """
        same = and_(
            sample_parts.c.device == device,
            sample_parts.c.boot == sample.boot,
            sample_parts.c.seq == sample.seq,
        )
        self._connection.execute(delete(sample_parts).where(sample_parts.c.device == device, ~same))
        self._connection.execute(
            insert_or(sample_parts)
            .values(
                device=device,
                boot=sample.boot,
                seq=sample.seq,
                part=sample.part,
                offset=sample.offset,
                data=sample.data,
                at_s=now_s,
            )
            .on_conflict_do_nothing()
        )
        rows = self._connection.execute(select(sample_parts).where(same)).all()
        parts = {row.part: (row.offset, row.data) for row in rows}
        if not all(number in parts for number in range(sample.parts)):
            return None
        self._connection.execute(delete(sample_parts).where(same))
        return assemble(device, sample, parts, now_s)

    def known(self, device: str, sample: Sample) -> bool:
        """Whether the window of this part is whole already."""
        found = select(samples.c.id).where(
            samples.c.device == device,
            samples.c.boot == sample.boot,
            samples.c.seq == sample.seq,
            samples.c.uptime_ms == sample.uptime_ms,
            samples.c.model == sample.model,
        )
        return self._connection.execute(found.limit(1)).one_or_none() is not None

    def add(self, window: Window) -> None:
        self._connection.execute(
            samples.insert().values(
                device=window.device,
                boot=window.boot,
                seq=window.seq,
                uptime_ms=window.uptime_ms,
                model=window.model,
                scores=window.scores,
                margin=window.margin,
                sensor=window.sensor,
                unit=window.unit,
                rate_mhz=window.rate_mhz,
                samples=window.samples,
                channels=window.channels,
                data=window.data,
                size_bytes=len(window.data),
                at_s=window.at_s,
                **{"class": window.class_},
            )
        )

    def keep(self, budget_bytes: int, since_s: float) -> int:
        """Forgets windows older than `since_s`, then the oldest until the rest fits the budget; how many.
        Parts that old go, too: their window will never be whole.
        """
        self._connection.execute(delete(sample_parts).where(sample_parts.c.at_s < since_s))
        gone = self._connection.execute(delete(samples).where(samples.c.at_s < since_s)).rowcount
        while self.totals()[1] > budget_bytes:
            oldest = select(samples.c.id).order_by(samples.c.id).limit(DELETED_AT_ONCE)
            over = self.totals()[1] - budget_bytes
            chosen: list[int] = []
            sizes = self._connection.execute(oldest.add_columns(samples.c.size_bytes))
            for number, size in sizes:
                if over <= 0:
                    break
                chosen.append(number)
                over -= size
            gone += self._connection.execute(delete(samples).where(samples.c.id.in_(chosen))).rowcount
        return gone

    def totals(self) -> tuple[int, int]:
        """How many windows there are, and how many bytes they have."""
        row = self._connection.execute(
            select(func.count(), func.coalesce(func.sum(samples.c.size_bytes), 0)).select_from(samples)
        ).one()
        return int(row[0]), int(row[1])

    def any_before(self, since_s: float) -> bool:
        """Whether there is a window, or a part of one, that came before."""
        return any(
            self._connection.execute(select(table.c.at_s).where(table.c.at_s < since_s).limit(1)).first()
            for table in (samples, sample_parts)
        )

    def find(self, wanted: SampleFilter, limit: int) -> list[StoredWindow]:
        """The oldest first, behind `wanted.after`."""
        rows = self._connection.execute(_where(select(samples), wanted).order_by(samples.c.id).limit(limit))
        return list(_windows(rows.all()))

    def newest(self, wanted: SampleFilter, limit: int) -> list[StoredWindow]:
        query = _where(select(samples), wanted).order_by(samples.c.id.desc()).limit(limit)
        return list(_windows(self._connection.execute(query).all()))

    def remove(self, device: str | None) -> int:
        """All windows of a device, or of every device (None); how many there were."""
        for table in (sample_parts, samples):
            chosen = delete(table) if device is None else delete(table).where(table.c.device == device)
            count = self._connection.execute(chosen).rowcount
        return count


def _where(query: Select[Any], wanted: SampleFilter) -> Select[Any]:
    query = query.where(samples.c.id > wanted.after)
    if wanted.device is not None:
        query = query.where(samples.c.device == wanted.device)
    if wanted.model is not None:
        query = query.where(samples.c.model == wanted.model)
    return query


def _windows(rows: Any) -> Iterator[StoredWindow]:
    return (StoredWindow(row.id, _window(row)) for row in rows)


def _window(row: Row[Any]) -> Window:
    values = row._mapping
    return Window(
        device=row.device,
        boot=row.boot,
        seq=row.seq,
        uptime_ms=row.uptime_ms,
        model=row.model,
        class_=values["class"],
        scores=row.scores,
        margin=row.margin,
        sensor=row.sensor,
        unit=row.unit,
        rate_mhz=row.rate_mhz,
        samples=row.samples,
        channels=row.channels,
        data=row.data,
        at_s=row.at_s,
    )
