"""`tinyfleet agent …`: the manager's side of agents. (Running one is the agent's own command.)"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyfleet.fleet.cli.common import (
    ago,
    ahead,
    broker_options,
    client,
    json_option,
    one_line_errors,
    order_of,
    show_json,
    show_table,
    state_option,
    warn_if_plain,
    write_secret,
)

if TYPE_CHECKING:
    from tinyfleet.fleet.api.schemas import BoardsOut


@click.group()
def agent() -> None:
    """Register agents (bench hosts) and list their boards."""


@agent.command()
@click.argument("name")
@click.option("--site", default="default", show_default=True, help="Where it stands.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the credentials here (0600)."
)
@click.option("--host", help="Address or name by which the agent reaches the broker.")
@broker_options
@state_option
@one_line_errors
def register(
    name: str, site: str, out: Path | None, host: str | None, tls: bool, days: int | None, state: Path
) -> None:
    """Let agent NAME in at the broker and give its credentials as JSON. The same ones every time.

    What an agent had by the other door, with --tls or without, is good no more.
    """
    from tinyfleet.fleet.api.schemas import AgentIn

    order_of(AgentIn, id=name, site=site, host=host, tls=tls, days=days)
    with client(state) as fleet:
        given = fleet.register_agent(name, site, host=host, tls=tls, days=days)
    warn_if_plain(given.host, tls)
    if out is None:
        show_json(given.model_dump(exclude_none=True))
        return
    write_secret(out, json.dumps(given.model_dump(exclude_none=True)))
    click.echo(f"{name} may connect{' by TLS' if tls else ''}; its credentials are in {out}")


@agent.command()
@click.argument("name")
@state_option
@one_line_errors
def revoke(name: str, state: Path) -> None:
    """Take agent NAME's certificate and password away; `agent register` gives it others.

    Devices that it speaks for have their own: `device revoke` takes those.
    """
    with client(state) as fleet:
        fleet.revoke_agent(name)
        bridged = [each.id for each in fleet.devices() if each.via == name]
    click.echo(f"{name} may not connect any more")
    if bridged:
        click.echo(f"it may still speak for {', '.join(bridged)}: `tinyfleet device revoke` takes that")


@agent.command()
@state_option
@json_option
@one_line_errors
def boards(state: Path, as_json: bool) -> None:
    """List the boards that agents told of."""
    with client(state) as fleet:
        agents = fleet.agents()
    if as_json:
        show_json([each.model_dump() for each in agents])
        return
    show_table(
        ("AGENT", "IT IS", "BOARD", "TYPE", "STATE", "HELD BY", "HEARD", "NOTES"),
        (
            (
                *(each.id, each.state, board["name"], board["device_type"], _known(each, board)),
                *(board.get("reserved_by"), ago(each.heard_s), "; ".join(_notes(board))),
            )
            for each in agents
            for board in each.boards
        ),
    )


def _known(agent: BoardsOut, board: dict[str, Any]) -> str:
    """A board's state is known only while its agent is there to look."""
    return str(board["state"]) if agent.state == "ONLINE" else "UNKNOWN"


def _notes(board: dict[str, Any]) -> Iterator[str]:
    """What else the agent told, as it told it."""
    if board.get("detail"):
        yield board["detail"]
    if "reserved_until" in board:
        yield f"held until {ahead(board['reserved_until'])}"
    if board.get("recoveries"):
        rung = f", last tried: {board['rung']}" if "rung" in board else ""
        yield f"recovered {board['recoveries']} times{rung}"
    if board["emulated"]:
        yield "emulated"
    if "meter" in board:
        yield f"meter: {board['meter']}"
    run = board.get("run") or {}
    if "energy_nj" in run:
        yield _energy(run)
    yield from board.get("labels", [])


def _energy(run: dict[str, Any]) -> str:
    """With its expanded uncertainty, to the second digit of that; a simulated meter's is called that."""
    made_up = "simulated " if run["energy_simulated"] else ""
    value, expanded = run["energy_nj"] / 1000, 2 * run["energy_uncertainty_nj"] / 1000
    unknown = "" if run["energy_accuracy"] else ", meter's accuracy unknown"
    of = f" of {came + run['energy_lost']}" if (came := run.get("energy_samples")) else ""
    lost = f", {run['energy_lost']}{of} samples lost" if run["energy_lost"] else ""
    decimals = min(max(1 - math.floor(math.log10(expanded)), 0), 3) if expanded else 3
    by = "its pin" if run["energy_by"] == "EDGE" else "console times"
    figure = f"{made_up}energy {value:.{decimals}f} ± {expanded:.{decimals}f} µJ an inference"
    figure += f" (k = 2{unknown}{lost})"
    calibration = f" ({run['calibration']})" if run.get("calibration") else ""
    return f"{figure} by {run['meter']}{calibration}, {by}"
