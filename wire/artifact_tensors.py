"""Tensors of a plan and the state among them (ARTIFACT.md sections 2 and 9)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from math import prod
from typing import Final

from tinyfleet.wire.artifact_metadata import ArtifactError
from tinyfleet.wire.artifact_ops import DIMS_MAX

ALIGN: Final = 16
RECORDS_MAX: Final = 4096
TENSOR_BYTES_MAX: Final = 2**24
FILLED: Final = 0xFFFFFFFF
"""`initial` of a state whose elements all begin as its `fill`."""

_TENSOR: Final = struct.Struct("<IBBBB6I")
_STATE: Final = struct.Struct("<HhI")


class Place(IntEnum):
    ARENA = 0
    CONSTANT = 1


class Dtype(IntEnum):
    INT8 = 0
    INT16 = 1
    INT32 = 2
    UINT8 = 3
    FLOAT32 = 4
    UINT32 = 5
    INT64 = 6
    UINT64 = 7


DTYPE_BYTES: Final = {
    Dtype.INT8: 1,
    Dtype.INT16: 2,
    Dtype.INT32: 4,
    Dtype.UINT8: 1,
    Dtype.FLOAT32: 4,
    Dtype.UINT32: 4,
    Dtype.INT64: 8,
    Dtype.UINT64: 8,
}
NUMPY: Final = {
    Dtype.INT8: "i1",
    Dtype.INT16: "<i2",
    Dtype.INT32: "<i4",
    Dtype.UINT8: "u1",
    Dtype.FLOAT32: "<f4",
    Dtype.UINT32: "<u4",
    Dtype.INT64: "<i8",
    Dtype.UINT64: "<u8",
}
"""What numpy calls them."""
ENDPOINT_DTYPES: Final = (Dtype.INT8, Dtype.INT16, Dtype.INT32)
"""What inputs and outputs may be."""


def limits(dtype: Dtype) -> tuple[int, int]:
    """Smallest and largest value of a signed integer type."""
    half = 1 << (8 * DTYPE_BYTES[dtype] - 1)
    return -half, half - 1


@dataclass(frozen=True, slots=True)
class Tensor:
    """`offset` is into the arena or into CONSTANTS. Shape: outermost dim first; empty for a scalar."""

    offset: int
    place: Place
    dtype: Dtype
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class State:
    """A tensor that keeps its values from one run to the next. After a reset its bytes are those at `initial`
    in CONSTANTS; None: every element is `fill`."""

    tensor: int
    fill: int = 0
    initial: int | None = None


def encode_tensor(tensor: Tensor) -> bytes:
    dims = (*tensor.shape, *(1,) * (DIMS_MAX - len(tensor.shape)))
    return _TENSOR.pack(tensor.offset, tensor.place, tensor.dtype, len(tensor.shape), 0, *dims)


def decode_tensors(content: bytes, count: int, arena_bytes: int, constant_bytes: int) -> Iterator[Tensor]:
    if count > RECORDS_MAX or len(content) != count * _TENSOR.size:
        raise ArtifactError(
            "TENSORS", expected=f"{count} records of {_TENSOR.size}", actual=f"{len(content)} bytes"
        )
    for i, (offset, place, dtype, rank, reserved, *dims) in enumerate(_TENSOR.iter_unpack(content)):
        where = f"tensor {i}"
        if place not in Place.__members__.values() or dtype not in Dtype.__members__.values() or reserved:
            raise ArtifactError(where, expected="a known place and dtype", actual=(place, dtype, reserved))
        if (
            rank > DIMS_MAX
            or min(dims) < 1
            or max(dims) > TENSOR_BYTES_MAX
            or any(d != 1 for d in dims[rank:])
        ):
            raise ArtifactError(
                f"{where}, dims", expected="1 and more, 1 behind the rank", actual=(rank, dims)
            )
        tensor = Tensor(offset, Place(place), Dtype(dtype), tuple(dims[:rank]))
        room = arena_bytes if tensor.place is Place.ARENA else constant_bytes
        align = ALIGN if tensor.place is Place.ARENA else max(4, DTYPE_BYTES[tensor.dtype])
        if offset % align or tensor.size_bytes > TENSOR_BYTES_MAX or offset + tensor.size_bytes > room:
            raise ArtifactError(
                f"{where}, offset",
                expected=f"{align}-byte aligned inside {room}",
                actual=(offset, tensor.size_bytes),
            )
        yield tensor


def encode_state(state: State) -> bytes:
    return _STATE.pack(state.tensor, state.fill, FILLED if state.initial is None else state.initial)


def decode_states(
    content: bytes, count: int, tensors: tuple[Tensor, ...], constant_bytes: int
) -> Iterator[State]:
    if count > RECORDS_MAX or len(content) != count * _STATE.size:
        raise ArtifactError(
            "STATE", expected=f"{count} records of {_STATE.size}", actual=f"{len(content)} bytes"
        )
    for i, (tensor, fill, initial) in enumerate(_STATE.iter_unpack(content)):
        where = f"state {i}"
        if tensor >= len(tensors) or tensors[tensor].place is not Place.ARENA:
            raise ArtifactError(f"{where}, tensor", expected="a tensor in the arena", actual=tensor)
        if initial == FILLED:
            yield State(tensor, fill)
        elif initial % 4 or initial + tensors[tensor].size_bytes > constant_bytes:
            raise ArtifactError(
                f"{where}, initial", expected=f"4-byte aligned inside {constant_bytes}", actual=initial
            )
        else:
            yield State(tensor, fill, initial)
