"""Agents (bench hosts) and the boards they tell of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tinyfleet.fleet.core.device import check_device_id, check_label
from tinyfleet.fleet.core.errors import BadInput, Conflict, NotFound
from tinyfleet.fleet.core.order import newer_number
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.ports import Agent, Certificates, ClientTls, Clock, Store, Tx
from tinyfleet.fleet.services.programs import client_tls, revoke_agent_certificates
from tinyfleet.wire.codec import to_json
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Bench


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAccess:
    """What an agent needs to reach the broker: a password, or `tls`."""

    id: str
    host: str
    port: int
    prefix: str
    password: str = field(repr=False)
    tls: ClientTls | None = None


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
        self,
        store: Store,
        clock: Clock,
        access: Access,
        certificates: Certificates,
        *,
        host: str,
        port: int,
        tls_port: int,
        prefix: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._access = access
        self._certificates = certificates
        self.host, self._port, self._tls_port, self._prefix = host, port, tls_port, prefix

    def register(
        self, name: str, site: str, *, host: str | None = None, tls: bool = False, days: int | None = None
    ) -> AgentAccess:
        """Lets an agent in at the broker, by one of its doors; the same answer every time.

        `host`: by which the agent reaches it. `days`: with TLS, how long the certificate is good, which is
        then another each time. What opened the other door before opens it no more.
        Raises BadInput, Conflict, Unavailable.
        """
        check_device_id(name)
        check_label("site", site)
        if days is not None and not tls:
            raise BadInput("days are those of a certificate: say --tls, too")
        with self._store.write() as tx:
            if tx.devices.get(name) is not None or name in tx.tokens.pending():
                raise Conflict(f"{name} is a device of this fleet: choose another name for the agent")
            known = tx.agents.get(name)
            before = tx.enrolments.get(name)
            changes = known is not None and before.tls != tls
            agent = Agent(id=name, site=site) if known is None else replace(known, site=site)
            if changes:
                revoke_agent_certificates(tx, agent)
            if known is None or changes:
                agent = replace(agent, credential=tx.identity.next_credential(name))
            tx.enrolments.put(name, replace(before, tls=tls, key=None))
            tx.agents.put(agent)
            # By TLS the certificate says who it is; in the clear it shall not get in at all.
            tx.agents.set_password(name, "" if tls else self._access.hashed(name, agent.credential))
            shown = (
                client_tls(tx, self._certificates, name, agent.credential, days, self._clock())
                if tls
                else None
            )
        if changes:
            self._access.shut_out(name)
        else:
            self._access.apply()
        return AgentAccess(
            id=name,
            host=host or self.host,
            port=self._tls_port if tls else self._port,
            prefix=self._prefix,
            password="" if tls else self._access.password(name, agent.credential).decode("ascii"),
            tls=shown,
        )

    def revoke(self, name: str) -> None:
        """Takes an agent's certificate and password away, and ends its connection. It stays registered:
        registering it again gives it others. NotFound, Unavailable: the broker does not follow yet.

        The boards it speaks for are devices, each with what it has of its own.
        """
        with self._store.write() as tx:
            agent = tx.agents.get(name)
            if agent is None:
                raise NotFound(f"no agent {name}; see `tinyfleet agent boards`")
            revoke_agent_certificates(tx, agent)
            tx.agents.put(replace(agent, credential=tx.identity.next_credential(name)))
            tx.agents.set_password(name, "")
        self._access.shut_out(name)

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
