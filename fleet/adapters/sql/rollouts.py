"""Rows of rollouts: a summary with counters a wave, never its devices."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from tinyfleet.fleet.adapters.sql.codecs import inserted_id
from tinyfleet.fleet.adapters.sql.schema import rollouts
from tinyfleet.fleet.core.deployment import DeploymentState
from tinyfleet.fleet.core.rollout import RolloutState, Summary, Wave
from tinyfleet.wire.enums import Result


class RolloutTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, summary: Summary) -> Summary:
        """The summary with the id it was given."""
        values = _values(summary)
        result = self._connection.execute(insert(rollouts).values(values))
        return replace(summary, id=inserted_id(result))

    def get(self, rollout: int) -> Summary | None:
        row = self._connection.execute(select(rollouts).where(rollouts.c.id == rollout)).one_or_none()
        return None if row is None else _summary(row)

    def put(self, summary: Summary) -> None:
        """Stores the next version. RuntimeError when the row is not older: two writers."""
        result = self._connection.execute(
            update(rollouts)
            .where(rollouts.c.id == summary.id, rollouts.c.version < summary.version)
            .values(_values(summary))
        )
        if result.rowcount != 1:
            raise RuntimeError(
                f"rollout {summary.id}: version {summary.version} is not newer than the stored one"
            )

    def all(self, limit: int) -> list[Summary]:
        """Newest first."""
        rows = self._connection.execute(select(rollouts).order_by(rollouts.c.id.desc()).limit(limit))
        return [_summary(row) for row in rows]


def _values(summary: Summary) -> dict[str, Any]:
    return {
        "release": summary.release,
        "state": summary.state.name,
        "version": summary.version,
        "waves": json.dumps([_wave_json(wave) for wave in summary.waves], separators=(",", ":")),
        "why": summary.why,
        "started_s": summary.started_s,
        "ended_s": summary.ended_s,
    }


def _wave_json(wave: Wave) -> dict[str, Any]:
    return {
        "counts": {state.name: count for state, count in wave.counts.items()},
        "reasons": [
            [state.name, None if result is None else result.name, count]
            for (state, result), count in wave.reasons.items()
        ],
    }


def _summary(row: Row[Any]) -> Summary:
    return Summary(
        id=row.id,
        release=row.release,
        state=RolloutState[row.state],
        version=row.version,
        waves=tuple(_wave(each) for each in json.loads(row.waves)),
        why=row.why,
        started_s=row.started_s,
        ended_s=row.ended_s,
    )


def _wave(data: dict[str, Any]) -> Wave:
    return Wave(
        counts={DeploymentState[name]: count for name, count in data["counts"].items()},
        reasons={
            (DeploymentState[state], None if result is None else Result[result]): count
            for state, result, count in data["reasons"]
        },
    )
