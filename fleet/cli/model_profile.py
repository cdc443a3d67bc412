"""`tinyfleet model profile`: instructions op by op, on an emulated core."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tinyfleet.fleet.cli.common import json_option, one_line_errors, show_json
from tinyfleet.fleet.cli.grid import Column, paragraph, shape_text, show_grid
from tinyfleet.fleet.cli.model_file import DEVICE_TYPE, FILE, Opened, open_model
from tinyfleet.fleet.core.errors import Unavailable

if TYPE_CHECKING:
    from tinyfleet.model.measure import Profile

_BAR: Final = 16
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
CAVEAT: Final = "instruction-timed, not cycles"


@click.command()
@click.argument("model", type=FILE)
@click.option(
    "--device-type",
    help=f"What it shall run on. [default: what a plan or image was built for, else {DEVICE_TYPE}]",
)
@json_option
@one_line_errors
def profile(model: Path, device_type: str | None, as_json: bool) -> None:
    """Count the instructions of each op of MODEL on an emulated core.

    QEMU executes the node's own kernels and counts instructions: the figures repeat exactly, and they are no
    cycles. MODEL is whatever `inspect` takes.
    """
    from tinyfleet.model.compiler import core_of
    from tinyfleet.model.measure import MeasureError, core_of_device
    from tinyfleet.model.measure import profile as measure_profile

    opened = open_model(model)
    chosen = device_type or _built_for(opened)
    core = core_of_device(chosen)
    try:
        found = measure_profile(core, opened.plan(core_of(chosen)))
    except MeasureError as error:
        raise Unavailable(f"{model}: {error}") from error
    if as_json:
        show_json(_json(found, chosen))
        return
    _show(found, chosen)


def _built_for(opened: Opened) -> str:
    """A device type that runs a compiled plan: its image's, or one whose core is the plan's."""
    from tinyfleet.model.device_types import device_types
    from tinyfleet.wire.artifact import decode_artifact

    if opened.image is not None and opened.image.device_type is not None:
        return opened.image.device_type
    if opened.payload is None:
        return DEVICE_TYPE
    return next(iter(device_types(decode_artifact(opened.payload).core)), DEVICE_TYPE)


def _show(found: Profile, device_type: str) -> None:
    meta, core = found.summary.metadata, found.core
    click.echo(click.style(f"{meta.name} {meta.version} on {device_type}", bold=True))
    paragraph(
        f"{core.label}, emulated (QEMU {core.machine}); {CAVEAT}, counted in steps of "
        f"{core.tick_instructions}; fed with {found.given}"
    )
    click.echo()
    columns = [
        Column("#", right=True),
        Column("op", flexible=True),
        Column("output", flexible=True, from_width=90),
        Column("instructions", right=True),
        Column("share", right=True),
        Column("", from_width=110),
        Column("MACs", right=True),
        Column("per MAC", right=True),
        Column("per output", right=True),
    ]
    whole = max(found.op_instructions, 1)
    largest = max((op.instructions for op in found.ops), default=1)
    rows = [
        [
            op.index,
            f"{op.name} *" if op.packed else op.name,
            shape_text(op.output),
            op.instructions,
            f"{op.instructions / whole:.1%}",
            _bar(op.instructions / max(largest, 1)),
            op.macs,
            _ratio(op.per_mac),
            _ratio(op.per_element),
        ]
        for op in found.ops
    ]
    macs = found.summary.macs
    all_per_mac = _ratio(found.op_instructions / macs if macs else None)
    show_grid(columns, rows, ["", "all", "", found.op_instructions, "100%", "", macs, all_per_mac, ""])
    if any(op.packed for op in found.ops):
        click.echo(f"* weights packed for core {found.summary.core.name}")
    click.echo()
    verdict = "equal the host twin's" if found.equal else "DIFFER from the host twin's: a bug in a kernel"
    paragraph(
        f"an inference {found.run_instructions:,} instructions; load and check of the plan "
        f"{found.load_instructions:,}; arena {found.summary.arena_bytes:,} B; its answers {verdict}"
    )


def _bar(part: float) -> str:
    """A bar in eighths of a character; never empty for what took something."""
    eighths = max(round(part * _BAR * 8), 1 if part > 0 else 0)
    full, rest = divmod(eighths, 8)
    return (_EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR)


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def _json(found: Profile, device_type: str) -> dict[str, Any]:
    return {
        "device_type": device_type,
        "core": found.core.label,
        "machine": found.core.machine,
        "emulated": True,
        "timing": "instructions",
        "caveat": CAVEAT,
        "given": found.given,
        "equal_to_twin": found.equal,
        "run_instructions": found.run_instructions,
        "load_instructions": found.load_instructions,
        "arena_bytes": found.summary.arena_bytes,
        "ops": [
            {
                "index": op.index,
                "name": op.name,
                "packed": op.packed,
                "instructions": op.instructions,
                "share": op.instructions / max(found.op_instructions, 1),
                "macs": op.macs,
                "per_mac": op.per_mac,
                "per_output": op.per_element,
            }
            for op in found.ops
        ],
    }
