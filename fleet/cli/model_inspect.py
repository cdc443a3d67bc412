"""`tinyfleet model inspect`: what is in a model, op by op, and its arena over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tinyfleet.fleet.cli.common import json_option, one_line_errors, show_json
from tinyfleet.fleet.cli.grid import Column, fields, on_screen, paragraph, shape_text, show_grid, width
from tinyfleet.fleet.cli.model_file import FILE, about, device_type_option, open_model

if TYPE_CHECKING:
    from tinyfleet.model.compiler import Summary
    from tinyfleet.model.compiler.occupancy import Piece

_OP_NAME: Final = 18
_PICTURE_LEAST: Final = 24
_PICTURE_MOST: Final = 120

# Backgrounds of the 256-colour palette, as in the SVG: activations take turns.
_ACTIVATIONS: Final = (30, 64, 25, 100)
_ROLES: Final = {"input": 24, "output": 130, "scratch": 240, "state": 97}
_INK: Final = 231


@click.command()
@click.argument("model", type=FILE)
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the arena over time as a picture, too.",
)
@device_type_option
@json_option
@one_line_errors
def inspect(model: Path, svg: Path | None, device_type: str, as_json: bool) -> None:
    """Say what is in MODEL: its ops, its bytes, its arena over time.

    MODEL is a compiled plan, a signed image of one, or anything that `build` takes; that is compiled for
    --device-type first, and nothing is written.
    """
    from tinyfleet.model.compiler import core_of, describe
    from tinyfleet.model.compiler.occupancy import occupancy, piece_names
    from tinyfleet.wire.artifact import decode_artifact

    opened = open_model(model)
    core = core_of(device_type)
    payload = opened.plan(core)
    with about(model):
        summary, plan = describe(payload), decode_artifact(payload)
    pieces = occupancy(plan)
    sources = opened.tensor_names(core)
    names = piece_names(plan, pieces, sources)
    if svg is not None:
        from tinyfleet.model.view import arena_svg

        svg.parent.mkdir(parents=True, exist_ok=True)
        svg.write_text(arena_svg(summary, pieces, names))
    if as_json:
        show_json({"kind": opened.kind, **model_json(summary), "arena": _arena_json(pieces, names)})
        return
    kind = opened.kind
    if opened.image is not None:
        kind += f", security counter {opened.image.security_counter}"
    show_model(summary, kind, sources)
    for note in opened.notes:
        paragraph(f"note: {note}")
    click.echo()
    show_arena(summary, pieces, names if sources else ())
    if svg is not None:
        click.echo(f"picture written to {svg}")


def show_model(summary: Summary, kind: str, sources: dict[int, str] | None = None) -> None:
    """Prints the facts and the table of ops."""
    meta = summary.metadata
    click.echo(f"{click.style(f'{meta.name} {meta.version}', bold=True)}, {kind}")
    fields(
        [
            ("plan", _plan_text(summary)),
            ("input", _input_text(summary)),
            ("output", _output_text(summary)),
            ("sha-256", meta.source.hex()),
        ]
    )
    click.echo()
    _show_ops(summary, sources or {})


def show_arena(summary: Summary, pieces: Sequence[Piece], names: Sequence[str]) -> None:
    """Prints the picture and what it amounts to."""
    from tinyfleet.model.view import arena_rows, scale_line

    left = 4 + min(_OP_NAME, max(len(name) for name in ("output", *(op.name for op in summary.ops))))
    right = 10
    columns = max(_PICTURE_LEAST, min(_PICTURE_MOST, width() - left - right - 5))
    title = "arena over time"
    click.echo(
        click.style(title.ljust(left + 1), bold=True) + scale_line(summary.arena_bytes, columns).rstrip()
    )
    rows = arena_rows(pieces, summary.arena_bytes, len(summary.ops), columns, names)
    peak = max(row.live_bytes for row in rows)
    for row in rows:
        if row.moment < 0:
            label = "    input"
        elif row.moment == len(summary.ops):
            label = "    output"
        else:
            op = summary.ops[row.moment]
            label = f"{op.index:>3} {op.name}"
        mark = " ◂" if row.live_bytes == peak else ""
        cells = _painted(row.cells, row.owners, pieces) if on_screen() else row.cells
        click.echo(f"{label[:left]:<{left}} {cells} {row.live_bytes:>{right - 1},} B{mark}".rstrip())
    paragraph(arena_words(summary))


def arena_words(summary: Summary) -> str:
    arena, bound = summary.arena_bytes, summary.bound_bytes
    said = f"arena {arena:,} B; {summary.peak_bytes:,} B alive at once at most"
    if arena <= bound:
        return f"{said}; lower bound {bound:,} B: no plan of these ops is smaller"
    spare = f"at most {arena - bound:,} B ({arena / bound - 1:.1%}) could be saved"
    return f"{said}; lower bound {bound:,} B: {spare}"


def model_json(summary: Summary) -> dict[str, Any]:
    """A summary as JSON holds it."""
    from dataclasses import asdict

    value = asdict(summary)
    meta = value["metadata"]
    meta["source"] = meta["source"].hex()
    meta["output_kind"] = meta["output_kind"].name
    value["core"] = value["core"].name
    value["op_codes"] = sorted(value["op_codes"])
    loaded: dict[str, Any] = json.loads(json.dumps(value))
    return loaded


def _arena_json(pieces: Sequence[Piece], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "tensor": piece.tensor,
            "role": piece.role.value,
            "offset": piece.offset,
            "bytes": piece.size_bytes,
            "first_op": piece.first,
            "last_op": piece.last,
        }
        for piece, name in zip(pieces, names, strict=True)
    ]


def _plan_text(summary: Summary) -> str:
    return (
        f"{summary.payload_bytes:,} B ({summary.constant_bytes:,} constants, {summary.vectors} golden "
        f"vectors), core {summary.core.name}, {summary.macs:,} MACs, arena {summary.arena_bytes:,} B"
    )


def _input_text(summary: Summary) -> str:
    meta = summary.metadata
    parts = [shape_text(summary.input_shape)]
    if meta.sensor:
        parts.append(meta.sensor)
    rate = f" at {meta.rate_mhz / 1000:g} Hz" if meta.rate_mhz else ""
    if meta.samples > 1 or rate:
        unit = f" {meta.unit}" if meta.unit else ""
        parts.append(f"{meta.samples} samples of {meta.channels}{unit}{rate}")
    parts.append(f"scale {meta.input_scale:.6g}")
    if summary.inputs > 1:
        parts.append(f"the first of {summary.inputs}")
    return ", ".join(parts)


def _output_text(summary: Summary) -> str:
    meta = summary.metadata
    labels = f" ({', '.join(meta.labels)})" if meta.labels else ""
    parts = [
        f"{shape_text(summary.output_shape)}, {meta.output_kind.name}{labels}, scale {meta.output_scale:.6g}"
    ]
    if meta.threshold is not None:
        parts.append(f"threshold {meta.threshold}")
    if summary.outputs > 1:
        parts.append(f"the first of {summary.outputs}")
    return ", ".join(parts)


def _show_ops(summary: Summary, sources: dict[int, str]) -> None:
    from tinyfleet.model.compiler.occupancy import short_name

    columns = [
        Column("#", right=True),
        Column("op", flexible=True),
        Column("input", flexible=True, from_width=96),
        Column("output", flexible=True),
        Column("MACs", right=True),
        Column("weights B", right=True),
        Column("output B", right=True),
        Column("alive B", right=True),
    ]
    if sources:
        columns.append(Column("tensor", flexible=True, from_width=110))
    rows = []
    for op in summary.ops:
        shapes = " + ".join(shape_text(shape) for shape in op.inputs)
        name = f"{op.name} *" if op.packed else op.name
        row: list[object] = [op.index, name, shapes, shape_text(op.output), op.macs]
        row += [op.constant_bytes, op.output_bytes, op.live_bytes]
        rows.append(row + ([short_name(sources.get(op.tensor, ""))] if sources else []))
    held = sum(op.constant_bytes for op in summary.ops)
    made = sum(op.output_bytes for op in summary.ops)
    last: list[object] = ["", "all", "", "", summary.macs, held, made, summary.peak_bytes]
    show_grid(columns, rows, last + ([""] if sources else []))
    if any(op.packed for op in summary.ops):
        click.echo(f"* weights packed for core {summary.core.name}")


def _painted(cells: str, owners: Sequence[int | None], pieces: Sequence[Piece]) -> str:
    """The row with a background colour for each piece; what is free stays dim."""
    from tinyfleet.model.view.arena_text import FREE, SHADES, shades_of

    shades = shades_of(pieces)
    painted, start = [], 0
    for i in range(1, len(cells) + 1):
        if i < len(cells) and owners[i] == owners[start]:
            continue
        text, owner = cells[start:i], owners[start]
        start = i
        if owner is None:
            painted.append(click.style(text.replace(FREE, "·"), dim=True))
            continue
        plain = "".join(" " if cell in SHADES else cell for cell in text)
        role = pieces[owner].role.value
        colour = _ROLES.get(role, _ACTIVATIONS[shades[owner] % len(_ACTIVATIONS)])
        painted.append(click.style(plain, fg=_INK, bg=colour))
    return "".join(painted)
