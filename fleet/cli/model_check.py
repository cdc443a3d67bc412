"""`tinyfleet model check`: the node's code on this machine held against TensorFlow Lite Micro."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np

from tinyfleet.fleet.cli.common import json_option, one_line_errors, show_json
from tinyfleet.fleet.cli.grid import fields, paragraph
from tinyfleet.fleet.cli.model_file import FILE, Opened, about, device_type_option, open_model
from tinyfleet.fleet.cli.model_inputs import inputs_option, read_inputs
from tinyfleet.fleet.core.errors import BadInput

if TYPE_CHECKING:
    from tinyfleet.model.compare import CheckResult, Sequences
    from tinyfleet.model.compiler import ModelSpec
    from tinyfleet.model.twin import Twin

NOT_CHECKED: Final = 3
DIFFERS: Final = 4
_SEED: Final = 7
_EXITS: Final = (
    f"Exit status: 0 equal, {DIFFERS} different, {NOT_CHECKED} not checked (no wheel), 1 anything else."
)


@click.command(epilog=_EXITS)
@click.argument("model", type=FILE)
@inputs_option
@click.option("--golden", is_flag=True, help="Feed the golden windows of a model card.")
@click.option(
    "--random", "count", default=24, show_default=True, help="Random windows, beside what is given."
)
@click.option("--steps", type=click.IntRange(1), help="Steps of a random sequence, for a model with state.")
@device_type_option
@json_option
@one_line_errors
def check(
    model: Path,
    inputs: Path | None,
    golden: bool,
    count: int,
    steps: int | None,
    device_type: str,
    as_json: bool,
) -> None:
    """Compare MODEL on the host twin with TensorFlow Lite Micro, after every op.

    The twin is the node's own C code; TensorFlow Lite Micro comes from the PyPI wheel tflite-micro. The first
    tensor that differs is named. MODEL is whatever `build` takes.
    """
    from tinyfleet.model.compare import check as compare
    from tinyfleet.model.compare import random_sequences
    from tinyfleet.model.compiler import compile_model, core_of
    from tinyfleet.model.compiler.compile import lower_named
    from tinyfleet.model.truth import TruthError, WheelMissing
    from tinyfleet.model.twin import Twin

    opened = open_model(model)
    spec = replace(opened.known if opened.tflite else _refuse(opened), core=core_of(device_type))
    with about(model):
        bare = replace(spec, golden_inputs=(), golden_raw=())
        payload = compile_model(opened.source, bare)
        _, numbers = lower_named(opened.source, bare)
        twin = Twin(payload)
    fed = random_sequences(twin.plan, count, _SEED, steps)
    words = [f"{len(fed)} random"] if fed else []
    for name, sequences in _given(opened, twin, inputs, golden):
        fed += sequences
        words.append(f"{len(sequences)} {name}")
    if not fed:
        raise BadInput("nothing to feed the model with: give --inputs, --golden or --random above 0")
    try:
        found = compare(opened.source, payload, numbers, fed)
    except WheelMissing as error:
        if as_json:
            show_json({"checked": False, "why": str(error)})
        click.echo(f"tinyfleet: {model} was not checked: {error}", err=True)
        raise SystemExit(NOT_CHECKED) from None
    except TruthError as error:
        raise BadInput(f"{model}: {error}") from error
    if as_json:
        show_json({"checked": True, "equal": found.first is None, **asdict(found)})
    else:
        _show(opened, spec, found, " and ".join(words))
    if found.first is not None:
        raise SystemExit(DIFFERS)


def _refuse(opened: Opened) -> ModelSpec:
    raise BadInput(
        f"{opened.path} is {opened.kind}; TensorFlow Lite Micro needs the model it was made from: give the "
        ".tflite"
    )


def _given(opened: Opened, twin: Twin, inputs: Path | None, golden: bool) -> list[tuple[str, Sequences]]:
    from tinyfleet.model.compare import InputError, given_sequences

    found = []
    if inputs is not None:
        found.append((f"from {inputs.name}", read_inputs(inputs, twin)))
    if golden:
        if opened.golden is None:
            raise BadInput(f"{opened.path} names no golden windows: --golden is for a model card that does")
        try:
            windows = np.ascontiguousarray(opened.golden.windows)
            found.append(("golden", given_sequences(twin, [windows], [1.0], raw=True)))
        except InputError as error:
            raise BadInput(f"{opened.path}, golden windows: {error}") from error
    return found


def _show(opened: Opened, spec: ModelSpec, found: CheckResult, fed: str) -> None:
    from tinyfleet.model.truth import PINNED, wheel_version

    wheel = wheel_version()
    click.echo(
        f"{click.style(f'{spec.name} {spec.version}', bold=True)}, {opened.kind}, core {spec.core.name}"
    )
    compared = f"{found.tensors} tensors, each after the op that makes it"
    if found.elsewhere:
        compared += f"; {found.elsewhere} are folded away or state"
    steps = f", {found.steps} steps each from reset" if found.steps > 1 else ""
    fields(
        [
            (
                "truth",
                f"tflite-micro {wheel}"
                + ("" if wheel == PINNED else f" (kernels are held against {PINNED})"),
            ),
            ("fed with", f"{fed} windows{steps}"),
            ("compared", compared),
        ]
    )
    first = found.first
    if first is None:
        click.echo(click.style("equal: every byte of every compared tensor", fg="green"))
        return
    click.echo(click.style(f"different in {found.differing} of {found.sequences} windows; first:", fg="red"))
    shape = "x".join(map(str, first.shape))
    place = ", ".join(map(str, first.place))
    when = f"window {first.sequence}" + (f", step {first.step}" if found.steps > 1 else "")
    fields(
        [
            ("op", f"{first.op} {first.op_name}"),
            ("tensor", f"{first.tensor} '{first.name}', {shape}"),
            (
                "values",
                f"{first.differing:,} of {first.values:,} differ, by {first.largest:+d} at most ({when})",
            ),
            ("first at", f"[{place}]: ours {first.ours}, TensorFlow Lite Micro's {first.theirs}"),
        ]
    )
    paragraph(
        "This is a bug in a kernel or in the compiler: please report it with the model and these lines."
    )
