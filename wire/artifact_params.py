"""What all parameter records share (ARTIFACT.md section 4)."""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass, fields
from typing import ClassVar, Final, Self

DIMS_MAX: Final = 6

Two = tuple[int, int]
Three = tuple[int, int, int]
Six = tuple[int, int, int, int, int, int]
Eight = tuple[int, int, int, int, int, int, int, int]
Sixteen = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Params:
    """A parameter record. `LAYOUT`: all fields in order, tuples flattened, reserved bytes as pads."""

    LAYOUT: ClassVar[struct.Struct]

    def encode(self) -> bytes:
        values: list[int] = []
        for value in astuple(self):
            values.extend(value if isinstance(value, tuple) else (value,))
        return self.LAYOUT.pack(*values)

    @classmethod
    def decode(cls, record: bytes) -> Self:
        """`record` has LAYOUT.size bytes (the caller checks). Nothing else is checked here."""
        flat = iter(cls.LAYOUT.unpack(record))
        sizes = {"Eight": 8, "Six": DIMS_MAX, "Sixteen": 16, "Three": 3, "Two": 2}
        values = []
        for field in fields(cls):
            count = sizes.get(str(field.type))
            values.append(next(flat) if count is None else tuple(next(flat) for _ in range(count)))
        return cls(*values)
