"""`tinyfleet bench meter`: what a board draws, now."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyfleet.agent.cli.common import (
    claim_options,
    json_option,
    meanwhile,
    on_bench,
    out,
    show_json,
    until_stopped,
)
from tinyfleet.agent.config import Claim, Folders

if TYPE_CHECKING:
    from tinyfleet.agent.core.power.trace import Trace

_FRAMES_A_SECOND = 8
_PULSE_S = 0.25
_PATIENCE_S = 5.0


@click.command()
@click.argument("board")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600.0),
    default=5.0,
    show_default=True,
    help="For how long; Ctrl-C ends it before.",
)
@claim_options
@on_bench
@json_option
def meter(
    board: str, seconds: float, bench_file: Path, folders: Folders, claim: Claim, as_json: bool
) -> None:
    """Show what BOARD's power meter tells: current, its range, and samples that got lost.

    A meter that can feeds the board, and goes on feeding it afterwards. A simulated meter says that it is
    one; it pretends an inference every quarter of a second.
    """
    from rich.live import Live

    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli import meter_view as view
    from tinyfleet.agent.core.errors import MeterError
    from tinyfleet.agent.core.power.trace import Trace
    from tinyfleet.agent.main import Agent
    from tinyfleet.agent.services.metering import Metering

    trace = Trace(seconds)
    with until_stopped() as stop, Agent(read_bench(bench_file), folders, claim) as agent:

        def watch(metering: Metering) -> None:
            shown = view.MeterView(board, metering.meter, trace)
            with ExitStack() as screen:
                if meanwhile.is_terminal and not as_json:
                    screen.enter_context(
                        Live(
                            shown,
                            console=meanwhile,
                            transient=True,
                            refresh_per_second=_FRAMES_A_SECOND,
                        )
                    )
                while trace.end_s < seconds and not stop.is_set():
                    metering.pretend(1)
                    until_s = min(trace.end_s + _PULSE_S, seconds)
                    came = metering.wait(partial(_is_there, trace, until_s, stop), _PATIENCE_S)
                    if metering.error is not None or not came:
                        raise metering.error or MeterError(
                            board, "meter", "samples come too slowly", "is this host too busy?"
                        )

        told = agent.measure(board, trace.feed, watch)
    if as_json:
        show_json(view.as_json(board, told, trace))
        return
    if out.is_terminal:
        out.print(view.MeterView(board, told, trace))
    out.print(view.summary(board, told, trace))


def _is_there(trace: Trace, until_s: float, stop: threading.Event) -> bool:
    return trace.end_s >= until_s or stop.is_set()
