"""`tinyfleet bench mlperf`: MLPerf Tiny's modes on whatever firmware speaks its protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from tinyfleet.agent.services.mlperf_runner import MlperfSet

ENERGY_BAUD = 9600
"""As the rules have it, so that the line costs the board little."""


@click.command()
@click.argument("board")
@click.option(
    "--mode",
    type=click.Choice(["accuracy", "performance", "energy"]),
    default="accuracy",
    show_default=True,
    help="Performance and energy: the median of 5 windows of 10 s and more, measured on the device.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with y_labels.csv and its files, or one with such folders by benchmark.",
)
@click.option("--golden", type=FILE, help=GOLDEN_HELP)
@click.option("--model", type=FILE, help=MODEL_HELP + " With --golden: outputs are compared with its own.")
@click.option("--samples", type=click.IntRange(min=1), help="Only the first so many.")
@click.option("--baud", type=click.IntRange(300, 12_000_000), help="Else the board's; 9600 for energy.")
@click.option("--log", is_flag=True, help="Show what else the board says, too.")
@claim_options
@on_bench
@json_option
def mlperf(
    board: str,
    mode: str,
    data: Path | None,
    golden: Path | None,
    model: Path | None,
    samples: int | None,
    baud: int | None,
    log: bool,
    bench_file: Path,
    folders: Folders,
    claim: Claim,
    as_json: bool,
) -> None:
    """Run MLPerf Tiny on BOARD over its console, as the public runner does.

    Any compliant firmware will do. What keeps the result from being a score by the rules is said with it: an
    emulated board's timing counts instructions. Status 2 when an output differs from the model's.
    """
    from rich.progress import Progress

    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.mlperf_table import mlperf_table
    from tinyfleet.agent.core.mlperf_run import Mode
    from tinyfleet.agent.main import Agent

    if (data is None) == (golden is None):
        fail("give either --data or --golden")
    if model is not None and golden is None:
        fail("--model goes with --golden")
    with Agent(read_bench(bench_file), folders, claim) as agent:
        chosen = _chosen(agent.spec(board).device_type, data, golden, model, samples)
        energy = Mode(mode) is Mode.ENERGY
        with Progress(console=meanwhile, transient=True, disable=hidden(as_json)) as bars:
            bar = bars.add_task(f"{board}: {mode}", total=None)
            result = agent.mlperf(
                board,
                Mode(mode),
                chosen,
                baud=baud or (ENERGY_BAUD if energy else None),
                progress=lambda done, total: bars.update(bar, completed=done, total=total),
                on_line=(lambda line: meanwhile.print(line)) if log else (lambda line: None),
            )
    if as_json:
        show_json(result.to_json())
    else:
        out.print(mlperf_table(result))
    if result.run.different:
        raise SystemExit(2)


def _chosen(
    device_type: str, data: Path | None, golden: Path | None, model: Path | None, samples: int | None
) -> MlperfSet:
    from tinyfleet.agent.adapters import mlperf_data

    if data is not None:
        return mlperf_data.folder_set(data, samples)
    if golden is None:
        fail("no golden set")
    if model is None:
        return mlperf_data.raw_set(golden, samples)
    return mlperf_data.model_set(golden, model, device_type, samples)
