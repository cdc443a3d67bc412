"""`tinyfleet model …`: the compiler's door. It needs no running fleet."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.fleet.cli.common import fail, json_option, one_line_errors, show_json

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def model() -> None:
    """Compile and inspect models."""


@model.command()
@click.argument("source", type=FILE)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where to write the model."
)
@click.option("--name", help="Name, when SOURCE is a bare .tflite.")
@click.option("--version", help="major.minor.revision, when SOURCE is a bare .tflite.")
@click.option(
    "--device-type",
    default="mps2-an386",
    show_default=True,
    help="What it shall run on; decides how weights are packed.",
)
@one_line_errors
def build(source: Path, out: Path, name: str | None, version: str | None, device_type: str) -> None:
    """Compile SOURCE: a model card (.json) or a bare .tflite.

    An op that nodes do not have is refused here, by name, index and tensor.
    """
    from tinyfleet.model.compiler import CompileError, ModelSpec, compile_model, core_of, describe
    from tinyfleet.model.twin import TwinBuildError

    core = core_of(device_type)
    try:
        if source.suffix == ".tflite":
            if not name or not version:
                fail(f"{source} says neither name nor version: give --name and --version, or a model card")
            payload = compile_model(source.read_bytes(), ModelSpec(name=name, version=version, core=core))
        else:
            from tinyfleet.fleet.cli.model_card import build as build_card

            payload = build_card(source, core)
    except (CompileError, TwinBuildError) as error:
        fail(f"{source}: {error}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(payload)
    click.echo(describe(payload).table())
    click.echo(f"written to {out}")


@model.command()
@click.argument("file", type=FILE)
@json_option
@one_line_errors
def inspect(file: Path, as_json: bool) -> None:
    """Say what is in FILE: a compiled model, or a signed image of one."""
    from tinyfleet.model.compiler import describe
    from tinyfleet.wire.image import read_image
    from tinyfleet.wire.image_format import IMAGE_MAGIC

    data = file.read_bytes()
    if data[:4] == IMAGE_MAGIC.to_bytes(4, "little"):
        image = read_image(data)
        data = image.payload
        if not as_json:
            counter = image.security_counter
            click.echo(
                f"signed image {image.header.version} for {image.device_type}, security counter {counter}"
            )
    if as_json:
        from tinyfleet.fleet.cli.model_card import summary_json

        show_json(summary_json(data))
        return
    click.echo(describe(data).table())
