"""`tinyfleet model build`: any file with a model in it to a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyfleet.fleet.cli.common import json_option, one_line_errors, show_json
from tinyfleet.fleet.cli.grid import paragraph
from tinyfleet.fleet.cli.model_file import FILE, Opened, about, device_type_option, open_model
from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.fleet.core.release import check_version

if TYPE_CHECKING:
    from tinyfleet.model.compiler import Summary
    from tinyfleet.wire.enums import CoreVariant


@click.command()
@click.argument("model", type=FILE)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Where to write the plan.",
)
@click.option("--name", help="Name, when MODEL says none or another is wanted.")
@click.option("--version", help="major.minor.revision, likewise.")
@device_type_option
@json_option
@one_line_errors
def build(
    model: Path, out: Path, name: str | None, version: str | None, device_type: str, as_json: bool
) -> None:
    """Compile MODEL for a device type.

    MODEL is a .tflite, a model card (.json), an Edge Impulse export (.zip), a C array (.h, .cc) or a zip with
    one model in it. What nodes cannot run is refused here, by op, index and tensor, or by the kind of model.
    """
    from tinyfleet.fleet.cli.model_inspect import model_json, show_model
    from tinyfleet.model.compiler import core_of, describe

    opened = open_model(model)
    if opened.payload is not None:
        raise BadInput(f"{model} is {opened.kind}: it is built already")
    said: dict[str, Any] = {
        key: value for key, value in (("name", name), ("version", version)) if value is not None
    }
    if version is not None:
        check_version(version)
    payload = _payload(opened, core_of(device_type), said)
    notes = [*opened.notes, *_notes(describe(payload), device_type)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(payload)
    summary = describe(payload)
    if as_json:
        show_json({"out": str(out), "notes": notes, **model_json(summary)})
        return
    show_model(summary, opened.kind)
    for note in notes:
        paragraph(f"note: {note}")
    click.echo(f"written to {out}")


def _payload(opened: Opened, core: CoreVariant, said: dict[str, Any]) -> bytes:
    """A card's golden answers are checked, too."""
    from tinyfleet.fleet.cli.model_card import build as build_card
    from tinyfleet.model.compiler import compile_model

    with about(opened.path):
        if opened.path.suffix == ".json":
            return build_card(opened.path, core, **said)
        return compile_model(opened.source, replace(opened.known, core=core, **said))


def _notes(summary: Summary, device_type: str) -> list[str]:
    """What a person may have overlooked."""
    from tinyfleet.model.device_types import known_device_types
    from tinyfleet.model.source.read import VERSION_UNSAID

    notes = []
    known = known_device_types()
    if device_type not in known:
        notes.append(
            f"device type {device_type!r} is none of {', '.join(known)}: packed as plain C, which runs on "
            "any node, but slower than on a core with kernels of its own"
        )
    if summary.metadata.version == VERSION_UNSAID:
        notes.append(f"version {VERSION_UNSAID}, for nothing says one: give --version before you release it")
    return notes
