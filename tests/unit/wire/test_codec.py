"""Each message there and back, and what breaks the table refused with the key's name."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any, assert_never

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyfleet.wire.codec import decode, encode, message_class, to_json
from tinyfleet.wire.enums import ConnState, Result, Timing
from tinyfleet.wire.errors import MissingKey, OutOfBounds, WireError, WrongType
from tinyfleet.wire.limits import BOARDS_MAX
from tinyfleet.wire.messages import MESSAGES, Bench, Conn, Message, NodeConfig, Want
from tinyfleet.wire.table import (
    Array,
    Boolean,
    ByteString,
    Enumeration,
    Field,
    Integer,
    Struct,
    Text,
    Type,
    shape_of,
    table_of,
)
from tinyfleet.wire.vectors.message_vectors import BIRTH, CONFIG, STATUS, TELE, WANTED, digest

# Time limits say more about who else uses the machine than about the code.
RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
NAMES = [shape_of(cls).name for cls in MESSAGES]


def values(kind: Type) -> st.SearchStrategy[Any]:
    """Every value the table allows, its bounds included."""
    match kind:
        case Integer(low, high):
            return st.integers(low, high)
        case Enumeration(enum):
            return st.sampled_from(enum)
        case Boolean():
            return st.booleans()
        case ByteString(low, high):
            return st.binary(min_size=low, max_size=min(high, 256))
        case Text(low, high, regex):
            if regex is not None and re.fullmatch(regex, "10.0.0.1"):
                return st.ip_addresses(v=4).map(str)
            if regex is not None:
                level = st.text("abzAZ019_-", min_size=1, max_size=high)
                return level | st.just("tf/1") if re.fullmatch(regex, "tf/1") else level
            text = st.text(st.characters(exclude_categories=["Cs"]), min_size=low, max_size=high)
            return text.filter(lambda t: len(t.encode()) <= high)
        case Array(item, low, high):
            return st.lists(values(item), min_size=low, max_size=high).map(tuple)
        case Struct(inner):
            return messages(inner)
    assert_never(kind)


def messages(cls: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        cls,
        **{
            row.name: st.none() | values(row.type) if row.optional else values(row.type)
            for row in table_of(cls)
        },
    )


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
@given(data=st.data())
@RELAXED
def test_there_and_back(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    payload = encode(message)
    assert decode(cls, payload) == message
    assert len(payload) <= shape_of(cls).max_bytes
    json.dumps(to_json(message))


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
@given(data=st.data())
@RELAXED
def test_unknown_keys_are_ignored(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    newer = cbor2.loads(encode(message)) | {1000: data.draw(st.integers() | st.text(max_size=20))}
    if isinstance(newer[1000], int) and not -(2**63) <= newer[1000] < 2**64:
        newer[1000] = [True, b""]
    assert decode(cls, cbor2.dumps(newer, canonical=True)) == message


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
@given(data=st.data())
@RELAXED
def test_damaged_messages_raise_only_our_errors(cls: type[Message], data: st.DataObject) -> None:
    payload = bytearray(encode(data.draw(messages(cls))))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = decode(cls, bytes(payload))
    except WireError as error:
        assert error.where and str(error)
    else:
        # What was taken is a value of the table: it can be sent again.
        assert decode(cls, encode(message)) == message


def rows() -> list[Any]:
    return [
        pytest.param(cls, row, id=f"{shape_of(cls).name}.{row.label}")
        for cls in MESSAGES
        for row in table_of(cls)
    ]


def test_a_bench_at_all_its_bounds_fits() -> None:
    """The broker takes packets of that size; every text and number here is as long as the table allows."""

    def most(kind: Type) -> Any:
        match kind:
            case Integer(_, high):
                return high
            case Enumeration(enum):
                return max(enum)
            case Boolean():
                return True
            case ByteString(_, high):
                return b"x" * high
            case Text(_, high):
                return "x" * high
            case Array(item, _, high):
                return (most(item),) * high
            case Struct(inner):
                return filled(inner)

    def filled(cls: type[Any]) -> Any:
        return cls(**{row.name: most(row.type) for row in table_of(cls)})

    bench = filled(Bench)
    assert len(bench.boards) == BOARDS_MAX
    assert decode(Bench, encode(bench)) == bench


def sample(cls: type[Message]) -> dict[int, Any]:
    """Some message of the class as a map, all optional keys present."""
    message = _filled(cls)
    found: dict[int, Any] = cbor2.loads(encode(message))
    return found


def _filled(cls: type[Any]) -> Any:
    def least(kind: Type) -> Any:
        match kind:
            case Integer(low, _):
                return max(low, 0)
            case Enumeration(enum):
                return next(iter(enum))
            case Boolean():
                return False
            case ByteString(low, _):
                return bytes(low)
            case Text(low, _, regex):
                return "10.0.0.1" if regex and "25" in regex else "a" * low
            case Array(item, low, _):
                return (least(item),) * low
            case Struct(inner):
                return _filled(inner)

    return cls(**{row.name: least(row.type) for row in table_of(cls)})


@pytest.mark.parametrize(("cls", "row"), rows())
def test_each_key_is_required_unless_optional(cls: type[Message], row: Field) -> None:
    found = sample(cls)
    del found[row.key]
    payload = cbor2.dumps(found, canonical=True)
    if row.optional:
        assert getattr(decode(cls, payload), row.name) is None
        return
    with pytest.raises(MissingKey) as caught:
        decode(cls, payload)
    assert caught.value.where == f"{shape_of(cls).name}.{row.label} (key {row.key})"


WRONG: dict[type[Any], tuple[Any, ...]] = {
    Integer: (True, "1", b"1", [1], {0: 1}),
    Enumeration: (True, "1", b"1", [1], {0: 1}),
    Boolean: (0, 1, "true", b"", []),
    ByteString: (1, "x" * 32, [0] * 32, True),
    Text: (1, b"tf/1", ["a"], False),
    Array: (1, b"", "", {0: 1}),
    Struct: (1, [], b"", "x"),
}


@pytest.mark.parametrize(("cls", "row"), rows())
def test_each_key_refuses_other_types(cls: type[Message], row: Field) -> None:
    for wrong in WRONG[type(row.type)]:
        payload = cbor2.dumps(sample(cls) | {row.key: wrong}, canonical=True)
        with pytest.raises(WrongType) as caught:
            decode(cls, payload)
        assert f"{row.label} (key {row.key})" in str(caught.value)


def beyond(kind: Type) -> list[Any]:
    """Values just outside each bound, in the raw form of the map."""
    match kind:
        case Integer(low, high):
            return [n for n in (low - 1, high + 1) if -(2**63) <= n < 2**64]
        case Enumeration(enum):
            return [max(enum) + 1]
        case ByteString(low, high) | Text(low, high, _):
            one: Callable[[int], Any] = bytes if isinstance(kind, ByteString) else lambda n: "a" * n
            return [one(n) for n in (low - 1, high + 1) if 0 <= n < 4000]
        case Array(Integer(), low, high):
            return [[0] * n for n in (low - 1, high + 1) if n >= 0]
        case Array(ByteString(size, _), low, high):
            return [[bytes(size)] * n for n in (low - 1, high + 1) if n >= 0]
    return []


@pytest.mark.parametrize(("cls", "row"), rows())
def test_each_bound_is_held_both_ways(cls: type[Message], row: Field) -> None:
    for value in beyond(row.type):
        payload = cbor2.dumps(sample(cls) | {row.key: value}, canonical=True)
        with pytest.raises(OutOfBounds, match=rf"\(key {row.key}\)"):
            decode(cls, payload)
        if isinstance(value, int | bytes | str) and not isinstance(row.type, Enumeration):
            broken = dataclasses.replace(_filled(cls), **{row.name: value})
            with pytest.raises(OutOfBounds, match=rf"\(key {row.key}\)"):
                encode(broken)


def test_errors_name_the_inner_key() -> None:
    want = cbor2.loads(encode(Want(generation=1, model=WANTED)))
    want[2][0] = bytes(31)
    with pytest.raises(OutOfBounds) as caught:
        decode(Want, cbor2.dumps(want, canonical=True))
    assert caught.value.where == "want.model (key 2).image (key 0)"
    assert "expected 32 to 32 bytes, got 31 bytes" in str(caught.value)


def test_hostile_text_in_errors_is_printable_and_short() -> None:
    payload = cbor2.dumps(sample(NodeConfig) | {1: "\x1b[2J" + "x" * 40}, canonical=True)
    with pytest.raises(OutOfBounds) as caught:
        decode(NodeConfig, payload)
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 300


def test_encoding_refuses_a_callers_mistakes() -> None:
    with pytest.raises(WrongType, match=r"conn\.state"):
        encode(Conn(boot=1, conn=1, state=1))  # type: ignore[arg-type]
    with pytest.raises(WrongType, match=r"conn\.boot"):
        encode(Conn(boot=Result.SUCCESS, conn=1, state=ConnState.ONLINE))
    with pytest.raises(OutOfBounds, match=r"classes"):
        encode(dataclasses.replace(TELE, classes=(0,) * 65))
    with pytest.raises(MissingKey, match=r"birth\.firmware"):
        encode(dataclasses.replace(BIRTH, firmware=None))  # type: ignore[arg-type]
    with pytest.raises(OutOfBounds, match=r"status\.detail"):
        encode(dataclasses.replace(STATUS, detail="\ud800"))


def test_json_for_people() -> None:
    shown = to_json(BIRTH)
    assert shown["state"] == "CONFIRMED" and shown["timing"] == Timing.INSTRUCTIONS.name
    assert shown["model"]["image"] == digest("model").hex()
    assert "image" not in shown["firmware"], "absent stays absent"
    assert list(to_json(TELE)) == [row.label for row in table_of(type(TELE)) if not row.optional]


def test_secrets_are_never_shown() -> None:
    for text in (repr(CONFIG), str(CONFIG), json.dumps(to_json(CONFIG))):
        assert "vector password" not in text and CONFIG.seed.hex() not in text
        assert CONFIG.password.hex() not in text


def test_message_class() -> None:
    assert message_class("want") is Want
    with pytest.raises(KeyError):
        message_class("image_info")
