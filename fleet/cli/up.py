"""`tinyfleet up` and `tinyfleet serve`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tinyfleet.fleet.cli.common import fail, one_line_errors, state_option


def _port(name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        f"--{name}-port", type=click.IntRange(0, 65535), help=f"Port of {what}; 0: a free one."
    )


@click.command()
@state_option
@click.option("--host", help="Address to bind to (loopback unless given).")
@_port("api", "the API and /metrics")
@_port("broker", "the broker's device listener")
@_port("admin", "the broker's own listener on loopback")
@_port("prometheus", "Prometheus")
@click.option("--prometheus/--no-prometheus", default=None, help="Run a Prometheus beside the manager.")
@click.option("--node-host", help="IPv4 address by which nodes reach the broker.")
@click.option("--scrape-interval", "scrape_interval_s", type=float, help="Seconds between two scrapes.")
@click.option(
    "--rollout-timeout", "rollout_timeout_s", type=float, help="Seconds a device may take for a release."
)
@one_line_errors
def up(state: Path, **options: Any) -> None:
    """Start broker, manager and Prometheus in one state folder.

    It stays in the foreground; Ctrl-C ends all of it. Addresses stand in endpoints.json in the state folder.
    Ports are kept for the next time, because nodes have the broker's in their flash.
    """
    import asyncio

    from tinyfleet.fleet.config import load
    from tinyfleet.fleet.state import Endpoints, State
    from tinyfleet.fleet.up import up as run_up

    def ready(endpoints: Endpoints) -> None:
        click.echo(f"state       {state}")
        click.echo(f"API         {endpoints.api}/api/v1")
        click.echo(f"metrics     {endpoints.api}/metrics")
        click.echo(f"broker      {endpoints.broker_host}:{endpoints.broker_port}, TLS {endpoints.tls_port}")
        if endpoints.prometheus is not None:
            click.echo(f"Prometheus  {endpoints.prometheus}")
        click.echo("Ctrl-C ends it.")

    def say(line: str) -> None:
        click.echo(f"tinyfleet: {line}", err=True)

    asyncio.run(run_up(load(state, options), State(state), say, ready))


@click.command()
@state_option
@one_line_errors
def serve(state: Path) -> None:
    """Run the manager alone, beside a broker that runs already: what `up` does, for a supervisor of your own.

    Options come from fleet.toml in the state folder and from TINYFLEET_… variables.
    """
    from tinyfleet.fleet.config import ENVIRONMENT, FILE, load
    from tinyfleet.fleet.main import run
    from tinyfleet.fleet.state import State

    folder = State(state)
    folder.make()
    settings = load(state)
    ports = ("api_port", "broker_port", "tls_port", "admin_port")
    missing = [name for name in ports if not getattr(settings, name)]
    if missing:
        names = ", ".join(ENVIRONMENT + name.upper() for name in missing)
        fail(f"`serve` needs to be told its ports: set {names}, or name them in {folder.folder / FILE}")
    run(settings, folder)
