"""`tinyfleet bench list`: the boards of the bench, and who has them."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import json_option, on_bench, out, show_json
from tinyfleet.agent.config import Folders


@click.command()
@on_bench
@json_option
def list(bench_file: Path, folders: Folders, as_json: bool) -> None:
    """List the boards of the bench: which are there, who has each until when, and who waits."""
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.lease_view import board_json, table
    from tinyfleet.agent.main import Agent

    with Agent(read_bench(bench_file), folders) as agent:
        statuses = agent.refresh()
    if as_json:
        show_json([board_json(status) for status in statuses])
    else:
        out.print(table(statuses))
