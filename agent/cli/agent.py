"""`tinyfleet agent run`: the bench host's program."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from tinyfleet.agent.cli.common import (
    FILE,
    bench_option,
    json_option,
    meanwhile,
    one_line_errors,
    out,
    show_json,
    state_option,
    until_stopped,
)
from tinyfleet.agent.config import Folders


@click.group()
def agent() -> None:
    """Run a bench host."""


@agent.command()
@bench_option
@click.option(
    "--credentials", type=FILE, help="What `tinyfleet agent register --out` wrote; else as bench.yaml says."
)
@click.option("--alone", is_flag=True, help="Without a manager, whatever bench.yaml says.")
@state_option
@json_option
@one_line_errors
def run(bench_file: Path, credentials: Path | None, alone: bool, folders: Folders, as_json: bool) -> None:
    """Start the bench's emulated boards, watch all boards, tell the manager, until Ctrl-C."""
    from rich.table import Table

    from tinyfleet.agent.adapters.mqtt import read_credentials
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.main import Agent

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with until_stopped() as stop, Agent(read_bench(bench_file), folders) as bench:
        bench.start_boards()
        if not alone:
            bench.connect(None if credentials is None else read_credentials(credentials))
        statuses = bench.refresh()
        if as_json:
            show_json(
                [{"board": s.spec.name, "state": s.state.name, "emulated": s.emulated} for s in statuses]
            )
        else:
            table = Table("board", "type", "probe", "state", "", title=f"bench of {bench.bench.agent}")
            for status in statuses:
                kind = "emulated" if status.emulated else ""
                table.add_row(
                    status.spec.name,
                    status.spec.device_type,
                    status.spec.probe,
                    status.state.name,
                    status.detail or kind,
                )
            out.print(table)
        meanwhile.print("watching; Ctrl-C ends it")
        bench.serve(stop)
