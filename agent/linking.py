"""Joins the agent's own connection to the manager's broker with those of the boards it speaks for; used by
main."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyfleet.agent.adapters.broker_tls import BrokerDoor
from tinyfleet.agent.adapters.mqtt import Publisher, read_credentials
from tinyfleet.agent.bridging import Bridges
from tinyfleet.agent.core.bench_file import BenchFile
from tinyfleet.agent.core.broker import Validity
from tinyfleet.wire.messages import Bench


class ManagerLinks:
    """None of them until `start`: the agent works alone."""

    def __init__(self, bench: BenchFile, bridges: Bridges) -> None:
        self._bench = bench
        self._bridges = bridges
        self._publisher: Publisher | None = None

    def start(self, credentials: Path | None, first: Callable[[], Bench]) -> Publisher | None:
        """With what stands in that file, or the one that bench.yaml names; None: neither. Raises
        AgentError."""
        if credentials is None and self._bench.manager is not None:
            credentials = Path(self._bench.manager)
        if credentials is not None and self._publisher is None:
            self._publisher = Publisher(read_credentials(credentials), first())
            self._publisher.start()
            self._bridges.start(credentials.parent)
        return self._publisher

    def tell(self, report: Callable[[], Bench]) -> None:
        if self._publisher is not None:
            self._publisher.publish(report())

    def connected(self) -> bool | None:
        """The agent itself; None when it works alone."""
        return None if self._publisher is None else self._publisher.connected

    def troubles(self) -> dict[str, str]:
        """Who is not connected, and why: the agent, and devices it speaks for."""
        doors = {name: door.trouble for name, door in self._doors().items()}
        return {name: trouble for name, trouble in doors.items() if trouble is not None}

    def certificates(self) -> dict[str, Validity]:
        """Of whom it connects as by TLS."""
        found = {name: door.validity for name, door in self._doors().items()}
        return {name: validity for name, validity in found.items() if validity is not None}

    def stop(self) -> None:
        if self._publisher is not None:
            self._publisher.stop()
            self._publisher = None

    def _doors(self) -> dict[str, BrokerDoor]:
        own = {} if self._publisher is None else {self._bench.agent: self._publisher.door}
        return own | self._bridges.doors()
