"""`tinyfleet device bridge`: a board without a network becomes a device."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinyfleet.fleet.cli.common import (
    broker_options,
    client,
    one_line_errors,
    order_of,
    state_option,
    warn_if_plain,
    write_secret,
)


@click.command()
@click.argument("name")
@click.option("--agent", required=True, help="The agent whose board it is: `tinyfleet agent register`.")
@click.option("--device-type", required=True, help="What the board is: microbit, mps2-an386, …")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what the agent needs here (0600); it looks for NAME.json beside its own credentials.",
)
@click.option("--site", default="default", show_default=True, help="Where it stands; a label in metrics.")
@click.option("--host", help="IPv4 address by which the agent reaches the broker.")
@broker_options
@click.option("--period", "period_s", type=click.IntRange(1, 86400), help="Seconds between two reports.")
@click.option("--fresh", is_flag=True, help="The agent lost what it kept of it: forget what was counted.")
@state_option
@one_line_errors
def bridge(
    name: str,
    agent: str,
    device_type: str,
    out: Path,
    site: str,
    host: str | None,
    tls: bool,
    days: int | None,
    period_s: int | None,
    fresh: bool,
    state: Path,
) -> None:
    """Register device NAME, a board without a network that an agent speaks for.

    The agent's bench.yaml says `device: NAME` at that board. Doing it again gives the same file.
    """
    from tinyfleet.fleet.api.schemas import BridgeIn

    order = order_of(
        BridgeIn,
        agent=agent,
        device_type=device_type,
        site=site,
        host=host,
        period_s=period_s,
        tls=tls,
        days=days,
        fresh=fresh,
    )
    with client(state) as fleet:
        given = fleet.bridge_device(name, order)
    warn_if_plain(given.host, tls)
    write_secret(out, json.dumps(given.model_dump(exclude_none=True)))
    click.echo(f"{name} is registered at site {site}; what {agent} needs to speak for it is in {out}")
