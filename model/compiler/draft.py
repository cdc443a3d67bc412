"""Which tensor lies in which other one's memory, and how long each memory is needed: ways to lay a model out,
and the best of them.

A part of a split can be a piece of what was split, a part of a concatenation can be made inside of it. That
saves a copy and mostly memory; but a piece keeps all of its whole alive, and a whole lives from its first
part on. Where that makes the fullest moment fuller, copies are made after all: on public models that join
early and late values it saves up to a quarter of the arena.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tinyfleet.model.compiler.emitted import Emitted, Piece, Storage
from tinyfleet.model.compiler.memory import ALIGN, Lifetime, fullest
from tinyfleet.model.compiler.state_moves import StateMoves

PIECES_TRIED: Final = 64
"""One by one; where a model has more, all or none are copied."""


@dataclass(frozen=True, slots=True)
class Draft:
    """lives: of each tensor that has memory of its own. joined: pieces that lie in their whole."""

    ops: list[Emitted]
    storage: Storage
    lives: dict[int, Lifetime]
    joined: tuple[int, ...]

    @property
    def scratch(self) -> list[Lifetime]:
        """Of the ops' temps, in their order."""
        return [Lifetime(one.size_bytes, at, at) for at, op in enumerate(self.ops) for one in op.scratch]

    def cost(self) -> tuple[int, int]:
        """(bytes of the fullest moment, ops)."""
        return fullest([*self.lives.values(), *self.scratch])[0], len(self.ops)

    def crowded(self) -> set[int]:
        """Pieces whose whole is alive when the arena is fullest: what another draft could win by."""
        _, moments = fullest([*self.lives.values(), *self.scratch])
        alive = {
            root for root, life in self.lives.items() if any(life.first <= at <= life.last for at in moments)
        }
        return {part for part in self.joined if self.storage.root(part) in alive}


class Drafts:
    """Ways to lay one model out. Nothing given is changed."""

    def __init__(
        self,
        ops: Sequence[Emitted],
        storage: Storage,
        states: frozenset[int],
        ends: tuple[tuple[int, ...], tuple[int, ...]],
        size_of: Callable[[int], int],
        has_data: Callable[[int], bool],
    ) -> None:
        """ends: the graph's inputs and outputs. size_of: bytes of a tensor. has_data: it is constant."""
        self._ops = ops
        self._storage = storage
        self._states = states
        self._inputs, self._outputs = ends
        self._size_of = size_of
        self._has_data = has_data

    def best(self) -> Draft:
        """All pieces in their wholes, unless apart they take less arena; then as few apart as that needs."""
        together = self.make(frozenset())
        if not together.crowded():
            return together
        apart = frozenset(together.joined)
        best = self.make(apart)
        if len(apart) <= PIECES_TRIED:
            for part in together.joined:
                draft = self.make(apart - {part})
                if draft.cost() < best.cost():
                    apart, best = apart - {part}, draft
        return best if best.cost()[0] < together.cost()[0] else together

    def make(self, apart: frozenset[int]) -> Draft:
        """The draft with these pieces copied."""
        storage = self._storage.copy()
        ops, joined = [], []
        for op in self._ops:
            piece = next((one for one in op.pieces if self._fits(one, storage)), None)
            if piece is None or piece.part in apart:
                ops.append(op)
            else:
                storage.put(piece.part, piece.whole, piece.offset)
                joined.append(piece.part)
        ops = self._settled(ops, storage)
        self._reuse_memory(ops, storage)
        return Draft(ops, storage, self._lifetimes(ops, storage), tuple(joined))

    def _fits(self, piece: Piece, storage: Storage) -> bool:
        """It is aligned, and the part's memory not settled: state, a piece of another tensor, constants."""
        if piece.part in self._states or piece.part in storage or storage.root(piece.whole) == piece.part:
            return False
        if (storage.offset(piece.whole) + piece.offset) % ALIGN:
            return False
        if piece.beside is None:
            return True
        homes = [storage.root(other) for other in piece.beside]
        return not self._has_data(piece.part) and storage.root(piece.part) not in homes

    def _settled(self, ops: list[Emitted], storage: Storage) -> list[Emitted]:
        def is_constant(index: int) -> bool:
            return self._is_constant(index, storage)

        moves = StateMoves(
            ops, storage, self._states, (self._inputs, self._outputs), self._size_of, is_constant
        )
        return moves.settle()

    def _is_constant(self, index: int, storage: Storage) -> bool:
        return self._has_data(storage.root(index))

    def _lifetimes(self, ops: Sequence[Emitted], storage: Storage) -> dict[int, Lifetime]:
        lives: dict[int, Lifetime] = {}

        def touch(index: int, at: int) -> None:
            if self._is_constant(index, storage):
                return
            root = storage.root(index)
            life = lives.get(root, Lifetime(self._size_of(root), at, at))
            lives[root] = replace(life, first=min(life.first, at), last=max(life.last, at))

        for i in self._inputs:
            touch(i, -1)
        for at, op in enumerate(ops):
            for i in (*op.inputs, *op.outputs):
                touch(i, at)
        for i in self._outputs:
            touch(i, len(ops))
        for i in self._states:
            touch(i, -1)
            touch(i, len(ops))
        return lives

    def _reuse_memory(self, ops: Sequence[Emitted], storage: Storage) -> None:
        """Lets an output take its input's memory where the op can work in place and the input ends there."""
        lives = self._lifetimes(ops, storage)
        for at, op in enumerate(ops):
            output = op.outputs[0]
            if not op.in_place or output in storage or output in self._states:
                continue
            for operand in op.in_place:
                root = storage.root(op.inputs[operand])
                if self._is_constant(root, storage) or lives[root].last != at:
                    continue
                sharing = [k for k, i in enumerate(op.inputs) if storage.root(i) == root]
                same_size = lives[root].size_bytes == self._size_of(output)
                if same_size and all(k in op.in_place for k in sharing):
                    storage.put(output, root)
                    taken = lives.pop(output)
                    first = min(lives[root].first, taken.first)
                    lives[root] = replace(lives[root], first=first, last=max(at, taken.last))
                    break
