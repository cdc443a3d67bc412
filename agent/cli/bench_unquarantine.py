"""`tinyfleet bench unquarantine`: a board may be used again."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import fail, on_bench, out
from tinyfleet.agent.config import Folders


@click.command()
@click.argument("board")
@on_bench
def unquarantine(board: str, bench_file: Path, folders: Folders) -> None:
    """Let BOARD out of quarantine; its failures are forgotten, its history is not."""
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.recovery_view import patient_line
    from tinyfleet.agent.core.recovery import Condition
    from tinyfleet.agent.main import Agent

    with Agent(read_bench(bench_file), folders) as agent:
        agent.spec(board)
        if agent.recovery.patient(board).state is not Condition.QUARANTINED:
            fail(f"{board} is not in quarantine; see `tinyfleet bench history {board}`")
        patient = agent.recovery.pardon(board)
        agent.recovery.check_saved(board)
    out.print(patient_line(board, patient), highlight=False, soft_wrap=True)
