"""`tinyfleet shadow …`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tinyfleet.fleet.cli.common import (
    client,
    json_option,
    one_line_errors,
    show_json,
    show_table,
    state_option,
)

if TYPE_CHECKING:
    from tinyfleet.fleet.api.schemas import ShadowOut

NOTE: Final = (
    "Agreement is not accuracy: it says how often both models named the same class, "
    "not which of them was right."
)
devices_option = click.option(
    "--device", "devices", multiple=True, help="Only this device; may be given several times."
)
site_option = click.option("--site", help="Only devices of this site.")


@click.group()
def shadow() -> None:
    """Compare a release's model with the one that runs, on the same windows."""


@shadow.command()
@click.argument("release")
@click.argument("version", required=False)
@devices_option
@site_option
@state_option
@json_option
@one_line_errors
def start(
    release: str, version: str | None, devices: tuple[str, ...], site: str | None, state: Path, as_json: bool
) -> None:
    """Run RELEASE's model (its newest VERSION unless given) as challenger beside the model that runs.

    It only counts where both agree; nothing confirms it, and any update ends it. A rollout of the same
    release finds it on the device already. Status 1 when no device can run it.
    """
    with client(state) as fleet:
        begun = fleet.start_shadows(release, version, devices=list(devices) or None, site=site)
    _show(begun, as_json)
    if all(each.state == "REJECTED" for each in begun):
        raise SystemExit(1)


@shadow.command()
@devices_option
@site_option
@state_option
@json_option
@one_line_errors
def stop(devices: tuple[str, ...], site: str | None, state: Path, as_json: bool) -> None:
    """Stop the challengers of all devices, or of those named."""
    with client(state) as fleet:
        ended = fleet.stop_shadows(devices=list(devices) or None, site=site)
    _show(ended, as_json)


@shadow.command()
@click.argument("device", required=False)
@state_option
@json_option
@one_line_errors
def show(device: str | None, state: Path, as_json: bool) -> None:
    """Show the challengers, or DEVICE's with what both models said."""
    with client(state) as fleet:
        found = fleet.shadows() if device is None else [fleet.shadow(device)]
    _show(found, as_json)
    if as_json or not any(each.windows for each in found):
        return
    click.echo()
    pairs: Counter[tuple[str, str]] = Counter()
    for each in found:
        pairs.update({(pair.active, pair.challenger): pair.windows for pair in each.pairs})
    if device is not None and pairs:
        show_table(
            ("ACTIVE SAID", "CHALLENGER SAID", "WINDOWS"),
            ((active, challenger, count) for (active, challenger), count in pairs.most_common()),
        )
        if found[0].rest:
            click.echo(f"and {found[0].rest} windows of other pairs")
        click.echo()
    click.echo(NOTE)


def _show(found: list[ShadowOut], as_json: bool) -> None:
    if as_json:
        show_json([each.model_dump() for each in found])
        return
    show_table(
        ("DEVICE", "STATE", "CHALLENGER", "ACTIVE", "WINDOWS", "AGREE", "SKIPPED", "COST", "WHY"),
        (
            (
                each.device,
                each.state,
                f"{each.release} {each.release_version}",
                each.active,
                each.windows,
                "" if each.agreement is None else f"{each.agreement:.1%}",
                each.skipped,
                each.missed,
                _why(each),
            )
            for each in found
        ),
    )


def _why(shadow: ShadowOut) -> str:
    if shadow.result in (None, "INITIAL", "SUCCESS"):
        return shadow.detail
    return f"{shadow.result_code} {shadow.result}" + (f": {shadow.detail}" if shadow.detail else "")
