"""What the agent's commands share: options, one-line errors, output for people and for machines."""

from __future__ import annotations

import functools
import importlib
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from rich.console import Console

from tinyfleet.agent.config import (
    DEFAULT_BENCH,
    DEFAULT_STATE,
    HOLDER_VARIABLE,
    STATE_VARIABLE,
    Claim,
    Folders,
    default_holder,
    default_state,
)
from tinyfleet.agent.core.console_line import printable
from tinyfleet.agent.core.duration import parse_duration
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.wire.errors import WireError

P = ParamSpec("P")
R = TypeVar("R")
FILE = click.Path(dir_okay=False, path_type=Path)

MODEL_HELP = "A model: as `tinyfleet model build` wrote it, or an image of one for this board."
GOLDEN_HELP = "A golden set (.npz with `windows` and `labels`)."

out = Console(markup=False)
"""Results. What goes on meanwhile is on standard error, so that output can be piped. Neither knows rich's
markup: much of what they show was said by boards, tools and people, and `[/x]` of theirs is no tag."""
meanwhile = Console(stderr=True, markup=False)


class Lazy(click.Group):
    """A group whose commands are read when they are needed: `modules` by the command's name. A module holds
    its command under its own name without `bench_`."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._modules:
            return None
        module = importlib.import_module(f"tinyfleet.agent.cli.{self._modules[name]}")
        command: click.Command = getattr(module, self._modules[name].removeprefix("bench_"))
        return command


def state_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--state",
        "folders",
        type=click.Path(file_okay=False, path_type=Path),
        default=default_state,
        show_default=f"${STATE_VARIABLE} or {DEFAULT_STATE}",
        callback=lambda ctx, param, value: Folders(value),
        help="Folder that holds everything of one fleet.",
    )(function)


def bench_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--bench",
        "bench_file",
        type=FILE,
        default=DEFAULT_BENCH,
        show_default=True,
        help="Which boards there are.",
    )(function)


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """Seconds, of 90s, 30m, 1h30m or the like."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


AS_HELP = f"Who you are; else ${HOLDER_VARIABLE}, or who is logged in. What this name has reserved is yours."


def _say(told: str) -> None:
    meanwhile.print(told, style="dim", highlight=False, soft_wrap=True)


def claim_options(function: Callable[P, R]) -> Callable[..., R]:
    """--as and --wait of whatever uses a board, as one argument `claim`."""

    @click.option("--as", "holder", metavar="NAME", help=AS_HELP)
    @click.option(
        "--wait",
        "wait_s",
        type=Duration(),
        default="0",
        help="Wait so long for a board that another has: 10m.",
    )
    @functools.wraps(function)
    def wrapped(*args: Any, holder: str | None, wait_s: float, **kwargs: Any) -> R:
        claim = Claim(holder or default_holder(), wait_s, _say)
        return function(*args, claim=claim, **kwargs)  # type: ignore[arg-type]

    return wrapped


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(function)


def one_line_errors(function: Callable[P, R]) -> Callable[P, R]:
    """What goes wrong is told on standard error with status 1, never as a traceback; what was started or
    switched off is ended or switched on again, by SIGTERM as by Ctrl-C."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        # They report what we report, and less clearly.
        for library in ("pyocd", "smpclient", "mqtt"):
            logging.getLogger(library).setLevel(logging.CRITICAL)
        try:
            with _ending_on_term():
                return function(*args, **kwargs)
        except (AgentError, WireError) as error:
            fail(str(error))
        except OSError as error:
            fail(f"{error.filename or 'the system'}: {error.strerror or error}")
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    return wrapped


def on_bench(function: Callable[..., Any]) -> Callable[..., Any]:
    """--bench and --state, and errors on one line. Which boards are away is in the answer, or in the error of
    who wants one; of the others nobody asked."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        log = logging.getLogger("tinyfleet.agent.services.inventory")
        before = log.level
        log.setLevel(logging.ERROR)
        try:
            return function(*args, **kwargs)
        finally:
            log.setLevel(before)

    return bench_option(state_option(one_line_errors(wrapped)))


def fail(message: str) -> NoReturn:
    # Words of boards and managers stand in it, too.
    lines = "\n".join(printable(line) for line in message.split("\n"))
    click.echo(f"tinyfleet: {lines}", err=True)
    raise SystemExit(1)


def hidden(as_json: bool) -> bool:
    """Whether nobody looks at a progress bar: a file or a program gets none, not even its empty line."""
    return as_json or not meanwhile.is_terminal


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


@contextmanager
def _ending_on_term() -> Iterator[None]:
    """SIGTERM and a closed terminal end as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ends()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ends() -> list[signal.Signals]:
    """SIGTERM, and SIGHUP unless whoever started us (`nohup`) wants us to outlive the terminal."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGHUP] if hangs_up else [signal.SIGTERM]


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set, so that what was started is ended in order."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ends())}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
