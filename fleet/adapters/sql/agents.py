"""Rows of agents."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from tinyfleet.fleet.adapters.sql.codecs import upsert
from tinyfleet.fleet.adapters.sql.schema import agents
from tinyfleet.fleet.services.ports import Agent
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.messages import Bench


class AgentTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, agent: str) -> Agent | None:
        row = self._connection.execute(select(agents).where(agents.c.id == agent)).one_or_none()
        return None if row is None else _agent(row)

    def all(self) -> list[Agent]:
        return [_agent(row) for row in self._connection.execute(select(agents).order_by(agents.c.id))]

    def put(self, agent: Agent) -> None:
        upsert(
            self._connection,
            agents,
            {
                "id": agent.id,
                "site": agent.site,
                "credential": agent.credential,
                "bench": None if agent.bench is None else encode(agent.bench),
                "heard_s": agent.heard_s,
            },
        )

    def passwords(self) -> dict[str, str]:
        rows = self._connection.execute(
            select(agents.c.id, agents.c.password).where(agents.c.password != "").order_by(agents.c.id)
        )
        return {row.id: row.password for row in rows}

    def set_password(self, agent: str, hashed: str) -> None:
        self._connection.execute(update(agents).where(agents.c.id == agent).values(password=hashed))


def _agent(row: Row[Any]) -> Agent:
    return Agent(
        id=row.id,
        site=row.site,
        credential=row.credential,
        bench=None if row.bench is None else decode(Bench, row.bench),
        heard_s=row.heard_s,
    )
