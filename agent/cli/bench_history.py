"""`tinyfleet bench history`: what happened to a board."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import json_option, on_bench, out, show_json
from tinyfleet.agent.config import Folders


@click.command()
@click.argument("board")
@click.option("--last", type=click.IntRange(1, 10_000), default=50, show_default=True, help="So many events.")
@on_bench
@json_option
def history(board: str, last: int, bench_file: Path, folders: Folders, as_json: bool) -> None:
    """Show how BOARD fared: when it hung, what was tried, what helped, and what it is now."""
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.recovery_view import history_table, patient_json, patient_line
    from tinyfleet.agent.main import Agent

    with Agent(read_bench(bench_file), folders) as agent:
        agent.spec(board)
        patient, events = agent.recovery.patient(board), agent.recovery.history(board, last)
    if as_json:
        show_json({**patient_json(board, patient), "events": events})
        return
    if events:
        out.print(history_table(board, events))
    out.print(patient_line(board, patient), highlight=False, soft_wrap=True)
