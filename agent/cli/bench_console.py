"""`tinyfleet bench console`: what a board says, and a keyboard for it."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyfleet.agent.cli.common import fail, on_bench, until_stopped
from tinyfleet.agent.config import Folders

if TYPE_CHECKING:
    from tinyfleet.agent.services.ports import Console

_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Since(click.ParamType):  # type: ignore[type-arg] # generic from click 8.3 on
    """Seconds since 1970, from `10m`, or a time of day in ISO 8601 (local where it names no zone)."""

    name = "10m|TIME"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.datetime:
        ago = _AGO.fullmatch(value)
        if ago is not None:
            past = datetime.timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
            return datetime.datetime.now(datetime.UTC) - past
        try:
            return datetime.datetime.fromisoformat(value).astimezone()
        except ValueError:
            self.fail(f"{value!r}: write 90s, 10m, 2h, 1d, or a time like 2026-11-21T20:57", param, ctx)


class Pattern(click.ParamType):  # type: ignore[type-arg] # as above
    name = "regex"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> re.Pattern[str]:
        try:
            return re.compile(value)
        except re.error as error:
            self.fail(f"{value!r} is no regular expression: {error}", param, ctx)


@click.command()
@click.argument("board")
@click.option("--no-input", is_flag=True, help="Follow only; so it is, too, where input is no terminal.")
@click.option("--since", type=Since(), help="Begin with what was kept since then.")
@click.option("--tail", type=click.IntRange(min=0), help="Begin with the last so many lines kept.")
@click.option("--no-follow", is_flag=True, help="Show what was kept, and end.")
@click.option("--expect", type=Pattern(), help="Wait for a line with this, show it, and end.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    help="Of --expect, in seconds.",
)
@click.option(
    "--tty",
    "as_tty",
    is_flag=True,
    help="Make it a terminal for another program, which then has it alone: prints its path.",
)
@click.option("--times", is_flag=True, help="Show when each line came.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
@on_bench
def console(
    board: str,
    no_input: bool,
    since: datetime.datetime | None,
    tail: int | None,
    no_follow: bool,
    expect: re.Pattern[str] | None,
    timeout_s: float,
    as_tty: bool,
    times: bool,
    as_json: bool,
    bench_file: Path,
    folders: Folders,
) -> None:
    """Watch BOARD's console and type to it; Ctrl-] ends.

    It is shared with whoever else uses it, by `tinyfleet agent run` where that serves it. While a run holds
    it for its protocol, its lines still come, and keys go nowhere; so while somebody else has BOARD reserved.
    A board or port that goes away is waited for.
    """
    from tinyfleet.agent.adapters.console_log import read_log
    from tinyfleet.agent.adapters.part_files import read_bench
    from tinyfleet.agent.cli.console_view import View
    from tinyfleet.agent.main import Agent

    if no_follow and (expect is not None or as_tty):
        fail("--no-follow shows what was kept and ends; leave it away with --expect or --tty")
    if expect is not None and as_tty:
        fail("--expect watches, --tty gives the console to another program; give one of them")
    with Agent(read_bench(bench_file), folders) as agent:
        spec = agent.spec(board)
        if as_tty:
            with agent.leases.use(board, "console"):
                _terminal(lambda: agent.consoles.open(board, spec.baud))
            return
        others = partial(agent.leases.others, board)
        view = View(agent.consoles, board, times=times, as_json=as_json, others=others)
        if since is not None or tail is not None:
            from_s = None if since is None else since.timestamp()
            for line in read_log(folders.consoles, board, from_s, tail):
                view.show(line)
        if expect is not None:
            view.expect(expect, timeout_s)
        elif not no_follow:
            view.follow(interactive=not no_input and not as_json and sys.stdin.isatty())


def _terminal(open_console: Callable[[], Console]) -> None:
    from tinyfleet.agent.cli.console_tty import ConsoleTerminal

    with until_stopped() as stop:
        terminal = ConsoleTerminal(open_console, lambda text: click.echo(f"-- {text}", err=True))
        try:
            click.echo(terminal.path)
            terminal.serve(stop)
        finally:
            terminal.close()
