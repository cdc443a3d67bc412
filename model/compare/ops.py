"""The ops of two plans side by side, and what of an op is another one's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from typing import Final

from tinyfleet.model.compare.constants import OFFSETS, Constants
from tinyfleet.wire.artifact import Artifact, Op, Place
from tinyfleet.wire.artifact_ops import PLAIN

_SCALING: Final = ("multiplier", "shift", "diff_min", "first")
"""Parts of the names of numbers that follow from scales and zero points."""
_FILLERS: Final = 15
"""Bytes by which two pieces of constants may differ in length and be of the same size still."""


@dataclass(frozen=True, slots=True)
class OpPair:
    """Numbers of an op in plan a and in plan b; None: it has none there. changes: in words, empty for the
    same op. weights: bytes of constants that differ, and of all; None where they cannot be compared."""

    a: int | None
    b: int | None
    changes: tuple[str, ...] = ()
    weights: tuple[int, int] | None = None


def pair_ops(a: Artifact, b: Artifact) -> list[OpPair]:
    """All ops of both, in order; as many as can be are paired with one of the same name."""
    left, right = [_form(a, op) for op in a.ops], [_form(b, op) for op in b.ops]
    constants = Constants(a), Constants(b)
    pairs: list[OpPair] = []
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind == "equal":
            numbers: list[tuple[int | None, int | None]] = [(i + k, j + k) for k in range(i_end - i)]
        else:
            numbers = _by_name(a.ops, b.ops, range(i, i_end), range(j, j_end))
        pairs += [_pair(a, b, constants, x, y) for x, y in numbers]
    return pairs


def _form(plan: Artifact, op: Op) -> tuple[object, ...]:
    shapes = tuple(plan.tensors[t].shape for t in (*op.inputs, *op.outputs))
    return (op.code, shapes)


def _by_name(
    a: tuple[Op, ...], b: tuple[Op, ...], left: range, right: range
) -> list[tuple[int | None, int | None]]:
    """Ops of a part that is not the same in both: paired by name alone, in order."""
    matcher = SequenceMatcher(None, [a[i].code for i in left], [b[j].code for j in right], autojunk=False)
    found: list[tuple[int | None, int | None]] = []
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind == "equal":
            found += [(left[i + k], right[j + k]) for k in range(i_end - i)]
        else:
            found += [(left[k], None) for k in range(i, i_end)]
            found += [(None, right[k]) for k in range(j, j_end)]
    return found


def _pair(
    a: Artifact, b: Artifact, constants: tuple[Constants, Constants], x: int | None, y: int | None
) -> OpPair:
    if x is None or y is None:
        return OpPair(x, y)
    one, two = a.ops[x], b.ops[y]
    changes = []
    for what, left, right in (("input", one.inputs, two.inputs), ("output", one.outputs, two.outputs)):
        before, after = _shapes(a, left), _shapes(b, right)
        if before != after:
            changes.append(f"{what} {before} -> {after}")
    if one.variant != two.variant:
        names = ["plain" if op.variant == PLAIN else "packed" for op in (one, two)]
        changes.append(f"{names[0]} -> {names[1]}")
    changes += _changed_parameters(one, two)
    weights = None
    if one.variant == two.variant and a.core == b.core:
        weights = _changed_bytes(constants[0].of(one), constants[1].of(two))
        if weights is not None and weights[0]:
            changes.append(f"{weights[0]:,} of {weights[1]:,} B of constants")
        elif weights is None:
            changes.append("constants of another size")
    return OpPair(x, y, tuple(changes), weights)


def _shapes(plan: Artifact, tensors: tuple[int, ...]) -> str:
    computed = [plan.tensors[t] for t in tensors if plan.tensors[t].place is Place.ARENA]
    return " + ".join("x".join(map(str, tensor.shape)) or "1" for tensor in computed)


def _changed_parameters(one: Op, two: Op) -> list[str]:
    """Numbers of a record that differ, by name; where constants lie is no difference, nor are sizes and
    strides, which follow from the shapes."""
    if type(one.params) is not type(two.params):
        return ["parameters of another kind"]
    own = OFFSETS.get(type(one.params), ())
    found = []
    scaling = False
    for field in fields(one.params):
        before, after = getattr(one.params, field.name), getattr(two.params, field.name)
        if before == after or field.name in own or isinstance(before, tuple):
            continue
        if any(word in field.name for word in _SCALING):
            scaling = True
        else:
            found.append(f"{field.name} {before} -> {after}")
    return [*found, "scaling"] if scaling else found


def _changed_bytes(before: dict[str, bytes], after: dict[str, bytes]) -> tuple[int, int] | None:
    """(bytes that differ, bytes in all); None when sizes are not the same."""
    if before.keys() != after.keys():
        return None
    changed = total = 0
    for name, left in before.items():
        right = after[name]
        if abs(len(left) - len(right)) > _FILLERS:
            return None
        size = min(len(left), len(right))
        changed += sum(x != y for x, y in zip(left[:size], right[:size], strict=True))
        total += size
    return changed, total
