"""Reading and writing a model's state without moving it, where that is safe.

READ_VARIABLE and ASSIGN_VARIABLE are copies as TensorFlow Lite Micro makes them. A value that is read lies
in the state's own memory as long as nothing writes the state before its last use; a value that is assigned
is made in the state's memory when nobody needs the old value from then on. What a streaming convolution does
(state and new values joined, the end of that kept) takes one move a run: the state lies in what is joined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinyfleet.model.compiler.emitted import Emitted, Storage
from tinyfleet.wire.artifact_ops import OpCode


class StateMoves:
    """The ops of one plan, and the memory of its tensors, which this changes."""

    def __init__(
        self,
        ops: Sequence[Emitted],
        storage: Storage,
        states: frozenset[int],
        ends: tuple[tuple[int, ...], tuple[int, ...]],
        size_of: Callable[[int], int],
        is_constant: Callable[[int], bool],
    ) -> None:
        """ends: the graph's inputs and outputs. size_of: bytes of a tensor."""
        self.ops = list(ops)
        self._storage = storage
        self._states = states
        self._inputs, self._outputs = (frozenset(each) for each in ends)
        self._size_of = size_of
        self._is_constant = is_constant

    def settle(self) -> list[Emitted]:
        """The ops without the copies that are not needed."""
        while any(self._drop(at) for at in range(len(self.ops))):
            pass
        while any(self._slide(at) for at in range(len(self.ops))):
            pass
        for at in reversed(range(len(self.ops))):
            self._delay_read(at)
        return self.ops

    def _drop(self, at: int) -> bool:
        op = self.ops[at]
        if not op.copies:
            return False
        source, made = op.inputs[0], op.outputs[0]
        if made in self._states:
            unneeded = self._storage.root(source) == made or self._make_in_state(at, source, made)
        else:
            unneeded = self._read_in_state(at, source, made)
        if unneeded:
            del self.ops[at]
        return unneeded

    def _read_in_state(self, at: int, state: int, made: int) -> bool:
        """`made` is the state under another name."""
        if made in self._storage or state not in self._states:
            return False
        users = [k for k, op in enumerate(self.ops) if k > at and made in self._touched(op)]
        last = len(self.ops) if self._outputs & self._family(made) else max(users, default=at)
        writers = [k for k in self._writers(state) if k > at]
        if any(k < last or not self.ops[k].copies for k in writers if k <= last):
            return False
        self._storage.put(made, state)
        return True

    def _make_in_state(self, at: int, source: int, state: int) -> bool:
        """`source` is made where the state is."""
        settled = source in self._storage or source in self._states or self._is_constant(source)
        # What lies in an input is overwritten before a run begins.
        given = source in self._storage.roots(self._inputs)
        if settled or given or self._size_of(source) != self._size_of(state):
            return False
        makers = self._writers(source)
        if not makers or self._writers(state) != [at]:
            return False
        first = makers[0]
        readers = [k for k in self._readers(state) if k < at]
        if len(readers) == 1 and readers[0] in makers and self._goes_over(readers[0], source, state):
            # Its input is there from the start: it may as well be the first.
            self.ops.insert(first, self.ops.pop(readers[0]))
        elif any(k >= first for k in readers):
            return False
        self._storage.put(source, state)
        return True

    def _goes_over(self, at: int, made: int, state: int) -> bool:
        """Whether op `at`, which begins `made`, may write it over the state that it reads."""
        op = self.ops[at]
        reads = [k for k, index in enumerate(op.inputs) if self._storage.root(index) == state]
        if any(k not in op.in_place for k in reads):
            return False
        if op.code is OpCode.COPY:
            return True
        if at != self._writers(made)[0]:
            return False
        whole = self._size_of(op.outputs[0]) == self._size_of(made)
        return whole and all(self._storage.offset(op.inputs[k]) == 0 for k in reads)

    def _slide(self, at: int) -> bool:
        """A state copied into a part of a tensor whose end becomes the state: it lies in that part."""
        op = self.ops[at]
        state, part = op.inputs[0] if op.copies else -1, op.outputs[0]
        if state not in self._states or part not in self._storage or state in self._storage:
            return False
        whole = self._storage.root(part)
        if whole in self._storage.roots(self._states | self._outputs) or self._is_constant(whole):
            return False
        writers = self._writers(state)
        if len(writers) != 1 or self._readers(state) != [at]:
            return False
        end = self.ops[writers[0]]
        one_piece = end.code is OpCode.COPY and end.in_place == (0,)
        if not one_piece or self._storage.root(end.inputs[0]) != whole or self._family(state):
            return False
        users = [k for k, other in enumerate(self.ops) if whole in self._touched(other)]
        self.ops.insert(max(users), self.ops.pop(writers[0]))
        del self.ops[at]
        self._storage.put(state, whole, self._storage.offset(part))
        return True

    def _delay_read(self, at: int) -> None:
        """A state that has to be copied is copied when the copy is needed: its memory is free until then."""
        op = self.ops[at]
        if not op.copies or op.inputs[0] not in self._states:
            return
        state, home = op.inputs[0], self._storage.root(op.outputs[0])
        later = range(at + 1, len(self.ops))
        until = [k for k in later if home in self._touched(self.ops[k]) or k in self._writers(state)]
        del self.ops[at]
        self.ops.insert((until[0] if until else len(self.ops) + 1) - 1, op)

    def _touched(self, op: Emitted) -> set[int]:
        return self._storage.roots((*op.inputs, *op.outputs))

    def _writers(self, root: int) -> list[int]:
        return [k for k, op in enumerate(self.ops) if root in self._storage.roots(op.outputs)]

    def _readers(self, root: int) -> list[int]:
        return [k for k, op in enumerate(self.ops) if root in self._storage.roots(op.inputs)]

    def _family(self, root: int) -> frozenset[int]:
        """Graph outputs in its memory."""
        return frozenset(i for i in self._outputs if self._storage.root(i) == root)
