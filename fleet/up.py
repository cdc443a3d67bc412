"""`tinyfleet up`: broker, manager and Prometheus in one state folder, watched, and gone together."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Final

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.adapters.mqtt.mosquitto import BrokerFiles, Listeners, write_configuration
from tinyfleet.fleet.adapters.probe import http_has, tcp_open
from tinyfleet.fleet.adapters.process import Child, Program, end_leftover
from tinyfleet.fleet.adapters.prometheus import server as prometheus
from tinyfleet.fleet.config import ENVIRONMENT, Settings
from tinyfleet.fleet.core.errors import Unavailable
from tinyfleet.fleet.state import Endpoints, Lock, State, choose_port, reached

LOOPBACK: Final = "127.0.0.1"
NAMES: Final = ("mosquitto", "manager", "prometheus")


class Fleet:
    """The three programs of one state folder."""

    def __init__(self, settings: Settings, state: State, say: Callable[[str], None]) -> None:
        self._state = state
        self._say = say
        self._lock = Lock(state.run / "up.lock", "`tinyfleet up`")
        self._given = settings
        self._children: list[Child] = []

    async def start(self) -> Endpoints:
        """Starts everything and returns when it is healthy. Raises Conflict, Unavailable; then nothing
        runs.
        """
        state = self._state
        state.make()
        self._lock.take()
        try:
            state.remove_endpoints()
            for name in NAMES:
                if end_leftover(state.run / f"{name}.json"):
                    self._say(f"ended a {name} that an earlier run left behind")
            settings = self._with_ports()
            self._settings = settings
            await self._start_all(settings)
            endpoints = self._endpoints(settings)
            state.write_endpoints(endpoints)
        except BaseException:
            await self.stop()
            raise
        return endpoints

    async def stop(self) -> None:
        """Ends everything of ours, in the reverse order; a fleet of somebody else is left alone."""
        if not self._lock.held:
            return
        self._state.remove_endpoints()
        for child in reversed(self._children):
            await child.stop()
        self._children.clear()
        self._lock.give_back()

    async def _start_all(self, settings: Settings) -> None:
        state = self._state
        state.token()
        listeners = Listeners(
            host=settings.host,
            port=settings.broker_port,
            tls_port=settings.tls_port,
            admin_port=settings.admin_port,
        )
        files = BrokerFiles(folder=state.broker)
        secret = state.secret()
        identity = Authority(state.authority_key, secret).broker()
        write_configuration(files, listeners, settings.prefix, secret, identity)
        await self._run(self._mosquitto(files, listeners))
        others = [self._manager(settings)]
        if settings.prometheus:
            api = f"{reached(settings.host)}:{settings.api_port}"
            prometheus.write_configuration(
                state.prometheus, api, settings.agents_scraped(), settings.scrape_interval_s
            )
            others.append(self._prometheus(settings))
        starting = [asyncio.create_task(self._run(program)) for program in others]
        try:
            await asyncio.gather(*starting)
        except BaseException:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            raise

    async def _run(self, program: Program) -> None:
        child = Child(program, self._say)
        self._children.append(child)
        await child.start()

    def _mosquitto(self, files: BrokerFiles, listeners: Listeners) -> Program:
        return Program(
            name="mosquitto",
            command=(_tool("mosquitto"), "-c", str(files.configuration)),
            log=self._state.logs / "mosquitto.log",
            pid_file=self._state.broker_pid,
            ready=lambda: tcp_open(LOOPBACK, listeners.admin_port),
        )

    def _manager(self, settings: Settings) -> Program:
        options = {ENVIRONMENT + name.upper(): str(value) for name, value in settings.model_dump().items()}
        return Program(
            name="manager",
            command=(sys.executable, "-m", "tinyfleet.fleet", "serve", "--state", str(self._state.folder)),
            log=self._state.logs / "manager.log",
            pid_file=self._state.run / "manager.json",
            ready=lambda: http_has(
                reached(settings.host), settings.api_port, "/api/v1/health", b'"status":"ok"'
            ),
            environment=options,
        )

    def _prometheus(self, settings: Settings) -> Program:
        host, port = settings.host, settings.prometheus_port
        command = prometheus.command(self._state.prometheus, host, port)
        return Program(
            name="prometheus",
            command=(_tool(command[0]), *command[1:]),
            log=self._state.logs / "prometheus.log",
            pid_file=self._state.run / "prometheus.json",
            ready=lambda: http_has(reached(host), port, "/-/ready"),
        )

    def _with_ports(self) -> Settings:
        """The settings with every port chosen, and kept for the next time."""
        given, before = self._given, self._state.ports()
        ports: dict[str, int] = {}
        for name, host in (
            ("broker_port", given.host),
            ("tls_port", given.host),
            ("admin_port", LOOPBACK),
            ("api_port", given.host),
            ("prometheus_port", given.host),
        ):
            ports[name] = choose_port(name, host, getattr(given, name), before.get(name), ports.values())
        self._state.write_ports(ports)
        return given.model_copy(update=ports)

    def _endpoints(self, settings: Settings) -> Endpoints:
        host = reached(settings.host)
        return Endpoints(
            api=f"http://{host}:{settings.api_port}",
            broker_host=host,
            broker_port=settings.broker_port,
            tls_port=settings.tls_port,
            admin_port=settings.admin_port,
            prefix=settings.prefix,
            prometheus=f"http://{host}:{settings.prometheus_port}" if settings.prometheus else None,
            node_host=settings.node_host,
            pid=os.getpid(),
        )


async def up(
    settings: Settings, state: State, say: Callable[[str], None], ready: Callable[[Endpoints], None]
) -> None:
    """Runs a fleet until SIGINT or SIGTERM. `ready` is told its addresses once it is healthy."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    fleet = Fleet(settings, state, say)
    starting = asyncio.create_task(fleet.start())
    ended = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({starting, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        ready(starting.result())
        await ended
    finally:
        ended.cancel()
        await fleet.stop()


def _tool(name: str) -> str:
    """Full path of an installed program; Debian keeps daemons in /usr/sbin, not on every user's PATH."""
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise Unavailable(
            f"{name} is not installed: as root, `apt-get install --no-install-recommends {name}`"
        )
    return found
