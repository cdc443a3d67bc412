"""`tinyfleet bench renew`: a reservation goes on."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import AS_HELP, Duration, json_option, on_bench, out, show_json
from tinyfleet.agent.config import Claim, Folders


@click.command()
@click.argument("board")
@click.option("--for", "for_s", type=Duration(), default="30m", show_default=True, help="At most 24h.")
@click.option("--as", "holder", metavar="NAME", help=AS_HELP)
@on_bench
@json_option
def renew(
    board: str, for_s: float, holder: str | None, bench_file: Path, folders: Folders, as_json: bool
) -> None:
    """Keep BOARD, reserved before, for that time from now on.

    While others wait for it, up to 24 hours from when it was reserved.
    """
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.lease_view import as_json as one
    from tinyfleet.agent.cli.lease_view import until
    from tinyfleet.agent.main import Agent

    claim = Claim() if holder is None else Claim(holder)
    with Agent(read_bench(bench_file), folders, claim) as agent:
        held = agent.leases.renew(agent.spec(board).name, for_s)
    if as_json:
        show_json(one(held))
    else:
        out.print(f"{board} is reserved by {held.holder} until {until(held)}", highlight=False)
