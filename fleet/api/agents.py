"""Agents (bench hosts) over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api import show
from tinyfleet.fleet.api.common import ServicesOf

reading = APIRouter(prefix="/agents")
changing = APIRouter(prefix="/agents")


@reading.get("")
def agents(services: Any = ServicesOf) -> list[out.BoardsOut]:
    return [
        out.BoardsOut(
            id=agent.id,
            site=agent.site,
            state=agent.state,
            heard_s=agent.heard_s,
            boards=agent.boards,
        )
        for agent in services.benches.all()
    ]


@changing.post("")
def register(order: out.AgentIn, services: Any = ServicesOf) -> out.AgentCredentials:
    """Lets an agent in at the broker; the same credentials every time."""
    given = services.benches.register(order.id, order.site, host=order.host, tls=order.tls, days=order.days)
    return out.AgentCredentials(
        id=given.id,
        host=given.host,
        port=given.port,
        prefix=given.prefix,
        user=given.id,
        password=given.password,
        tls=show.client_tls(given.tls),
    )


@changing.post("/{name}/revoke", status_code=204)
def revoke(name: str, services: Any = ServicesOf) -> None:
    """Takes its certificate and password away, and ends its connection."""
    services.benches.revoke(name)
