"""`tinyfleet bench power`: a board's power switch."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import (
    bench_option,
    claim_options,
    json_option,
    one_line_errors,
    out,
    show_json,
    state_option,
)
from tinyfleet.agent.config import Claim, Folders


@click.command()
@click.argument("board")
@click.argument("action", type=click.Choice(["on", "off", "cycle"]))
@claim_options
@bench_option
@state_option
@json_option
@one_line_errors
def power(board: str, action: str, claim: Claim, bench_file: Path, folders: Folders, as_json: bool) -> None:
    """Switch BOARD's power on or off, or off and on again.

    By the `switch` that bench.yaml names for it. A port of a USB hub is not switched while something is known
    to hang on it that is not this board's.
    """
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.main import Agent
    from tinyfleet.agent.services.power_switch import PowerAction

    with Agent(read_bench(bench_file), folders, claim) as agent:
        label = agent.power(board, PowerAction(action))
    if as_json:
        show_json({"board": board, "action": action, "switch": label})
    else:
        done = "switched off and on again" if action == "cycle" else f"switched {action}"
        out.print(f"{board}: {done} ({label})", highlight=False, soft_wrap=True)
