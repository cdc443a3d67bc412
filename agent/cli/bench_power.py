"""`tinyfleet bench power`: a board's power switch."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import claim_options, json_option, on_bench, out, show_json
from tinyfleet.agent.config import Claim, Folders


@click.command()
@click.argument("board")
@click.argument("action", type=click.Choice(["on", "off", "cycle"]))
@claim_options
@on_bench
@json_option
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
