"""`tinyfleet health`."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.fleet.cli.common import client, one_line_errors, show_json, state_option


@click.command()
@state_option
@one_line_errors
def health(state: Path) -> None:
    """Ask the running manager how it is. Status 1 when it is not well."""
    with client(state) as fleet:
        answer = fleet.health()
    show_json(answer.model_dump())
    if answer.status != "ok":
        raise SystemExit(1)
