"""`tinyfleet bench provision`: blank boards become devices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from tinyfleet.agent.cli.common import (
    FILE,
    claim_options,
    fail,
    json_option,
    meanwhile,
    on_bench,
    out,
    show_json,
)
from tinyfleet.agent.config import Claim, Folders
from tinyfleet.agent.core.errors import AgentError, StepFailed

if TYPE_CHECKING:
    from tinyfleet.agent.main import Agent
    from tinyfleet.agent.services.provisioner import Provisioner
    from tinyfleet.agent.services.provisioning_job import Job, Outcome


@click.command()
@click.option("--tokens", type=FILE, required=True, help="File of one-time tokens, one a line (0600).")
@click.option("--count", type=click.IntRange(1, 1000), help="End after so many boards.")
@click.option("--boards", help="Only these of the bench, by name: a,b,c.")
@click.option("--manager", help="Address of its API; else of the one that runs in the state folder.")
@click.option("--name", help="The device's id, for one board; else the token's, or one is made.")
@click.option("--firmware", type=FILE, help="A signed image, instead of the one that the token brings.")
@click.option("--bootloader", type=FILE, help="Binary, for boards whose flash holds one.")
@click.option("--erase", is_flag=True, help="Take boards that belong to somebody, too.")
@click.option("--lock", is_flag=True, help="Close the debug port at the end: it opens only by erasing all.")
@claim_options
@on_bench
@json_option
def provision(
    tokens: Path,
    count: int | None,
    boards: str | None,
    manager: str | None,
    name: str | None,
    firmware: Path | None,
    bootloader: Path | None,
    erase: bool,
    lock: bool,
    claim: Claim,
    bench_file: Path,
    folders: Folders,
    as_json: bool,
) -> None:
    """Make devices of blank boards, one after another.

    Each gets firmware, a key that is nowhere else, and a certificate from the manager; it is registered when
    it was heard. Cut off anywhere, run it again. Status 1 when a board failed.
    """
    from tinyfleet.agent.adapters.enrolment import address_of, read_tokens
    from tinyfleet.agent.adapters.part_files import node_firmware, read_bench
    from tinyfleet.agent.main import Agent
    from tinyfleet.agent.provisioning import provisioner_of
    from tinyfleet.agent.services.provisioning_job import Job

    address = manager or address_of(folders.state)
    if address is None:
        fail(f"no manager runs in {folders.state}: name its address by --manager")
    bench = read_bench(bench_file)
    names = (
        [board.name for board in bench.boards] if boards is None else list(dict.fromkeys(boards.split(",")))
    )
    if name is not None and (len(names) != 1 or count not in (None, 1)):
        fail("--name is for one board: name it by --boards")
    job = Job(
        words=read_tokens(tokens),
        name=name,
        firmware=None
        if firmware is None
        else node_firmware(firmware, {spec.device_type for spec in bench.boards if spec.name in names}),
        bootloader=None if bootloader is None else bootloader.read_bytes(),
        erase=erase,
        lock=lock,
    )
    with Agent(bench, folders, claim) as agent:
        for each in names:
            agent.spec(each)
        done, failed = _all(agent, provisioner_of(folders, address), names, count, job, as_json)
    if as_json:
        show_json({"boards": [each.to_json() for each in done], "failed": failed})
    if failed:
        raise SystemExit(1)


def _all(
    agent: Agent, provisioner: Provisioner, names: list[str], count: int | None, job: Job, as_json: bool
) -> tuple[list[Outcome], list[dict[str, Any]]]:
    done: list[Outcome] = []
    failed: list[dict[str, Any]] = []
    wanted = len(names) if count is None else count
    while len(done) < wanted:
        for board in names[: wanted - len(done)]:
            try:
                done.append(agent.provision(provisioner, board, job, _say))
            except AgentError as error:
                failed.append(_failure(board, error))
                meanwhile.print(Text.assemble(("failed", "red"), f"  {error}"), soft_wrap=True)
            else:
                _show(done[-1], as_json)
        if len(done) >= wanted or failed or not _next_boards(wanted - len(done)):
            break
    if len(done) < wanted:
        meanwhile.print(f"{len(done)} of {wanted} boards are devices now", highlight=False)
    return done, failed


def _next_boards(missing: int) -> bool:
    """Whether somebody put other boards in. Only who sits before a terminal can be asked."""
    if not sys.stdin.isatty():
        return False
    return click.confirm(f"{missing} to go: put the next blank boards in. Ready?", default=True, err=True)


def _say(board: str, step: Any, about: str) -> None:
    line = f"{board}: {step.value.lower().replace('_', ' ')}" + (f", {about}" if about else "")
    meanwhile.print(line, highlight=False, soft_wrap=True)


def _failure(board: str, error: AgentError) -> dict[str, Any]:
    step = error.step if isinstance(error, StepFailed) else None
    cause = error.cause if isinstance(error, StepFailed) else error.what
    return {"board": board, "step": step, "cause": cause, "next": error.hint}


def _show(done: Outcome, as_json: bool) -> None:
    if as_json:
        return
    kind = "emulated " if done.emulated else ""
    out.print(done.label.terminal, end="", highlight=False, soft_wrap=True)
    out.print(
        f"{done.board} is {done.device} ({kind}{done.device_type}, serial {done.serial}): "
        f"{done.way.value.lower()}, heard and registered in {done.elapsed_s:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    out.print(f"label: {', '.join(str(path) for path in done.label.files)}", highlight=False, soft_wrap=True)
