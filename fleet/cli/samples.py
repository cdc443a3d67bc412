"""`tinyfleet samples …`: the windows that devices were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    from tinyfleet.fleet.api.schemas import SampleOut

device_option = click.option("--device", help="Only those of this device.")
model_option = click.option("--model", help="Only those this model saw (64 hex digits of its image).")


@click.group()
def samples() -> None:
    """List, export and remove captured windows.

    `tinyfleet device capture` asks for them. They are kept for `samples_keep_days` within
    `samples_budget_bytes`, and go with their device.
    """


@samples.command("list")
@device_option
@model_option
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@state_option
@json_option
@one_line_errors
def list_(device: str | None, model: str | None, limit: int, state: Path, as_json: bool) -> None:
    """List the newest windows."""
    with client(state) as fleet:
        found = fleet.samples(device, model, limit)
    if as_json:
        show_json([each.model_dump(exclude={"window"}) for each in found])
        return
    if not found:
        click.echo("no windows; ask a device for some with `tinyfleet device capture`")
        return
    show_table(
        ("ID", "DEVICE", "MODEL", "CLASS", "SCORE", "MARGIN", "SENSOR", "WINDOW", "CAME"),
        (
            (
                each.id,
                each.device,
                _model(each),
                each.label or each.class_number,
                f"{max(each.scores):.2f}" if each.scores else None,
                None if each.margin is None else f"{each.margin:.2f}",
                f"{each.sensor} ({each.unit})",
                f"{each.samples} x {each.channels} at {each.rate_hz:g} Hz",
                ago(each.at_s),
            )
            for each in found
        ),
    )


def _model(each: SampleOut) -> str:
    return f"{each.model_name} {each.model_version}" if each.model_name else each.model[:12]


@samples.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@device_option
@model_option
@click.option("--limit", type=click.IntRange(min=1), help="At most so many, the oldest first.")
@state_option
@one_line_errors
def export(out: Path, device: str | None, model: str | None, limit: int | None, state: Path) -> None:
    """Write windows to OUT (.npz) for labelling and retraining; docs/live.md lists its arrays.

    All of one file have one shape, sensor, rate and list of labels: choose by --model or --device.
    """
    from tinyfleet.fleet.cli.samples_file import write_npz

    if out.suffix != ".npz":
        fail(f"{out}: expected a name that ends in .npz")
    with client(state) as fleet:
        count = write_npz(out, list(fleet.sample_windows(device, model, limit)))
    click.echo(f"{count} windows written to {out}")


@samples.command()
@click.option("--device", help="Those of this device.")
@click.option("--all", "everything", is_flag=True, help="Those of every device.")
@click.confirmation_option(prompt="They cannot be had back. Remove them?")
@state_option
@one_line_errors
def remove(device: str | None, everything: bool, state: Path) -> None:
    """Remove windows from the manager."""
    if (device is None) != everything:
        fail("name one: --device NAME or --all")
    with client(state) as fleet:
        count = fleet.remove_samples(device)
    click.echo(f"{count} windows removed")
