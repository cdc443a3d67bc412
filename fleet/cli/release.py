"""`tinyfleet release …`."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.fleet.cli.common import (
    ago,
    client,
    json_option,
    one_line_errors,
    show_json,
    show_table,
    state_option,
)

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def release() -> None:
    """Create, import and list releases."""


@release.command()
@click.option("--model", type=FILE, help="What `tinyfleet model build` made.")
@click.option(
    "--firmware",
    "firmwares",
    type=FILE,
    multiple=True,
    help="Binary of a node (node.bin); twice for a board that runs it in place, one for each slot.",
)
@click.option("--needs-firmware", help="The model runs on this version of the firmware, or a newer one.")
@click.option("--device-type", default="mps2-an386", show_default=True, help="What the model runs on.")
@click.option("--name", help="Name of the release; the model's own, or `firmware`, unless given.")
@click.option("--version", help="major.minor.revision; the model's or firmware's own unless given.")
@click.option("--security-fix", is_flag=True, help="Raise the security counter: no way back below it.")
@state_option
@json_option
@one_line_errors
def create(
    model: Path | None,
    firmwares: tuple[Path, ...],
    needs_firmware: str | None,
    device_type: str,
    name: str | None,
    version: str | None,
    security_fix: bool,
    state: Path,
    as_json: bool,
) -> None:
    """Sign a compiled model, firmware, or both with the fleet's key and make them a release."""
    files = [*([] if model is None else [model]), *firmwares]
    if not files:
        raise click.UsageError("nothing to release: name a --model, a --firmware, or both")
    with client(state) as fleet:
        made = fleet.create_release_set(
            [file.read_bytes() for file in files],
            device_type=device_type,
            name=name,
            version=version,
            security_fix=security_fix,
            needs_firmware=needs_firmware,
        )
    if as_json:
        show_json(made.model_dump())
        return
    for one in made.artifacts:
        click.echo(
            f"release {made.name} {made.version}: {one.kind.lower()} of {one.size_bytes} bytes for "
            f"{one.device_type}, image {one.image[:12]}"
        )


@release.command("import")
@click.option("--image", required=True, type=FILE, help="A signed image.")
@click.option("--name", help="Name of the release; the model's own unless given.")
@click.option("--version", help="Version of the release; the image's own unless given.")
@click.option("--allow-foreign", is_flag=True, help="Take an image signed by a key the nodes do not trust.")
@state_option
@json_option
@one_line_errors
def take(
    image: Path, name: str | None, version: str | None, allow_foreign: bool, state: Path, as_json: bool
) -> None:
    """Make an image that is signed already a release."""
    with client(state) as fleet:
        made = fleet.import_release(
            image.read_bytes(), name=name, version=version, allow_foreign=allow_foreign
        )
    one = made.artifacts[0]
    if one.foreign:
        click.echo(
            f"warning: signed by key {one.key_hash[:12]}, which is not in this fleet's trust: "
            "every node will refuse it (result 73)",
            err=True,
        )
    if as_json:
        show_json(made.model_dump())
        return
    click.echo(f"release {made.name} {made.version}: {one.size_bytes} bytes for {one.device_type}")


@release.command("list")
@state_option
@json_option
@one_line_errors
def list_(state: Path, as_json: bool) -> None:
    """List the releases."""
    with client(state) as fleet:
        found = fleet.releases()
    if as_json:
        show_json([each.model_dump() for each in found])
        return
    show_table(
        ("RELEASE", "VERSION", "KIND", "DEVICE TYPE", "BYTES", "COUNTER", "IMAGE", "KEY", "MADE"),
        (
            (
                each.name,
                each.version,
                one.kind.lower() + ("" if one.slot is None else f", slot {one.slot}"),
                one.device_type,
                one.size_bytes,
                one.security_counter,
                one.image[:12],
                one.key_hash[:12] + (" (foreign)" if one.foreign else ""),
                ago(each.created_s),
            )
            for each in found
            for one in each.artifacts
        ),
    )
