"""`tinyfleet bench run`: a golden set on a board."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import (
    FILE,
    GOLDEN_HELP,
    MODEL_HELP,
    claim_options,
    fail,
    hidden,
    json_option,
    meanwhile,
    on_bench,
    out,
    show_json,
)
from tinyfleet.agent.config import Claim, Folders


@click.command()
@click.argument("board")
@click.option("--model", type=FILE, required=True, help=MODEL_HELP)
@click.option("--golden", type=FILE, required=True, help=GOLDEN_HELP)
@click.option("--windows", type=click.IntRange(min=1), help="Only the first so many windows.")
@click.option(
    "--keep/--no-keep",
    default=True,
    show_default=True,
    help="Store the golden set in the board's flash where it is not there: later runs send its hash alone.",
)
@click.option("--log", is_flag=True, help="Show the board's own lines, too.")
@click.option(
    "--energy", is_flag=True, help="Measure the energy of an inference with the board's power meter."
)
@claim_options
@on_bench
@json_option
def run(
    board: str,
    model: Path,
    golden: Path,
    windows: int | None,
    keep: bool,
    log: bool,
    energy: bool,
    claim: Claim,
    bench_file: Path,
    folders: Folders,
    as_json: bool,
) -> None:
    """Run a golden set on BOARD over its console.

    Compares every output byte with the host twin's; counts what is right; measures latencies. Status 2 when
    a byte differs.
    """
    from rich.progress import Progress

    from tinyfleet.agent.adapters.part_files import load_parts, read_bench
    from tinyfleet.agent.cli.run_table import run_table
    from tinyfleet.agent.main import Agent

    with Agent(read_bench(bench_file), folders, claim) as agent:
        parts = load_parts(agent.spec(board).device_type, model=model, golden=golden)
        if parts.golden is None:
            fail("no golden set")
        wanted = parts.golden.first(windows or len(parts.golden.windows))
        with Progress(console=meanwhile, transient=True, disable=hidden(as_json)) as bars:
            bar = bars.add_task(board, total=len(wanted.windows))
            result = agent.run(
                board,
                wanted,
                kept=parts.kept,
                keep=keep,
                model=parts.model,
                progress=lambda done, total: bars.update(bar, completed=done),
                on_line=(lambda line: meanwhile.print(line)) if log else (lambda line: None),
                energy=energy,
            )
    if as_json:
        show_json(result.to_json())
    else:
        out.print(run_table(result))
    if result.different:
        raise SystemExit(2)
