"""`tinyfleet bench quarantine`: nobody is to use a board."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import fail, on_bench, out
from tinyfleet.agent.config import Folders


@click.command()
@click.argument("board")
@click.option("--reason", required=True, help="Why; whoever wants the board is told.")
@on_bench
def quarantine(board: str, reason: str, bench_file: Path, folders: Folders) -> None:
    """Take BOARD out of use: it is neither programmed, nor run, nor brought back until it is let out."""
    if not reason.strip():
        fail("--reason is empty; say why: whoever wants the board is told")
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.recovery_view import patient_line
    from tinyfleet.agent.main import Agent

    with Agent(read_bench(bench_file), folders) as agent:
        agent.spec(board)
        patient = agent.recovery.quarantine(board, reason)
        agent.recovery.check_saved(board)
    out.print(patient_line(board, patient), highlight=False, soft_wrap=True)
