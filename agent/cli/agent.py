"""`tinyfleet agent …`: the bench host's program, and how it is."""

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
from tinyfleet.agent.config import Claim, Folders


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

    from tinyfleet.agent.adapters.health_door import sole_agent
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.main import Agent

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # What came and went is told, too.
    logging.getLogger("tinyfleet.agent").setLevel(logging.INFO)
    file = read_bench(bench_file)
    # A name of its own: what its owner has reserved is not the agent's.
    claim = Claim(f"agent:{file.agent}"[:32])
    with until_stopped() as stop, sole_agent(folders.lock), Agent(file, folders, claim) as bench:
        bench.start_boards()
        if not alone:
            bench.connect(credentials)
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


@agent.command()
@state_option
@json_option
@one_line_errors
def health(folders: Folders, as_json: bool) -> None:
    """Ask the agent that runs here how it is. Status 1 when it is not well, or there is none."""
    from tinyfleet.agent.adapters.health_door import ask

    answer = ask(folders.health)
    if as_json:
        show_json(answer)
    else:
        boards = answer["boards"].values()
        counts = ", ".join(f"{list(boards).count(state)} {state}" for state in sorted(set(boards)))
        out.print(f"{answer['agent']}: {answer['status']}; boards: {counts}", highlight=False, soft_wrap=True)
        for reason in answer["reasons"]:
            out.print(f"  {reason}", highlight=False, soft_wrap=True)
    if answer["status"] != "ok":
        raise SystemExit(1)
