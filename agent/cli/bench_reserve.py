"""`tinyfleet bench reserve`: a board for yourself, for a time."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import (
    Duration,
    claim_options,
    fail,
    json_option,
    meanwhile,
    on_bench,
    show_json,
)
from tinyfleet.agent.config import Claim, Folders


@click.command()
@click.argument("board", required=False)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Any board that has it.")
@click.option("--for", "for_s", type=Duration(), default="30m", show_default=True, help="At most 24h.")
@claim_options
@on_bench
@json_option
def reserve(
    board: str | None,
    labels: tuple[str, ...],
    for_s: float,
    claim: Claim,
    bench_file: Path,
    folders: Folders,
    as_json: bool,
) -> None:
    """Reserve BOARD, or the first free one that has every --label, and print its name.

    Reserved once more by the same name, it is renewed: for that time from now on. Who waits is served in the
    order of coming. A reservation ends when its time is over, or by `bench release`.
    """
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.lease_view import as_json as one
    from tinyfleet.agent.cli.lease_view import until
    from tinyfleet.agent.main import Agent

    if (board is None) == (not labels):
        fail("name either a board or what it must have: --label NAME=VALUE")
    with Agent(read_bench(bench_file), folders, claim) as agent:
        held = agent.reserve(board, labels, for_s)
    if as_json:
        show_json(one(held))
        return
    click.echo(held.board)
    meanwhile.print(
        f"{held.board} is reserved by {held.holder} until {until(held)}; when you are done: "
        f"tinyfleet bench release {held.board}",
        style="dim",
        highlight=False,
        soft_wrap=True,
    )
