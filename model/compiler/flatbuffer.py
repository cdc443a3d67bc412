"""Bounds-checked reading of FlatBuffers tables. No schema, no copy: a file from outside is never trusted.

Format: flatbuffers.dev, "FlatBuffer internals". A table starts with the signed distance back to its vtable; a
vtable holds its own size, the table's size and one u16 offset a field (0: absent). Vectors and strings are a
u32 count followed by their elements; references are forward u32 offsets from where they stand.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.errors import TfliteError

_NAME_MAX: Final = 256


class FlatBuffer:
    """Scalars by absolute position. Every read outside raises TfliteError with the position."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def scalar(self, layout: str, at: int) -> Any:
        size = struct.calcsize(layout)
        if at < 0 or at + size > len(self.data):
            raise TfliteError(f"byte {at}", expected=f"{size} bytes", actual=f"a file of {len(self.data)}")
        return struct.unpack_from(layout, self.data, at)[0]

    def follow(self, at: int) -> int:
        """Where the u32 reference at `at` leads."""
        return at + int(self.scalar("<I", at))

    def root(self, identifier: bytes) -> Table:
        if len(self.data) < 8 or self.data[4:8] != identifier:
            raise TfliteError("byte 4", expected=f"identifier {identifier!r}", actual=self.data[4:8])
        return Table(self, self.follow(0))

    def span(self, at: int, item_bytes: int, most: int) -> tuple[int, int]:
        """Start and count of the vector at `at`. TfliteError outside the file or above `most` items."""
        count = int(self.scalar("<I", at))
        if count > most or at + 4 + count * item_bytes > len(self.data):
            raise TfliteError(
                f"byte {at}", expected=f"a vector of at most {most}, inside the file", actual=f"{count} items"
            )
        return at + 4, count


class Table:
    """One table; fields by their number in the schema."""

    def __init__(self, buffer: FlatBuffer, at: int) -> None:
        self._buffer = buffer
        self._at = at
        self._vtable = at - int(buffer.scalar("<i", at))
        self._vtable_bytes = int(buffer.scalar("<H", self._vtable))
        if self._vtable_bytes < 4 or self._vtable_bytes % 2:
            raise TfliteError(
                f"byte {self._vtable}", expected="a vtable of 4 bytes and more", actual=self._vtable_bytes
            )

    def _field(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot + 2 > self._vtable_bytes:
            return None
        offset = int(self._buffer.scalar("<H", self._vtable + slot))
        return self._at + offset if offset else None

    def scalar(self, number: int, layout: str, default: Any) -> Any:
        at = self._field(number)
        return default if at is None else self._buffer.scalar(f"<{layout}", at)

    def integer(self, number: int, layout: str, default: int = 0) -> int:
        return int(self.scalar(number, layout, default))

    def table(self, number: int) -> Table | None:
        at = self._field(number)
        return None if at is None else Table(self._buffer, self._buffer.follow(at))

    def tables(self, number: int, most: int) -> list[Table]:
        """The tables of a vector; empty when the field is absent."""
        at = self._field(number)
        if at is None:
            return []
        start, count = self._buffer.span(self._buffer.follow(at), 4, most)
        return [Table(self._buffer, self._buffer.follow(start + 4 * i)) for i in range(count)]

    def numbers(self, number: int, dtype: str, most: int) -> npt.NDArray[Any] | None:
        """A vector of scalars (`dtype` as numpy writes it, little-endian), as a view into the file."""
        at = self._field(number)
        if at is None:
            return None
        kind = np.dtype(dtype)
        start, count = self._buffer.span(self._buffer.follow(at), kind.itemsize, most)
        return np.frombuffer(self._buffer.data, kind, count, start)

    def text(self, number: int) -> str:
        """A string, empty when absent; made printable, for it ends up in messages."""
        at = self._field(number)
        if at is None:
            return ""
        start, count = self._buffer.span(self._buffer.follow(at), 1, len(self._buffer.data))
        raw = self._buffer.data[start : start + min(count, _NAME_MAX)]
        return raw.decode("utf-8", "replace").encode("unicode_escape").decode("ascii")
