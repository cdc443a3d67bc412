"""Deterministic CBOR (RFC 8949 section 4.2.1) as SPEC section 1 narrows it.

The reader walks the heads first, without building anything, and refuses every type, tag, length form and
depth that SPEC does not allow: a tag could make the library build shared or cyclic values out of 4 KiB. Then
the library decodes, and the result is encoded again and compared, which proves shortest forms, key order and
unique keys.
"""

from __future__ import annotations

import cbor2

from tinyfleet.wire.errors import CborError
from tinyfleet.wire.limits import MESSAGE_MAX_BYTES, NESTING_MAX

Value = int | bytes | str | bool | list["Value"] | dict[int, "Value"]
Map = dict[int, Value]

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_NAMES = ("unsigned", "negative", "byte string", "text", "array", "map", "tag", "float, null or simple value")
_FALSE, _TRUE = 0xF4, 0xF5
_I64_LOW = -(2**63)


def encode_cbor(value: Map, *, max_bytes: int = MESSAGE_MAX_BYTES) -> bytes:
    """The one encoding of `value`. CborError when it is too large, too deep or of a type not in SPEC."""
    _check_value(value, "message", 1)
    payload = cbor2.dumps(value, canonical=True)
    if len(payload) > max_bytes:
        raise CborError("message", expected=f"at most {max_bytes} bytes", actual=f"{len(payload)} bytes")
    return payload


def decode_cbor(payload: bytes, *, max_bytes: int = MESSAGE_MAX_BYTES) -> Map:
    """The map in `payload`, which must be its one encoding. CborError says at which byte it is not."""
    if len(payload) > max_bytes:
        raise CborError("payload", expected=f"at most {max_bytes} bytes", actual=f"{len(payload)} bytes")
    _walk(payload)
    try:
        value: Map = cbor2.loads(payload)
        again = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORDecodeError, cbor2.CBOREncodeError, ValueError) as error:
        raise CborError("payload", expected="well-formed CBOR", actual=str(error)) from error
    if again != payload:
        at = next((i for i, (a, b) in enumerate(zip(payload, again, strict=False)) if a != b), len(again))
        raise CborError(
            f"payload, byte {at}",
            expected="shortest lengths, ascending and unique keys",
            actual="another form of the same value",
        )
    return value


def _walk(payload: bytes) -> None:
    """Checks types, depth and lengths of every item without decoding any."""
    size = len(payload)
    # Items still to come in each open container; a map counts its keys and its values.
    left: list[int] = []
    in_map: list[bool] = []
    at = 0
    while True:
        if at >= size:
            raise CborError(f"payload, byte {at}", expected="another item", actual="the end")
        start, first = at, payload[at]
        major, info = first >> 5, first & 0x1F
        if major == _TAG or (major == _SIMPLE and first not in (_FALSE, _TRUE)):
            raise CborError(f"payload, byte {at}", expected="an allowed type", actual=_NAMES[major])
        if not left and major != _MAP:
            raise CborError(f"payload, byte {at}", expected="a map", actual=_NAMES[major])
        if left and in_map[-1] and left[-1] % 2 == 0 and major != _UNSIGNED:
            raise CborError(f"payload, byte {at}", expected="an unsigned key", actual=_NAMES[major])
        at += 1
        if left:
            left[-1] -= 1
        if major != _SIMPLE:
            argument, at = _argument(payload, start, info)
            if major == _NEGATIVE and -1 - argument < _I64_LOW:
                raise CborError(
                    f"payload, byte {start}", expected="an integer of 64 bits", actual=-1 - argument
                )
            if major in (_BYTES, _TEXT):
                at += argument
            elif major in (_ARRAY, _MAP):
                left.append(argument * (2 if major == _MAP else 1))
                in_map.append(major == _MAP)
                if len(left) > NESTING_MAX:
                    raise CborError(
                        f"payload, byte {start}",
                        expected=f"nesting of at most {NESTING_MAX}",
                        actual=len(left),
                    )
            if at > size:
                raise CborError(
                    f"payload, byte {start}", expected=f"items within {size} bytes", actual=argument
                )
        while left and left[-1] == 0:
            left.pop()
            in_map.pop()
        if not left:
            break
    if at != size:
        raise CborError(f"payload, byte {at}", expected="the end", actual=f"{size - at} more bytes")


def _argument(payload: bytes, start: int, info: int) -> tuple[int, int]:
    """Argument of the head at `start`, and where the item's content begins."""
    if info < 24:
        return info, start + 1
    if info > 27:
        raise CborError(f"payload, byte {start}", expected="a definite length", actual=f"head with {info}")
    end = start + 1 + (1 << (info - 24))
    if end > len(payload):
        raise CborError(f"payload, byte {start}", expected="a whole head", actual="the end")
    return int.from_bytes(payload[start + 1 : end], "big"), end


def _check_value(value: object, where: str, depth: int) -> None:
    if isinstance(value, bool | bytes | str):
        return
    if isinstance(value, int):
        if not _I64_LOW <= value < 2**64:
            raise CborError(where, expected="an integer of 64 bits", actual=value)
        return
    if depth > NESTING_MAX:
        raise CborError(where, expected=f"nesting of at most {NESTING_MAX}", actual=depth)
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check_value(item, f"{where}[{i}]", depth + 1)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < 2**64:
                raise CborError(where, expected="unsigned keys", actual=key)
            _check_value(item, f"{where}.{key}", depth + 1)
        return
    raise CborError(where, expected="an allowed type", actual=type(value).__name__)
