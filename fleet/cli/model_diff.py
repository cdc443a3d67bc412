"""`tinyfleet model diff`: what changes from one model to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np

from tinyfleet.fleet.cli.common import json_option, one_line_errors, show_json
from tinyfleet.fleet.cli.grid import (
    GAP,
    Column,
    fields,
    grid,
    on_screen,
    shape_text,
    show_grid,
    width,
    wrapped,
)
from tinyfleet.fleet.cli.model_file import DEVICE_TYPE, FILE, Opened, about, open_model
from tinyfleet.fleet.cli.model_inputs import inputs_option, read_arrays
from tinyfleet.fleet.core.errors import BadInput

if TYPE_CHECKING:
    from tinyfleet.model.compare import OpPair, OutputsDiff, Sequences, UpdateCost
    from tinyfleet.model.compiler import Summary
    from tinyfleet.model.twin import Twin
    from tinyfleet.wire.artifact import Artifact

_RANDOM: Final = 64
_SEED: Final = 11
_FLIPS_SHOWN: Final = 8
_CHANGE_LEAST: Final = 24
_COLOURS: Final = {"+": "green", "-": "red", "~": "yellow"}


class Side:
    """One of the two models, as a plan."""

    def __init__(self, opened: Opened, payload: bytes) -> None:
        from tinyfleet.model.compiler import describe
        from tinyfleet.model.twin import Twin

        self.opened = opened
        self.payload = payload
        with about(opened.path):
            self.twin: Twin = Twin(payload)
            self.summary: Summary = describe(payload)
        self.plan: Artifact = self.twin.plan

    @property
    def title(self) -> str:
        meta = self.plan.metadata
        return f"{meta.name} {meta.version}, {self.opened.kind}"


@click.command()
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@inputs_option
@click.option(
    "--device-type",
    help=f"What to compile for. [default: the core of a plan among the two, else {DEVICE_TYPE}]",
)
@json_option
@one_line_errors
def diff(a: Path, b: Path, inputs: Path | None, device_type: str | None, as_json: bool) -> None:
    """Say what changes from model A to model B.

    Ops, weights, bytes, arena, scaling, metadata; what both answer to the same inputs (--inputs, else the
    golden windows of either, else random ones); and what the update to B costs on the wire.
    """
    from tinyfleet.model.compare import InputError, compare_outputs, pair_ops, update_cost

    left, right = _sides(a, b, device_type)
    pairs = pair_ops(left.plan, right.plan)
    image = right.opened.image
    with about(b):
        cost = update_cost(None if image is None else image.data, right.payload)
    try:
        fed, of_a, of_b = _sequences(left, right, inputs)
        outputs: OutputsDiff | str = compare_outputs(left.twin, right.twin, of_a, of_b)
    except InputError as error:
        if inputs is not None:
            raise BadInput(f"{inputs}: {error}") from error
        fed, outputs = "", str(error)
    if as_json:
        show_json(_json(left, right, pairs, fed, outputs, cost))
        return
    for name, side in (("A", left), ("B", right)):
        click.echo(f"{click.style(name, bold=True)}  {side.title}")
    if left.payload == right.payload:
        click.echo("the plans are the same, byte for byte")
    click.echo()
    _show_sizes(left.summary, right.summary)
    _show_metadata(left, right)
    click.echo()
    _show_ops(left, right, pairs)
    click.echo()
    same = left.payload == right.payload
    fields([*_output_facts(left.plan.metadata.labels, fed, outputs), ("update", _cost_text(cost, same=same))])


def _sides(a: Path, b: Path, device_type: str | None) -> tuple[Side, Side]:
    from tinyfleet.model.compiler import core_of
    from tinyfleet.wire.artifact import decode_artifact

    first, second = open_model(a), open_model(b)
    built = [opened.payload for opened in (first, second) if opened.payload is not None]
    if device_type is not None or not built:
        core = core_of(device_type or DEVICE_TYPE)
    else:
        with about(a if first.payload is not None else b):
            core = decode_artifact(built[0]).core
    return Side(first, first.plan(core)), Side(second, second.plan(core))


def _sequences(left: Side, right: Side, inputs: Path | None) -> tuple[str, Sequences, Sequences]:
    """(what both are fed with, for A, for B)."""
    from tinyfleet.model.compare import converted, given_sequences, random_sequences, vector_sequences

    if inputs is not None:
        arrays = read_arrays(inputs)
        if (len(arrays) == 1 and arrays[0].dtype.kind in "f") or arrays[0].dtype == np.int16:
            both = [_given(side, arrays) for side in (left, right)]
            return f"{inputs.name}", both[0], both[1]
        of_a = given_sequences(left.twin, arrays, [left.plan.metadata.input_scale] * len(arrays))
        return f"{inputs.name}", of_a, converted(of_a, left.twin, right.twin)
    for side in (right, left):
        golden = side.opened.golden
        if golden is not None:
            windows = [np.ascontiguousarray(golden.windows)]
            whose = f"{len(golden.windows)} golden windows of {side.opened.path.name}"
            return whose, _given(left, windows), _given(right, windows)
    if left.plan.vectors:
        of_a = vector_sequences(left.plan)
        return f"the {len(of_a)} golden vectors inside A", of_a, converted(of_a, left.twin, right.twin)
    if right.plan.vectors:
        of_b = vector_sequences(right.plan)
        return f"the {len(of_b)} golden vectors inside B", converted(of_b, right.twin, left.twin), of_b
    of_a = random_sequences(left.plan, _RANDOM, _SEED)
    return (
        f"{_RANDOM} random windows (give --inputs for real ones)",
        of_a,
        converted(of_a, left.twin, right.twin),
    )


def _given(side: Side, arrays: list[np.ndarray[Any, Any]]) -> Sequences:
    from tinyfleet.model.compare import given_sequences

    scales = [side.plan.metadata.input_scale] * len(arrays)
    return given_sequences(side.twin, arrays, scales, raw=True)


def _show_sizes(a: Summary, b: Summary) -> None:
    pairs = [
        ("plan", a.payload_bytes, b.payload_bytes, "B"),
        ("constants", a.constant_bytes, b.constant_bytes, "B"),
        ("arena", a.arena_bytes, b.arena_bytes, "B"),
        ("alive at once", a.peak_bytes, b.peak_bytes, "B"),
        ("multiply-accumulates", a.macs, b.macs, ""),
        ("ops", len(a.ops), len(b.ops), ""),
        ("golden vectors", a.vectors, b.vectors, ""),
    ]
    columns = [
        Column(""),
        Column("A", right=True),
        Column("B", right=True),
        Column("change", right=True),
        Column("", right=True),
    ]
    rows = [
        [
            name,
            f"{x:,} {unit}".strip(),
            f"{y:,} {unit}".strip(),
            f"{y - x:+,}" if x != y else "",
            _percent(x, y),
        ]
        for name, x, y, unit in pairs
    ]
    show_grid(columns, rows)


def _percent(before: int, after: int) -> str:
    if before == after:
        return "same"
    return f"{after / before - 1:+.1%}" if before else ""


def _facts(side: Side) -> dict[str, str]:
    meta, plan = side.plan.metadata, side.plan
    rate = f" at {meta.rate_mhz / 1000:g} Hz" if meta.rate_mhz else ""
    shapes = [shape_text(plan.tensors[end.tensor].shape) for end in (plan.input, plan.output)]
    window = f"{meta.samples} samples of {meta.channels} {meta.unit}".rstrip()
    raw = f", raw {plan.input.multiplier}/{plan.input.shift}" if plan.input.multiplier else ""
    return {
        "core": plan.core.name,
        "input": f"{shapes[0]}, scale {meta.input_scale:.6g}, zero {plan.input.zero_point}{raw}",
        "sensor": f"{meta.sensor or 'none'}{rate}, {window}",
        "output": f"{shapes[1]}, scale {meta.output_scale:.6g}, zero {plan.output.zero_point}",
        "kind": f"{meta.output_kind.name}, threshold {meta.threshold}",
        "labels": ", ".join(meta.labels) or "none",
        "hop": str(meta.hop),
        "baseline": "none" if meta.baseline is None else f"{meta.baseline.windows} windows",
        "compiler": meta.compiler,
        "state": f"{len(plan.states)} tensors",
        "sha-256": meta.source.hex()[:16],
    }


def _show_metadata(left: Side, right: Side) -> None:
    changed = _changed_facts(left, right)
    if not changed:
        click.echo("metadata, input and output are the same")
        return
    click.echo()
    fields([(name, f"{before}  ->  {after}") for name, (before, after) in changed.items()])


def _changed_facts(left: Side, right: Side) -> dict[str, tuple[str, str]]:
    a, b = _facts(left), _facts(right)
    return {name: (a[name], b[name]) for name in a if a[name] != b[name]}


def _show_ops(left: Side, right: Side, pairs: Sequence[OpPair]) -> None:
    columns = [Column(""), Column("A", right=True), Column("B", right=True), Column("op"), Column("output")]
    rows = [_op_row(left, right, pair) for pair in pairs]
    lines = grid(columns, [row[:-1] for row in rows])
    left_width = max(map(len, lines)) + GAP
    room = max(width() - left_width, _CHANGE_LEAST) if on_screen() else None
    click.echo(click.style(f"{lines[0]:<{left_width}}change", bold=True))
    for row, line in zip(rows, lines[1:], strict=True):
        mark = str(row[0])
        for i, part in enumerate(wrapped(str(row[-1]), room)):
            text = f"{line if i == 0 else '':<{left_width}}{part}"
            click.echo(click.style(text, fg=_COLOURS.get(mark), dim=mark == "="))


def _op_row(left: Side, right: Side, pair: OpPair) -> list[object]:
    side, number = (right, pair.b) if pair.b is not None else (left, pair.a)
    if number is None:
        raise RuntimeError("a pair of no ops")
    op = side.summary.ops[number]
    mark = "+" if pair.a is None else "-" if pair.b is None else "~" if pair.changes else "="
    words = "; ".join(pair.changes)
    if mark in "+-":
        words = f"{op.macs:,} MACs, {op.constant_bytes:,} B of constants"
    elif mark == "=":
        words = "same"
    return [
        mark,
        "" if pair.a is None else pair.a,
        "" if pair.b is None else pair.b,
        op.name,
        shape_text(op.output),
        words,
    ]


def _output_facts(labels: Sequence[str], fed: str, found: OutputsDiff | str) -> list[tuple[str, str]]:
    if isinstance(found, str):
        return [("outputs", f"not compared: {found}")]
    pairs = [("fed with", fed)]
    if found.agreeing is not None:
        share = f"{found.agreeing / found.steps:.1%}"
        pairs.append(("agreement", f"{found.agreeing} of {found.steps} ({share}) have the same best class"))
        shown = list(found.flips.items())[:_FLIPS_SHOWN]
        flips = ", ".join(f"{_label(labels, x)} -> {_label(labels, y)}: {n}" for (x, y), n in shown)
        more = len(found.flips) - len(shown)
        if flips:
            pairs.append(("flips", flips + (f" and {more} kinds more" if more else "")))
    pairs.append(("outputs", f"{found.equal} of {found.steps} are the same"))
    if found.equal < found.steps:
        sequence, step, element = found.largest_at
        where = f"window {sequence}" + (f", step {step}" if step else "") + f", {_label(labels, element)}"
        pairs.append(("change", f"{found.largest:+.4g} at most ({where}), {found.mean:.4g} on average"))
    return pairs


def _label(labels: Sequence[str], number: int) -> str:
    return labels[number] if number < len(labels) else f"output {number}"


def _cost_text(cost: UpdateCost, *, same: bool) -> str:
    image = "image" if cost.is_signed else "image (as it will be, signed)"
    headers = cost.wire_bytes - cost.image_bytes - cost.manifest_bytes
    said = (
        f"{cost.wire_bytes:,} B in {cost.messages} retained messages: {image} {cost.image_bytes:,} B, "
        f"manifest {cost.manifest_bytes:,} B, MQTT headers {headers:,} B"
    )
    return f"none, a node that runs A runs this already (anew: {said})" if same else said


def _json(
    left: Side,
    right: Side,
    pairs: Sequence[OpPair],
    fed: str,
    outputs: OutputsDiff | str,
    cost: UpdateCost,
) -> dict[str, Any]:
    names = ("payload_bytes", "constant_bytes", "arena_bytes", "peak_bytes", "macs", "vectors")
    found: dict[str, Any] = {"compared": False, "why": outputs}
    if not isinstance(outputs, str):
        found = {"compared": True, "fed": fed, **asdict(outputs)}
        found["flips"] = [{"a": x, "b": y, "count": n} for (x, y), n in outputs.flips.items()]
    return {
        "same": left.payload == right.payload,
        **{
            side: {"title": of.title, **{name: getattr(of.summary, name) for name in names}}
            for side, of in (("a", left), ("b", right))
        },
        "metadata": {name: list(change) for name, change in _changed_facts(left, right).items()},
        "ops": [asdict(pair) for pair in pairs],
        "outputs": found,
        "update": asdict(cost),
    }
