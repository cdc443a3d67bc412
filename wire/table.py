"""The vocabulary of the message table: how a dataclass field states its key, type and bounds.

A message is a frozen dataclass whose annotations *are* the table:

    boot: Annotated[U32, Key(0)]
    next_wake_s: Annotated[U32 | None, Key(3)] = None      # optional: absent when None

`table_of(cls)` turns the annotations into `Field` rows; the codec, the CDDL and the C header all read them.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tinyfleet.wire.limits import DIGEST_BYTES

# What stands in an annotation


@dataclass(frozen=True, slots=True)
class Key:
    """The integer key of a field in the CBOR map."""

    number: int


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive bounds of an integer."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Size:
    """Inclusive bounds of a length: bytes of a byte string, UTF-8 bytes of a text, items of an array."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression a text must match as a whole."""

    regex: str


U8 = Annotated[int, Range(0, 0xFF)]
U16 = Annotated[int, Range(0, 0xFFFF)]
U32 = Annotated[int, Range(0, 0xFFFF_FFFF)]
U64 = Annotated[int, Range(0, 0xFFFF_FFFF_FFFF_FFFF)]
I64 = Annotated[int, Range(-(2**63), 2**63 - 1)]
Digest = Annotated[bytes, Size(DIGEST_BYTES, DIGEST_BYTES)]

# What the annotations become


@dataclass(frozen=True, slots=True)
class Integer:
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Enumeration:
    enum: type[IntEnum]


@dataclass(frozen=True, slots=True)
class Boolean:
    pass


@dataclass(frozen=True, slots=True)
class ByteString:
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Text:
    low: int
    high: int
    regex: str | None


@dataclass(frozen=True, slots=True)
class Array:
    item: Type
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Struct:
    message: type[Any]


Type = Integer | Enumeration | Boolean | ByteString | Text | Array | Struct


@dataclass(frozen=True, slots=True)
class Field:
    """One row: attribute `name` of the dataclass is key `key` of the map."""

    key: int
    name: str
    type: Type
    optional: bool

    @property
    def label(self) -> str:
        """The name as SPEC writes it: `class_` is `class`."""
        return self.name.rstrip("_")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a message class is called on the wire and how large its encoding may be."""

    name: str
    section: str
    max_bytes: int


_M = TypeVar("_M")


def message(name: str, *, section: str, max_bytes: int) -> Callable[[type[_M]], type[_M]]:
    """Class decorator: the name, where SPEC describes it, and the bound of its encoding."""

    def mark(cls: type[_M]) -> type[_M]:
        # A frozen slotted dataclass still lets its class carry attributes.
        cls.__shape__ = Shape(name, section, max_bytes)  # type: ignore[attr-defined]
        return cls

    return mark


def shape_of(cls: type[Any]) -> Shape:
    shape: Shape = cls.__shape__
    return shape


def table_of(cls: type[Any]) -> tuple[Field, ...]:
    """Rows of a message class, keys ascending. ValueError when the class breaks the table's own rules."""
    hashable: Any = cls  # mypy does not see that classes are
    return _table_of(hashable)


@cache
def _table_of(cls: Any) -> tuple[Field, ...]:
    rows = [_row(cls, name, hint) for name, hint in get_type_hints(cls, include_extras=True).items()]
    keys = [row.key for row in rows]
    if keys != sorted(set(keys)):
        raise ValueError(f"{cls.__name__}: keys must be unique and ascending, got {keys}")
    return tuple(rows)


def _row(cls: type[Any], name: str, hint: Any) -> Field:
    plain, marks = _peel(hint)
    keys = [mark.number for mark in marks if isinstance(mark, Key)]
    if len(keys) != 1:
        raise ValueError(f"{cls.__name__}.{name}: needs exactly one Key")
    optional = False
    if get_origin(plain) in (Union, types.UnionType):
        arms = [arm for arm in get_args(plain) if arm is not type(None)]
        optional = True
        plain, inner = _peel(arms[0])
        marks = (*inner, *marks)
    return Field(keys[0], name, _type(f"{cls.__name__}.{name}", plain, marks), optional)


def _peel(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(hint) is Annotated:
        return hint.__origin__, hint.__metadata__
    return hint, ()


def _type(where: str, plain: Any, marks: tuple[Any, ...]) -> Type:
    span = next((mark for mark in marks if isinstance(mark, Range)), None)
    size = next((mark for mark in marks if isinstance(mark, Size)), None)
    if plain is bool:
        return Boolean()
    if plain is int and span is not None:
        return Integer(span.low, span.high)
    if isinstance(plain, type) and issubclass(plain, IntEnum):
        return Enumeration(plain)
    if isinstance(plain, type) and hasattr(plain, "__shape__"):
        return Struct(plain)
    if size is None:
        raise ValueError(f"{where}: {plain} needs bounds")
    if plain is bytes:
        return ByteString(size.low, size.high)
    if plain is str:
        regex = next((mark.regex for mark in marks if isinstance(mark, Pattern)), None)
        return Text(size.low, size.high, regex)
    if get_origin(plain) is tuple:
        item, inner = _peel(get_args(plain)[0])
        return Array(_type(where, item, inner), size.low, size.high)
    raise ValueError(f"{where}: no wire type for {plain}")
