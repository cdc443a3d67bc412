"""What lowering emits, before tensors have places: ops, and which memory a tensor lies in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tinyfleet.wire.artifact import Dtype
from tinyfleet.wire.artifact_ops import PLAIN, OpCode, Params
from tinyfleet.wire.artifact_tensors import DTYPE_BYTES


@dataclass(frozen=True, slots=True)
class Scratch:
    """Memory that only one op uses, while it runs. `most`: elements that it takes where there is room."""

    dtype: Dtype
    elements: int
    most: int = 0

    @property
    def size_bytes(self) -> int:
        return self.elements * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Piece:
    """`part` may lie in `whole`, from byte `offset` on; then the op that would move it is not needed.

    beside: the other parts of the same whole, where `part` would be made in it. None of them may share its
    memory: neither may lie where the other is written.
    """

    part: int
    whole: int
    offset: int
    beside: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Emitted:
    """One op.

    in_place: inputs whose memory output 0 may take over. copies: it gives its output the bytes of its input
    and does nothing else. pieces: ways to do without it, the best first.
    """

    code: OpCode
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: Params
    in_place: tuple[int, ...] = ()
    variant: int = PLAIN
    scratch: tuple[Scratch, ...] = ()
    copies: bool = False
    pieces: tuple[Piece, ...] = ()


class Storage:
    """Tensor -> the tensor whose memory it is in, and where in it: a reshape's output is its input under
    another shape, a part of a split begins behind the parts before it."""

    def __init__(self, homes: Mapping[int, tuple[int, int]] = MappingProxyType({})) -> None:
        self._homes = dict(homes)

    def copy(self) -> Storage:
        return Storage(self._homes)

    def __contains__(self, index: int) -> bool:
        """Whether it lies in another tensor's memory."""
        return index in self._homes

    def put(self, index: int, home: int, offset: int = 0) -> None:
        """RuntimeError when that would be a circle."""
        if self.root(home) == index:
            raise RuntimeError(f"tensor {index} would lie in itself")
        self._homes[index] = home, offset

    def root(self, index: int) -> int:
        """The tensor that has memory of its own."""
        while index in self._homes:
            index = self._homes[index][0]
        return index

    def roots(self, indices: Iterable[int]) -> set[int]:
        return {self.root(index) for index in indices}

    def offset(self, index: int) -> int:
        """Where a tensor begins in its root, in bytes."""
        offset = 0
        while index in self._homes:
            index, step = self._homes[index]
            offset += step
        return offset
