"""Which piece of the arena holds what, and from when to when: from a plan's ops alone.

Names are not in a plan: a read keeps every piece alive that it touches (a reshape is the same memory under
another tensor, a part of a split lies inside it); a write begins a piece, unless it goes on with what is
there: in place, or the next part of a tensor that several ops fill. State is there throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tinyfleet.model.compiler.memory import Lifetime
from tinyfleet.wire.artifact import Artifact, OpCode, Place, Tensor


class Role(Enum):
    INPUT = "input"
    ACTIVATION = "activation"
    OUTPUT = "output"
    SCRATCH = "scratch"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes at `offset` of the arena, from moment `first` to `last`, both included.

    Moment n is while op n runs; -1 is before the first op, the number of ops is after the last. tensor: the
    plan's number of the one that begins it. Two pieces of one moment may overlap: where a part is made inside
    a whole.
    """

    tensor: int
    role: Role
    offset: int
    size_bytes: int
    first: int
    last: int

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes

    @property
    def lifetime(self) -> Lifetime:
        return Lifetime(self.size_bytes, self.first, self.last)


def occupancy(plan: Artifact) -> tuple[Piece, ...]:
    """All pieces, in the order in which they begin."""
    room = _Room(plan)
    for state in plan.states:
        room.write(state.tensor, -1, Role.STATE)
    for end in plan.inputs:
        room.write(end.tensor, -1, Role.INPUT)
    begun: set[int] = set()
    for at, op in enumerate(plan.ops):
        for tensor in op.inputs:
            room.read(tensor, at)
        offsets = {plan.tensors[t].offset for t in op.inputs if plan.tensors[t].place is Place.ARENA}
        for tensor in (*op.outputs, *op.temps):
            in_place = plan.tensors[tensor].offset in offsets
            next_part = op.code is OpCode.COPY and tensor in begun
            if in_place or next_part or room.holds_state(tensor):
                room.read(tensor, at)
            else:
                room.write(tensor, at, Role.SCRATCH if tensor in op.temps else Role.ACTIVATION)
            begun.add(tensor)
    for end in plan.outputs:
        room.read(end.tensor, len(plan.ops), role=Role.OUTPUT)
    for state in plan.states:
        room.read(state.tensor, len(plan.ops))
    return tuple(room.pieces)


def piece_names(plan: Artifact, pieces: Sequence[Piece], sources: Mapping[int, str]) -> list[str]:
    """What to call each piece: by the model's own name of its tensor where `sources` (plan's number -> name)
    has it, else by the op that makes it."""
    names = []
    for piece in pieces:
        if piece.role is Role.SCRATCH:
            names.append(f"scratch of op {piece.first}")
        elif piece.tensor in sources:
            names.append(short_name(sources[piece.tensor]))
        elif piece.first < 0:
            names.append(piece.role.value)
        else:
            names.append(f"{plan.ops[piece.first].code.name.lower()} {piece.first}")
    return names


def short_name(name: str) -> str:
    """A tensor's name as people know it: converters join the names of all ops that they fused by `;`."""
    return "/".join(name.split(";")[0].split("/")[-2:])


class _Room:
    """The arena as the ops go by: `current` are the pieces that hold something now."""

    def __init__(self, plan: Artifact) -> None:
        self._tensors = plan.tensors
        self.pieces: list[Piece] = []
        self._current: set[int] = set()

    def read(self, tensor: int, at: int, role: Role | None = None) -> None:
        record = self._tensors[tensor]
        if record.place is not Place.ARENA:
            return
        for number in self._touched(record):
            piece = self.pieces[number]
            known = piece.role if role is None or piece.role in (Role.INPUT, Role.STATE) else role
            self.pieces[number] = replace(piece, last=at, role=known)

    def write(self, tensor: int, at: int, role: Role) -> None:
        record = self._tensors[tensor]
        self._current.difference_update(self._touched(record))
        self._current.add(len(self.pieces))
        self.pieces.append(Piece(tensor, role, record.offset, record.size_bytes, at, at))

    def holds_state(self, tensor: int) -> bool:
        record = self._tensors[tensor]
        if record.place is not Place.ARENA:
            return False
        return any(self.pieces[number].role is Role.STATE for number in self._touched(record))

    def _touched(self, record: Tensor) -> list[int]:
        end = record.offset + record.size_bytes
        return [
            number
            for number in self._current
            if self.pieces[number].offset < end and record.offset < self.pieces[number].end
        ]
