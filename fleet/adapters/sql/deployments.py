"""Rows of deployments and the transitions they went through."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from tinyfleet.fleet.adapters.sql.codecs import name_of, named, upsert
from tinyfleet.fleet.adapters.sql.schema import deployments, transitions
from tinyfleet.fleet.core.deployment import OPEN, Deployment, DeploymentState
from tinyfleet.wire.enums import Result, UpdateState

TRANSITIONS_KEPT = 500
"""Of each device, the newest: one that never settles tells of itself for ever."""
_OPEN = sorted(state.name for state in OPEN)


class DeploymentTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, deployment: Deployment) -> None:
        upsert(self._connection, deployments, _values(deployment))

    def current(self, device: str) -> Deployment | None:
        """The device's part of the newest rollout it was in."""
        row = self._connection.execute(
            select(deployments)
            .where(deployments.c.device == device)
            .order_by(deployments.c.rollout.desc())
            .limit(1)
        ).one_or_none()
        return None if row is None else _deployment(row)

    def of(self, rollout: int) -> list[Deployment]:
        rows = self._connection.execute(
            select(deployments).where(deployments.c.rollout == rollout).order_by(deployments.c.device)
        )
        return [_deployment(row) for row in rows]

    def due(self, now_s: float) -> list[Deployment]:
        """Open deployments whose deadline has passed."""
        rows = self._connection.execute(
            select(deployments).where(deployments.c.state.in_(_OPEN), deployments.c.deadline_s <= now_s)
        )
        return [_deployment(row) for row in rows]

    def record(self, deployment: Deployment, transition: str, now_s: float) -> None:
        """Keeps what happened, the newest of each device; `transition` names it: STATE:SIGNAL:STATE."""
        self._connection.execute(
            insert(transitions).values(
                rollout=deployment.rollout,
                device=deployment.device,
                transition=transition,
                update=name_of(deployment.update),
                result=name_of(deployment.result),
                detail=deployment.detail,
                generation=deployment.generation,
                at_s=now_s,
            )
        )

        last_kept = (
            select(transitions.c.id)
            .where(transitions.c.device == deployment.device)
            .order_by(transitions.c.id.desc())
            .limit(1)
            .offset(TRANSITIONS_KEPT - 1)
            .scalar_subquery()
        )
        self._connection.execute(
            delete(transitions).where(transitions.c.device == deployment.device, transitions.c.id < last_kept)
        )

    def history(self, device: str, limit: int) -> list[dict[str, object]]:
        """Newest first."""
        rows = self._connection.execute(
            select(transitions)
            .where(transitions.c.device == device)
            .order_by(transitions.c.id.desc())
            .limit(limit)
        )
        return [dict(row) for row in rows.mappings()]


def _values(deployment: Deployment) -> dict[str, Any]:
    boot, seq = deployment.order or (None, None)
    return {
        "rollout": deployment.rollout,
        "device": deployment.device,
        "wave": deployment.wave,
        "image": deployment.image,
        "manifest": deployment.manifest,
        "firmware": deployment.firmware,
        "firmware_manifest": deployment.firmware_manifest,
        "generation": deployment.generation,
        "state": deployment.state.name,
        "version": deployment.version,
        "update": name_of(deployment.update),
        "result": name_of(deployment.result),
        "offset_bytes": deployment.offset_bytes,
        "size_bytes": deployment.size_bytes,
        "detail": deployment.detail,
        "reopened": deployment.reopened,
        "boot": boot,
        "seq": seq,
        "deadline_s": deployment.deadline_s,
        "changed_s": deployment.changed_s,
    }


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        rollout=row.rollout,
        device=row.device,
        wave=row.wave,
        image=row.image,
        manifest=row.manifest,
        firmware=row.firmware,
        firmware_manifest=row.firmware_manifest,
        generation=row.generation,
        state=DeploymentState[row.state],
        version=row.version,
        update=named(UpdateState, row.update),
        result=named(Result, row.result),
        offset_bytes=row.offset_bytes,
        size_bytes=row.size_bytes,
        detail=row.detail,
        reopened=row.reopened,
        order=None if row.boot is None else (row.boot, row.seq),
        deadline_s=row.deadline_s,
        changed_s=row.changed_s,
    )
