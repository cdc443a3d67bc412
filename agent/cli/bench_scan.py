"""`tinyfleet bench scan`: what is plugged in."""

from __future__ import annotations

import click

from tinyfleet.agent.cli.common import (
    json_option,
    meanwhile,
    one_line_errors,
    show_json,
    state_option,
)
from tinyfleet.agent.config import Folders


@click.command()
@state_option
@json_option
@one_line_errors
def scan(folders: Folders, as_json: bool) -> None:
    """List debug probes and serial ports; propose a whole bench.yaml. Nothing is opened.

    The proposal is standard output, so that it can be kept: `tinyfleet bench scan > bench.yaml`. What stands
    behind a # is to be looked at, or filled in.
    """
    from tinyfleet.agent.cli import scan_view as found
    from tinyfleet.agent.core.proposal import proposal

    plugged = found.look(folders)
    text = proposal(plugged.probes, plugged.ports)
    if as_json:
        show_json(found.as_json(plugged) | {"proposal": text})
        return
    meanwhile.print(found.table(plugged))
    if text is None:
        meanwhile.print(
            "no board to propose: plug a probe in, or emulate boards with `tinyfleet bench emulate`",
            soft_wrap=True,
        )
    else:
        click.echo(text, nl=False)
