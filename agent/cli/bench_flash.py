"""`tinyfleet bench flash`: program a board."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import (
    FILE,
    GOLDEN_HELP,
    MODEL_HELP,
    bench_option,
    claim_options,
    json_option,
    meanwhile,
    one_line_errors,
    out,
    show_json,
    state_option,
)
from tinyfleet.agent.config import Claim, Folders


@click.command()
@click.argument("board")
@click.option("--firmware", type=FILE, help="ELF or HEX file of the bench app.")
@click.option("--model", type=FILE, help=MODEL_HELP)
@click.option("--golden", type=FILE, help=GOLDEN_HELP + " As much of it as fits is kept on the board.")
@claim_options
@bench_option
@state_option
@json_option
@one_line_errors
def flash(
    board: str,
    firmware: Path | None,
    model: Path | None,
    golden: Path | None,
    claim: Claim,
    bench_file: Path,
    folders: Folders,
    as_json: bool,
) -> None:
    """Program BOARD over SWD: only the sectors that differ, everything read back, then a reset."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from tinyfleet.agent.adapters.part_files import load_parts, read_bench
    from tinyfleet.agent.main import Agent

    with Agent(read_bench(bench_file), folders, claim) as agent:
        parts = load_parts(agent.spec(board).device_type, firmware=firmware, model=model, golden=golden)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=meanwhile, transient=True, disable=as_json) as bars:
            bar = bars.add_task(board, total=1.0)
            report = agent.flash(
                board,
                parts,
                lambda step, part: bars.update(bar, description=f"{board}: {step}", completed=part),
            )
    if as_json:
        show_json({**report.to_json(), "golden_stored": parts.stored})
        return
    out.print(
        f"{board}: {report.size_bytes} bytes in {report.sectors} sectors, {report.written} programmed, "
        f"all read back and right, in {report.elapsed_s:.2f} s",
        highlight=False,
        soft_wrap=True,
    )
