"""Agents (bench hosts) and the boards they tell of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tinyfleet.fleet.core.device import check_device_id, check_label
from tinyfleet.fleet.core.errors import Conflict
from tinyfleet.fleet.core.order import newer_number
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.ports import Agent, Clock, Store, Tx
from tinyfleet.wire.codec import to_json
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAccess:
    """What an agent needs to reach the broker."""

    id: str
    host: str
    port: int
    prefix: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """`state` None: never heard of. `boards` as the agent told them last."""

    id: str
    site: str
    state: str | None
    heard_s: float | None
    boards: list[dict[str, Any]]


class Benches:
    def __init__(
        self, store: Store, clock: Clock, access: Access, *, host: str, port: int, prefix: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._access = access
        self.host, self._port, self._prefix = host, port, prefix

    def register(self, name: str, site: str) -> AgentAccess:
        """Lets an agent in at the broker; the same answer every time. BadInput, Conflict."""
        check_device_id(name)
        check_label("site", site)
        with self._store.write() as tx:
            if tx.devices.get(name) is not None or name in tx.tokens.pending():
                raise Conflict(f"{name} is a device of this fleet: choose another name for the agent")
            known = tx.agents.get(name)
            if known is None:
                agent = Agent(id=name, site=site, credential=tx.identity.next_credential(name))
            else:
                agent = replace(known, site=site)
            tx.agents.put(agent)
            tx.agents.set_password(name, self._access.hashed(name, agent.credential))
        self._access.apply()
        word = self._access.password(name, agent.credential).decode("ascii")
        return AgentAccess(id=name, host=self.host, port=self._port, prefix=self._prefix, password=word)

    def all(self) -> list[AgentView]:
        with self._store.read() as tx:
            return [_view(agent) for agent in tx.agents.all()]


def take_bench(tx: Tx, agent: Agent, bench: Bench, now_s: float) -> bool:
    """Keeps what an agent tells of itself. False: it is not newer than what is kept.

    An agent that started again counts from 0, so a lower number with state ONLINE is a new life.
    """
    last = agent.bench
    if last is not None and bench.seq == last.seq and bench.state is last.state:
        return False
    if last is not None and bench.state is ConnState.LOST and newer_number(last.seq, bench.seq):
        return False  # the will of an older connection
    tx.agents.put(replace(agent, bench=bench, heard_s=now_s))
    return True


def _view(agent: Agent) -> AgentView:
    bench = agent.bench
    return AgentView(
        id=agent.id,
        site=agent.site,
        state=None if bench is None else bench.state.name,
        heard_s=agent.heard_s,
        boards=[] if bench is None else [to_json(board) for board in bench.boards],
    )
