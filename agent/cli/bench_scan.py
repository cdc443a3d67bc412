"""`tinyfleet bench scan`: what is plugged in."""

from __future__ import annotations

import click

from tinyfleet.agent.cli.common import (
    json_option,
    meanwhile,
    one_line_errors,
    out,
    show_json,
    state_option,
)
from tinyfleet.agent.config import Folders


@click.command()
@state_option
@json_option
@one_line_errors
def scan(folders: Folders, as_json: bool) -> None:
    """List debug probes and serial ports; propose a bench.yaml. Nothing is opened."""
    from tinyfleet.agent.cli import scan_view as found

    probes, ports = found.look(folders)
    if as_json:
        show_json(found.as_json(probes, ports))
        return
    out.print(found.table(probes, ports))
    if probes:
        meanwhile.print("[dim]A bench.yaml for this:[/dim]")
        click.echo(found.proposal(probes, ports))
