"""The strict reader: one encoding a value, and nothing hostile gets through or takes long."""

from __future__ import annotations

import time

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfleet.wire.cbor import Map, decode_cbor, encode_cbor
from tinyfleet.wire.errors import CborError

INTEGERS = st.integers(-(2**63), 2**64 - 1)
LEAVES = INTEGERS | st.binary(max_size=30) | st.text(st.characters(exclude_categories=["Cs"])) | st.booleans()


def containers(depth: int) -> st.SearchStrategy[object]:
    if depth == 0:
        return LEAVES
    inner = containers(depth - 1)
    return inner | st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=4)


MAPS = st.dictionaries(st.integers(0, 2**64 - 1), containers(3), max_size=6)


@given(value=MAPS)
@settings(deadline=None)
def test_there_and_back(value: Map) -> None:
    payload = encode_cbor(value, max_bytes=1 << 20)
    assert decode_cbor(payload, max_bytes=1 << 20) == value


@given(payload=st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\xa2\x00\x01\x07" + tail))
@settings(deadline=None, max_examples=500)
def test_any_bytes_are_refused_or_are_the_one_encoding(payload: bytes) -> None:
    try:
        value = decode_cbor(payload)
    except CborError:
        return
    assert encode_cbor(value) == payload


@given(value=MAPS, at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
@settings(deadline=None, max_examples=300)
def test_damage_is_refused_or_is_the_one_encoding(value: Map, at: float, byte: int) -> None:
    payload = bytearray(encode_cbor(value, max_bytes=1 << 20))
    payload[int(at * len(payload))] = byte
    try:
        again = decode_cbor(bytes(payload), max_bytes=1 << 20)
    except CborError:
        return
    assert encode_cbor(again, max_bytes=1 << 20) == payload


def test_shared_values_cannot_be_made_to_explode() -> None:
    """Tags 28 and 29 let 4 KiB stand for a tree of 10^9 values; they are refused before anything is built."""
    level = b"\xd8\x1c\x99\x01\x00" + b"\xd8\x1d\x00" * 256
    payload = b"\xa1\x00\x84" + level * 4
    start = time.monotonic()
    with pytest.raises(CborError, match="tag"):
        decode_cbor(payload)
    assert time.monotonic() - start < 1


def test_depth_and_size_are_bounded_both_ways() -> None:
    deep: Map = {0: [[{1: 2}]]}
    assert decode_cbor(encode_cbor(deep)) == deep
    with pytest.raises(CborError, match="nesting"):
        encode_cbor({0: [[{1: []}]]})
    with pytest.raises(CborError, match="nesting"):
        decode_cbor(cbor2.dumps({0: [[{1: []}]]}))
    with pytest.raises(CborError, match="4096 bytes"):
        encode_cbor({0: bytes(4096)})
    with pytest.raises(CborError, match="4096 bytes"):
        decode_cbor(bytes(4097))


@pytest.mark.parametrize(
    "value",
    [{0: 1.5}, {0: None}, {-1: 0}, {"a": 0}, {True: 0}, {0: 2**64}, {0: -(2**63) - 1}, {0: (1,)}, {0: {1}}],
)
def test_the_writer_refuses_what_the_reader_would(value: Map) -> None:
    with pytest.raises(CborError):
        encode_cbor(value)


def test_errors_say_where() -> None:
    with pytest.raises(CborError, match=r"byte 2: expected an allowed type, got float"):
        decode_cbor(b"\xa1\x00\xf6")
    with pytest.raises(CborError, match=r"byte 2: expected shortest"):
        decode_cbor(b"\xa1\x00\x18\x01")
