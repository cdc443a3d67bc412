"""`tinyfleet rollout …`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tinyfleet.fleet.cli.common import (
    ago,
    client,
    fail,
    json_option,
    one_line_errors,
    show_json,
    show_table,
    state_option,
)

if TYPE_CHECKING:
    from rich.table import Table

    from tinyfleet.fleet.api.schemas import DeploymentOut, RolloutDetailOut, TransferOut
    from tinyfleet.fleet.client import FleetClient

POLL_S: Final = 0.25


@click.group()
def rollout() -> None:
    """Start, watch, list and cancel rollouts."""


@rollout.command()
@click.argument("release")
@click.argument("version", required=False)
@click.option("--device", "devices", multiple=True, help="Only this device; may be given several times.")
@click.option("--site", help="Only devices of this site.")
@click.option("--full", is_flag=True, help="Send images as they are, neither compressed nor as deltas.")
@click.option("--watch", "follow", is_flag=True, help="Follow it to its end.")
@state_option
@json_option
@one_line_errors
def start(
    release: str,
    version: str | None,
    devices: tuple[str, ...],
    site: str | None,
    full: bool,
    follow: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Roll RELEASE (its newest VERSION unless given) out to all devices it fits, at once.

    Each device gets what it can decode with the fewest bytes: a delta from what it runs, a compressed image,
    or the image. One that turns out to run something else ends with result 71: roll out again, and it gets
    what fits it then.
    """
    with client(state) as fleet:
        begun = fleet.start_rollout(release, version, devices=list(devices) or None, site=site, full=full)
        if as_json:
            show_json(begun.model_dump())
        else:
            count = sum(begun.counts.values())
            click.echo(f"rollout {begun.id}: {begun.release} {begun.release_version} to {count} devices")
            for each in fleet.rollout(begun.id).transfers:
                click.echo(f"  {_way(each)}")
        if follow:
            _follow(fleet, begun.id, None)


@rollout.command()
@click.argument("number", type=int)
@click.option("--timeout", "timeout_s", type=float, help="Give up after this many seconds (status 2).")
@state_option
@one_line_errors
def watch(number: int, timeout_s: float | None, state: Path) -> None:
    """Follow rollout NUMBER to its end. Status 1 unless it succeeded."""
    with client(state) as fleet:
        _follow(fleet, number, timeout_s)


@rollout.command("list")
@state_option
@json_option
@one_line_errors
def list_(state: Path, as_json: bool) -> None:
    """List the rollouts, newest first."""
    with client(state) as fleet:
        found = fleet.rollouts()
    if as_json:
        show_json([each.model_dump() for each in found])
        return
    show_table(
        ("ROLLOUT", "RELEASE", "STATE", "DEVICES", "STARTED", "WHY"),
        (
            (
                each.id,
                f"{each.release} {each.release_version}",
                each.state,
                ", ".join(f"{count} {name}" for name, count in sorted(each.counts.items())),
                ago(each.started_s),
                each.why,
            )
            for each in found
        ),
    )


@rollout.command()
@click.argument("number", type=int)
@state_option
@one_line_errors
def cancel(number: int, state: Path) -> None:
    """Stop rollout NUMBER: devices that have not ended stay as they are."""
    with client(state) as fleet:
        ended = fleet.cancel_rollout(number)
    click.echo(f"rollout {number} is {ended.state}")


def _way(transfer: TransferOut) -> str:
    """ "model 2.0.0: delta, 1804 of 101332 bytes, 3 devices"."""
    how = "as it is" if transfer.encoding == "RAW" else transfer.encoding.lower()
    base = "" if transfer.base is None else f" from image {transfer.base[:12]}"
    of = "" if transfer.encoding == "RAW" else f" of {transfer.image_bytes}"
    devices = "1 device" if transfer.devices == 1 else f"{transfer.devices} devices"
    name = f"{transfer.kind.lower()} {transfer.version}"
    return f"{name}: {how}{base}, {transfer.size_bytes}{of} bytes, {devices}"


def _follow(fleet: FleetClient, number: int, timeout_s: float | None) -> None:
    from rich.console import Console
    from rich.live import Live

    until = None if timeout_s is None else time.monotonic() + timeout_s
    console = Console()
    detail = fleet.rollout(number)
    with Live(_picture(detail), console=console, auto_refresh=False, transient=False) as live:
        while detail.rollout.state == "RUNNING":
            if until is not None and time.monotonic() > until:
                live.stop()
                click.echo(f"tinyfleet: rollout {number} still runs after {timeout_s:g} s", err=True)
                raise SystemExit(2)
            time.sleep(POLL_S)
            detail = fleet.rollout(number)
            if console.is_terminal:
                live.update(_picture(detail), refresh=True)
        live.update(_picture(detail), refresh=True)
    if not console.is_terminal:
        console.line()  # rich leaves the last line of a pipe or file open
    end = detail.rollout
    if end.state != "SUCCEEDED":
        fail(f"rollout {number} {end.state}" + (f": {end.why}" if end.why else ""))


def _picture(detail: RolloutDetailOut) -> Table:
    from rich.table import Table

    about = detail.rollout
    table = Table(title=f"rollout {about.id}: {about.release} {about.release_version}: {about.state}")
    for column in ("device", "state", "node", "progress", "result"):
        table.add_column(column)
    for each in detail.deployments:
        result = "" if each.result is None else f"{each.result_code} {each.result}"
        table.add_row(each.device, each.state, each.update or "", _progress(each), result)
    return table


def _progress(deployment: DeploymentOut) -> str:
    if not deployment.size_bytes:
        return ""
    done = min(1.0, deployment.offset_bytes / deployment.size_bytes)
    return f"{done:4.0%} of {deployment.size_bytes} bytes"
