"""The agent's commands: `cli` is a click group whose modules are read only when they are needed."""

from __future__ import annotations

import click

from tinyfleet.agent.cli.common import Lazy


@click.command(cls=Lazy, modules={"bench": "bench", "agent": "agent"})
def cli() -> None:
    """A bench of boards: find, flash, run."""
