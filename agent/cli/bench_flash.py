"""`tinyfleet bench flash`: program boards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyfleet.agent.cli.common import (
    FILE,
    GOLDEN_HELP,
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
    from tinyfleet.agent.adapters.part_files import Files, Parts
    from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec
    from tinyfleet.agent.core.boards import Layout
    from tinyfleet.agent.core.ways import Way
    from tinyfleet.agent.services.flasher import FlashReport


def _address(ctx: click.Context, option: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number (0x10000, 65536)", ctx, option) from None


@click.command()
@click.argument("boards", nargs=-1, metavar="BOARD…")
@click.option("--all", "every", is_flag=True, help="Every board of the bench.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Boards with this label.")
@click.option("--firmware", type=FILE, help="ELF, HEX, BIN (with --address) or a node's signed image.")
@click.option("--model", type=FILE, help="A model as `tinyfleet model build` wrote it, or a signed image.")
@click.option("--golden", type=FILE, help=GOLDEN_HELP + " As much of it as fits is kept on the board.")
@click.option(
    "--address", callback=_address, metavar="NUMBER", help="Where a file without addresses of its own lies."
)
@click.option(
    "--by",
    type=click.Choice(["probe", "smp", "command"]),
    help="The first that bench.yaml has, unless given.",
)
@click.option(
    "--layout",
    type=click.Choice(["bench", "node", "part"]),
    help="Whose flash: the bench app's, a networked node's, or as pyOCD knows the part.",
)
@click.option("--slot", type=click.Choice(["a", "b"]), help="Of a node; the one it starts, unless given.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    help="Seconds for all that is done on one board; 600 unless given.",
)
@claim_options
@on_bench
@json_option
def flash(
    boards: tuple[str, ...],
    every: bool,
    labels: tuple[str, ...],
    firmware: Path | None,
    model: Path | None,
    golden: Path | None,
    claim: Claim,
    address: int | None,
    by: str | None,
    layout: str | None,
    slot: str | None,
    timeout: float | None,
    bench_file: Path,
    folders: Folders,
    as_json: bool,
) -> None:
    """Program boards: only what differs, everything read back, then a reset. Several at once.

    By probe (pyOCD), by SMP, or by the vendor's tool that bench.yaml names. Status 1 when one failed; the
    others go on.
    """
    from tinyfleet.agent.adapters.part_files import Files, read_bench
    from tinyfleet.agent.cli.flash_view import Bars, error_lines, report_json, summary
    from tinyfleet.agent.core.boards import Layout
    from tinyfleet.agent.core.errors import AgentError
    from tinyfleet.agent.core.ways import Way
    from tinyfleet.agent.main import Agent
    from tinyfleet.agent.services.programming import flash_all
    from tinyfleet.agent.services.steps import PLAN_TIMEOUT_S

    bench = read_bench(bench_file)
    chosen = _chosen(bench, boards, every, labels)
    files = Files(firmware=firmware, model=model, golden=golden, address=address, slot=slot)
    load = _loader(files, Way(by) if by else None, Layout(layout) if layout else None)
    stored: dict[str, int] = {}
    with Agent(bench, folders, claim) as agent, Bars(chosen, shown=not hidden(as_json)) as bars:

        def work(board: str) -> FlashReport:
            parts = load(agent.spec(board))
            stored[board] = parts.stored
            return agent.flash(
                board,
                parts,
                bars.of(board),
                on_line=lambda line: meanwhile.print(f"{board}: {line}", highlight=False, soft_wrap=True),
                timeout_s=timeout or PLAN_TIMEOUT_S,
            )

        done = flash_all({board: _bound(work, board) for board in chosen})
    failed = [error for error in done.values() if isinstance(error, AgentError)]
    if as_json:
        told = [report_json(board, result, stored.get(board, 0)) for board, result in done.items()]
        # Who names one board gets that one's; by label or all, it is a list whatever its length.
        alone = len(boards) == 1 and not every and not labels
        show_json(told[0] if alone else {"boards": told, "failed": len(failed)})
    else:
        out.print(summary(done), highlight=False, soft_wrap=True)
    if failed:
        fail("\ntinyfleet: ".join(error_lines(done)))


def _bound(work: Callable[[str], FlashReport], board: str) -> Callable[[], FlashReport]:
    return lambda: work(board)


def _chosen(bench: BenchFile, boards: tuple[str, ...], every: bool, labels: tuple[str, ...]) -> list[str]:
    """Names of boards in the order of bench.yaml, none twice."""
    wanted = dict(_label(label) for label in labels)
    if not (boards or every or wanted):
        fail(f"name boards, or --all of {', '.join(board.name for board in bench.boards)}")
    unknown = [name for name in boards if bench.board(name) is None]
    if unknown:
        has = ", ".join(board.name for board in bench.boards)
        fail(f"the bench has no board {unknown[0]!r}; it has {has}")
    labelled = [
        board.name
        for board in bench.boards
        if wanted and all(board.labels.get(name) == value for name, value in wanted.items())
    ]
    if wanted and not labelled:
        there = sorted({f"{name}={value}" for board in bench.boards for name, value in board.labels.items()})
        fail(
            f"no board has {' and '.join(f'{name}={value}' for name, value in wanted.items())}; "
            + (f"the labels are {', '.join(there)}" if there else "bench.yaml gives no board `labels`")
        )
    return [board.name for board in bench.boards if every or board.name in (*boards, *labelled)]


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"--label {text}: expected NAME=VALUE")
    return name, value


def _loader(files: Files, way: Way | None, layout: Layout | None) -> Callable[[BoardSpec], Parts]:
    """Reads and plans once for boards that are alike: a golden set takes the host twin seconds."""
    from threading import Lock

    from tinyfleet.agent.adapters.part_files import load_for
    from tinyfleet.agent.core.ways import PART_LABEL, way_of

    known: dict[tuple[object, ...], Parts] = {}
    lock = Lock()

    def load(spec: BoardSpec) -> Parts:
        alike = (
            spec.device_type,
            way_of(spec, way),
            spec.labels.get(PART_LABEL),
            spec.program and (spec.program, spec.console, spec.name),
        )
        with lock:
            if alike not in known:
                known[alike] = load_for(spec, files, way=way, layout=layout)
            return known[alike]

    return load
