"""`tinyfleet device token…`: one-time tokens by which boards become devices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyfleet.fleet.cli.common import (
    ago,
    ahead,
    client,
    json_option,
    one_line_errors,
    order_of,
    show_json,
    show_table,
    state_option,
)
from tinyfleet.fleet.core.enrolment import parse_valid

if TYPE_CHECKING:
    from tinyfleet.fleet.api.schemas import TokenOut


@click.command()
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many.")
@click.option("--device-type", help="Only for boards of this type.")
@click.option("--site", default="default", show_default=True, help="Where the devices will stand.")
@click.option(
    "--valid", default="1h", show_default=True, help="How long it may be used: 90s, 15m, 1h, 2d; 30d at most."
)
@click.option("--name", help="The id of the device; else one is made.")
@click.option("--replaces", metavar="DEVICE", help="For another board, or another key, of this device.")
@click.option("--firmware", help="Release whose firmware the board starts with: NAME, or NAME:VERSION.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add the words to this file (0600), one a line, instead of printing them.",
)
@state_option
@json_option
@one_line_errors
def token(
    count: int,
    device_type: str | None,
    site: str,
    valid: str,
    name: str | None,
    replaces: str | None,
    firmware: str | None,
    out: Path | None,
    state: Path,
    as_json: bool,
) -> None:
    """Make one-time tokens: who shows one may make one board a device of the fleet.

    A word is told now and never again; `tinyfleet bench provision` takes a file of them.
    """
    from tinyfleet.fleet.api.schemas import TokenIn
    from tinyfleet.fleet.core.errors import BadInput

    if name is not None and replaces is not None:
        raise BadInput("--name and --replaces exclude each other: a replacement bears the device's id")
    release, _, version = (firmware or "").partition(":")
    order = order_of(
        TokenIn,
        valid_s=parse_valid(valid),
        count=count,
        device_type=device_type,
        site=site,
        device=name or replaces,
        replaces=replaces is not None,
        release=release or None,
        release_version=version or None,
    )
    with client(state) as fleet:
        made = fleet.make_tokens(order)
    if out is not None:
        _add(out, [each.word for each in made])
        numbers = ", ".join(str(each.token.id) for each in made)
        click.echo(f"tokens {numbers}, good for {valid}, are in {out}")
    elif as_json:
        show_json([each.model_dump() for each in made])
    else:
        for each in made:
            click.echo(each.word)


@click.command()
@state_option
@json_option
@one_line_errors
def tokens(state: Path, as_json: bool) -> None:
    """List the one-time tokens, newest first; PENDING: enrolled, and not heard yet."""
    with client(state) as fleet:
        found = fleet.tokens()
    if as_json:
        show_json([each.model_dump() for each in found])
        return
    show_table(
        ("TOKEN", "STATE", "DEVICE", "TYPE", "SITE", "MADE", "ENDS"),
        (
            (
                each.id,
                each.state,
                each.device,
                each.device_type,
                each.site,
                ago(each.made_s),
                ahead(each.expires_s) if living(each) else ago(each.changed_s),
            )
            for each in found
        ),
    )


@click.command("token-revoke")
@click.argument("number", type=click.IntRange(min=1))
@state_option
@one_line_errors
def token_revoke(number: int, state: Path) -> None:
    """Take token NUMBER back; a device that was enrolled by it and not heard yet is shut out."""
    with client(state) as fleet:
        taken = fleet.revoke_token(number)
    click.echo(
        f"token {number} is good for nothing" + (f"; {taken.device} is shut out" if taken.device else "")
    )


def living(each: TokenOut) -> bool:
    return each.state in ("OPEN", "PENDING")


def _add(path: Path, words: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.fchmod(handle, 0o600)
    with os.fdopen(handle, "w") as file:
        file.writelines(f"{word}\n" for word in words)
