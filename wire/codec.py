"""Messages to bytes and back, driven by the table. Both ways run the same checks.

payload = encode(Conn(boot=1, conn=1, state=ConnState.ONLINE))
conn = decode(Conn, payload)
"""

from __future__ import annotations

import dataclasses
import re
from enum import IntEnum
from typing import Any, TypeVar, assert_never

from tinyfleet.wire.cbor import Map, Value, decode_cbor, encode_cbor
from tinyfleet.wire.errors import MissingKey, OutOfBounds, WrongType
from tinyfleet.wire.messages import MESSAGES, Message
from tinyfleet.wire.table import (
    Array,
    Boolean,
    ByteString,
    Enumeration,
    Integer,
    Struct,
    Text,
    Type,
    shape_of,
    table_of,
)

_M = TypeVar("_M")

_BY_NAME = {shape_of(cls).name: cls for cls in MESSAGES}


def encode(message: Message) -> bytes:
    """Payload of a message. MessageError names the field that breaks the table; CborError when too large."""
    shape = shape_of(type(message))
    return encode_cbor(_write_struct(message, shape.name), max_bytes=shape.max_bytes)


def decode(cls: type[_M], payload: bytes) -> _M:
    """The message in `payload`. Unknown keys are ignored (SPEC, compatibility rule).

    Raises CborError, MissingKey, WrongType or OutOfBounds.
    """
    shape = shape_of(cls)
    return _read_struct(cls, decode_cbor(payload, max_bytes=shape.max_bytes), shape.name)


def message_class(name: str) -> type[Message]:
    """Class of the message SPEC calls `name`. KeyError when there is none."""
    return _BY_NAME[name]


def to_json(message: Any) -> dict[str, Any]:
    """The message for people: digests in hex, enumerations by name, absent keys absent, secrets hidden."""
    hidden = {field.name for field in dataclasses.fields(message) if not field.repr}
    return {
        row.label: "(hidden)" if row.name in hidden else _show(value)
        for row in table_of(type(message))
        if (value := getattr(message, row.name)) is not None
    }


def _show(value: Any) -> Any:
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_show(item) for item in value]
    if dataclasses.is_dataclass(value):
        return to_json(value)
    return value


def _read_struct(cls: type[_M], values: Map, where: str) -> _M:
    arguments: dict[str, Any] = {}
    for row in table_of(cls):
        at = f"{where}.{row.label} (key {row.key})"
        if row.key in values:
            arguments[row.name] = _read(row.type, values[row.key], at)
        elif not row.optional:
            raise MissingKey(at, expected="a value", actual="no such key")
    return cls(**arguments)


def _read(kind: Type, value: Value, where: str) -> Any:
    match kind:
        case Integer():
            return _integer(kind, value, where)
        case Enumeration(enum):
            number = _typed(int, value, where)
            try:
                return enum(number)
            except ValueError:
                raise OutOfBounds(where, expected=f"one of {enum.__name__}", actual=number) from None
        case Boolean():
            return _typed(bool, value, where)
        case ByteString():
            data = _typed(bytes, value, where)
            _length(kind, len(data), "bytes", where)
            return data
        case Text():
            return _text(kind, value, where)
        case Array(item):
            items = _typed(list, value, where)
            _length(kind, len(items), "items", where)
            return tuple(_read(item, one, f"{where}[{i}]") for i, one in enumerate(items))
        case Struct(inner):
            return _read_struct(inner, _typed(dict, value, where), where)
    assert_never(kind)


def _write_struct(message: Any, where: str) -> Map:
    values: Map = {}
    for row in table_of(type(message)):
        value = getattr(message, row.name)
        at = f"{where}.{row.label} (key {row.key})"
        if value is not None:
            values[row.key] = _write(row.type, value, at)
        elif not row.optional:
            raise MissingKey(at, expected="a value", actual="None")
    return values


def _write(kind: Type, value: Any, where: str) -> Value:
    match kind:
        case Integer() | Boolean() | ByteString() | Text():
            checked: Value = _read(kind, value, where)
            return checked
        case Enumeration(enum):
            return int(_typed(enum, value, where))
        case Array(item):
            items = _typed(tuple, value, where)
            _length(kind, len(items), "items", where)
            return [_write(item, one, f"{where}[{i}]") for i, one in enumerate(items)]
        case Struct(inner):
            return _write_struct(_typed(inner, value, where), where)
    assert_never(kind)


def _typed(cls: type[_M], value: Any, where: str) -> _M:
    """Exactly `cls`: a bool is no int, an IntEnum of another kind is no number."""
    if type(value) is not cls:
        raise WrongType(where, expected=cls.__name__, actual=type(value).__name__)
    return value


def _integer(kind: Integer, value: Any, where: str) -> int:
    number = _typed(int, value, where)
    if not kind.low <= number <= kind.high:
        raise OutOfBounds(where, expected=f"{kind.low} to {kind.high}", actual=number)
    return number


def _text(kind: Text, value: Any, where: str) -> str:
    text = _typed(str, value, where)
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise OutOfBounds(where, expected="text that UTF-8 can carry", actual=text) from None
    _length(kind, size, "UTF-8 bytes", where)
    if kind.regex is not None and re.fullmatch(kind.regex, text) is None:
        raise OutOfBounds(where, expected=f"text matching {kind.regex}", actual=text)
    return text


def _length(kind: ByteString | Text | Array, size: int, unit: str, where: str) -> None:
    if not kind.low <= size <= kind.high:
        raise OutOfBounds(where, expected=f"{kind.low} to {kind.high} {unit}", actual=f"{size} {unit}")
