"""`tinyfleet bench recover`: bring a board back, here and now."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import json_option, meanwhile, on_bench, out, show_json
from tinyfleet.agent.config import Folders


@click.command()
@click.argument("board")
@on_bench
@json_option
def recover(board: str, bench_file: Path, folders: Folders, as_json: bool) -> None:
    """Bring BOARD back: ask for its heartbeat, then climb the ladder until there is one.

    Soft reset, reset under connect, power cycle, known-good firmware; what it does not have is skipped.
    Status 2 when there is no heartbeat at the end.
    """
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.recovery_view import event_line, patient_json, patient_line
    from tinyfleet.agent.core.recovery import Condition, Event, Finding, Patient
    from tinyfleet.agent.main import Agent

    def told(name: str, event: Event, patient: Patient, found: Finding) -> None:
        if name == board and not as_json:
            meanwhile.print(event_line(event, patient, found), highlight=False, soft_wrap=True)

    with Agent(read_bench(bench_file), folders) as agent:
        agent.spec(board)
        agent.on_recovery = told
        patient = agent.recovery.recover(board, agent.leases)
    if as_json:
        show_json(patient_json(board, patient))
    else:
        out.print(patient_line(board, patient), highlight=False, soft_wrap=True)
    if patient.state is not Condition.ALIVE:
        raise SystemExit(2)
