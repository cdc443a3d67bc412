"""`tinyfleet bench release`: a reservation ends."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import AS_HELP, json_option, on_bench, out, show_json
from tinyfleet.agent.config import Claim, Folders


@click.command()
@click.argument("board")
@click.option("--as", "holder", metavar="NAME", help=AS_HELP)
@click.option("--force", is_flag=True, help="Whosever it is.")
@on_bench
@json_option
def release(
    board: str, holder: str | None, force: bool, bench_file: Path, folders: Folders, as_json: bool
) -> None:
    """End the reservation of BOARD. What runs on it runs to its end."""
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.main import Agent

    claim = Claim() if holder is None else Claim(holder)
    with Agent(read_bench(bench_file), folders, claim) as agent:
        whose = agent.leases.release(agent.spec(board).name, force=force)
    if as_json:
        show_json({"board": board, "released": whose})
    else:
        out.print(f"{board}: released, it was reserved by {whose}", highlight=False)
