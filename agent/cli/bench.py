"""`tinyfleet bench …`: find boards, emulate them, program them, run golden sets on them."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import (
    FILE,
    bench_option,
    fail,
    json_option,
    meanwhile,
    one_line_errors,
    out,
    show_json,
    state_option,
    until_stopped,
)
from tinyfleet.agent.config import Folders

MODEL_HELP = "A model: as `tinyfleet model build` wrote it, or an image of one for this board."
GOLDEN_HELP = "A golden set (.npz with `windows` and `labels`)."


@click.group()
def bench() -> None:
    """Boards on this host: find, emulate, program, run."""


@bench.command()
@state_option
@json_option
@one_line_errors
def scan(folders: Folders, as_json: bool) -> None:
    """List debug probes and serial ports; propose a bench.yaml. Nothing is opened."""
    from tinyfleet.agent.cli import scan as found

    probes, ports = found.look(folders)
    if as_json:
        show_json(found.as_json(probes, ports))
        return
    out.print(found.table(probes, ports))
    if probes:
        meanwhile.print("[dim]A bench.yaml for this:[/dim]")
        click.echo(found.proposal(probes, ports))


@bench.command()
@click.option(
    "--machine",
    type=click.Choice(["microbit", "mps2-an386", "mps2-an500"]),
    default="microbit",
    show_default=True,
)
@click.option("--count", type=click.IntRange(1, 8), default=1, show_default=True, help="How many.")
@click.option("--flash", type=FILE, help="mps2-*: the node's flash, a file; made when absent.")
@click.option("--kernel", type=FILE, help="mps2-*: the bootloader (boot.elf).")
@click.option(
    "--smp-port", type=click.IntRange(1, 65535), help="mps2-*: UDP port here that leads to the node's SMP."
)
@click.option("--terminal", is_flag=True, help="mps2-*: the node's console is a terminal, too.")
@state_option
@one_line_errors
def emulate(
    machine: str,
    count: int,
    flash: Path | None,
    kernel: Path | None,
    smp_port: int | None,
    terminal: bool,
    folders: Folders,
) -> None:
    """Run emulated boards until Ctrl-C.

    With --kernel, one networked node that starts like a deployed one. Without, boards for pyOCD: what is
    programmed is kept.
    """
    from tinyfleet.agent.adapters.emulator import MACHINES
    from tinyfleet.agent.cli import emulate as emulation

    if (flash is None) != (kernel is None):
        fail("a networked node needs both --flash and --kernel")
    if flash is None and (smp_port is not None or terminal):
        fail("--smp-port and --terminal are of a networked node: give its --flash and --kernel, too")
    with until_stopped() as stop:
        if flash is not None and kernel is not None:
            if machine not in MACHINES or count != 1:
                fail(f"--flash and --kernel go with one --machine {' or '.join(MACHINES)}")
            emulation.node(machine, flash, kernel, folders, stop, smp_port, terminal)
        else:
            emulation.boards(machine, count, folders, stop)


@bench.command()
@click.argument("board")
@click.option("--firmware", type=FILE, help="ELF or HEX file of the bench app.")
@click.option("--model", type=FILE, help=MODEL_HELP)
@click.option("--golden", type=FILE, help=GOLDEN_HELP + " As much of it as fits is kept on the board.")
@bench_option
@state_option
@json_option
@one_line_errors
def flash(
    board: str,
    firmware: Path | None,
    model: Path | None,
    golden: Path | None,
    bench_file: Path,
    folders: Folders,
    as_json: bool,
) -> None:
    """Program BOARD over SWD: only the sectors that differ, everything read back, then a reset."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from tinyfleet.agent.main import Agent, load_parts, read_bench

    with Agent(read_bench(bench_file), folders) as agent:
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


@bench.command()
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
@bench_option
@state_option
@json_option
@one_line_errors
def run(
    board: str,
    model: Path,
    golden: Path,
    windows: int | None,
    keep: bool,
    log: bool,
    bench_file: Path,
    folders: Folders,
    as_json: bool,
) -> None:
    """Run a golden set on BOARD over its console.

    Compares every output byte with the host twin's; counts what is right; measures latencies. Status 2 when
    a byte differs.
    """
    from rich.progress import Progress

    from tinyfleet.agent.cli.run_table import run_table
    from tinyfleet.agent.main import Agent, load_parts, read_bench

    with Agent(read_bench(bench_file), folders) as agent:
        parts = load_parts(agent.spec(board).device_type, model=model, golden=golden)
        if parts.golden is None:
            fail("no golden set")
        wanted = parts.golden.first(windows or len(parts.golden.windows))
        with Progress(console=meanwhile, transient=True, disable=as_json) as bars:
            bar = bars.add_task(board, total=len(wanted.windows))
            result = agent.run(
                board,
                wanted,
                kept=parts.kept,
                keep=keep,
                model=parts.model,
                progress=lambda done, total: bars.update(bar, completed=done),
                on_line=(lambda line: meanwhile.print(line, markup=False)) if log else (lambda line: None),
            )
    if as_json:
        show_json(result.to_json())
    else:
        out.print(run_table(result))
    if result.different:
        raise SystemExit(2)
