"""What every command shares: the state folder, one-line errors, tables and JSON."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from tinyfleet.fleet.cli.grid import on_screen, plain, width
from tinyfleet.fleet.core.errors import BadInput, FleetError
from tinyfleet.wire.errors import WireError, shown

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tinyfleet.fleet.client import FleetClient

NOTHING = "-"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
P = ParamSpec("P")
R = TypeVar("R")
Order = TypeVar("Order", bound="BaseModel")


def state_option(function: Callable[..., Any]) -> Callable[..., Any]:
    from tinyfleet.fleet.state import DEFAULT_STATE

    return click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        default=lambda: Path(os.environ.get("TINYFLEET_STATE") or DEFAULT_STATE),
        show_default=f"$TINYFLEET_STATE or {DEFAULT_STATE}",
        help="Folder that holds everything of one fleet.",
    )(function)


def broker_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """By which door of the broker an agent comes: `tls`, `days`."""
    days = click.option(
        "--days",
        type=click.IntRange(1, 10_000),
        help="With --tls: how long the certificate is good; else as long as the authority.",
    )
    return click.option("--tls", is_flag=True, help="Reach the broker by TLS, with a certificate.")(
        days(function)
    )


def warn_if_plain(host: str, tls: bool) -> None:
    """On standard error, where a password is about to cross a network in the clear."""
    if not tls and host not in LOOPBACK:
        click.echo(
            f"tinyfleet: without --tls the password goes to {host} in the clear, and so does all else",
            err=True,
        )


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(function)


def one_line_errors(function: Callable[P, R]) -> Callable[P, R]:
    """What goes wrong is one line on standard error and status 1, never a traceback."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (FleetError, WireError) as error:
            fail(str(error))
        except BrokenPipeError:
            # Who reads has enough (`| head`); what is still buffered shall not be tried again at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except OSError as error:
            fail(f"{error.filename or 'the system'}: {error.strerror or error}")
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    return wrapped


def order_of(schema: type[Order], **values: Any) -> Order:
    """An order to the API, refused here as it would be there. Raises BadInput."""
    from pydantic import ValidationError

    try:
        return schema(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{where}: {first['msg'].lower()}, got {shown(first['input'])}") from error


def fail(message: str) -> NoReturn:
    click.echo(f"tinyfleet: {_printable(message)}", err=True)
    raise SystemExit(1)


def client(state: Path) -> FleetClient:
    from tinyfleet.fleet.client import FleetClient

    return FleetClient.of_state(state)


def write_secret(path: Path, text: str) -> None:
    """Replaces a file at once, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    temporary.replace(path)


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table: readable, and easy to cut with standard tools; fitted to a screen, if there is one."""
    cells = [[str(column) for column in columns], *([_cell(value) for value in row] for row in rows)]
    for line in plain(cells, width() if on_screen() else None, NOTHING):
        click.echo(line)


def _cell(value: object) -> str:
    return NOTHING if value is None or value == "" else _printable(str(value))


def _printable(text: str) -> str:
    """What devices say may be anything; escaped, it moves no cursor and ends no line."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def ago(at_s: float | None) -> str | None:
    """How long ago in words."""
    return None if at_s is None else f"{_spent(time.time() - at_s)} ago"


def ahead(at_s: float) -> str:
    """How long until then in words."""
    return f"in {_spent(at_s - time.time())}"


def _spent(passed: float) -> str:
    passed_s = max(0, round(passed))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed_s >= 2 * size:
            return f"{passed_s // size} {unit}"
    return f"{passed_s} s"
