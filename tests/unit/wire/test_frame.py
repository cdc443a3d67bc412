"""Console frames: round trips, chunking, and what lost or changed bytes cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.wire.frame import (
    ENCODED_MAX_BYTES,
    LINE_MAX_BYTES,
    Broken,
    Frame,
    FrameDecoder,
    FrameError,
    Item,
    Line,
    cobs_decode,
    cobs_encode,
    decode_frame,
    encode_frame,
)

types = st.one_of(st.integers(1, 0x1F), st.integers(0x7F, 0xFF))
frames = st.builds(Frame, types, st.integers(0, 255), st.binary(max_size=1024))
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60).map(Line)


def on_the_wire(item: Item) -> bytes:
    if isinstance(item, Line):
        return item.text.encode() + b"\n"
    assert isinstance(item, Frame)
    return encode_frame(item)


@given(st.binary(max_size=1100))
def test_cobs_round_trip_without_zeros(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + len(data) // 254 + 1
    assert cobs_decode(encoded) == data


@pytest.mark.parametrize(
    ("raw", "encoded"),
    [
        # The examples of the COBS paper as Wikipedia lists them.
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\0\0", b"\x01\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\0\0\0", b"\x02\x11\x01\x01\x01"),
        (bytes(range(1, 254)), b"\xfe" + bytes(range(1, 254))),
        (bytes(range(0, 255)), b"\x01\xff" + bytes(range(1, 255)) + b"\x01"),
        (bytes(range(2, 256)) + b"\0", b"\xff" + bytes(range(2, 256)) + b"\x01\x01"),
    ],
)
def test_cobs_vectors(raw: bytes, encoded: bytes) -> None:
    assert cobs_encode(raw) == encoded
    assert cobs_decode(encoded) == raw


@given(st.binary(max_size=40))
def test_cobs_decode_refuses_or_answers(data: bytes) -> None:
    try:
        raw = cobs_decode(data)
    except FrameError:
        return
    assert len(raw) <= len(data)


def test_the_hello_request_is_these_bytes() -> None:
    assert encode_frame(Frame(1, 7, b"")).hex() == "000701071db6a6c600"


@given(frames)
def test_frame_round_trip(frame: Frame) -> None:
    encoded = encode_frame(frame)
    assert encoded[0] == encoded[-1] == 0
    assert 0 not in encoded[1:-1]
    assert len(encoded) - 2 <= ENCODED_MAX_BYTES
    assert decode_frame(encoded[1:-1]) == frame


@given(st.lists(st.one_of(frames, texts), max_size=6), st.data())
def test_stream_is_cut_the_same_however_it_arrives(items: list[Item], data: st.DataObject) -> None:
    stream = b"".join(map(on_the_wire, items))
    decoder = FrameDecoder()
    seen: list[Item] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        seen += decoder.feed(stream[:size])
        stream = stream[size:]
    assert seen == items
    assert decoder.flush() == []


@given(frames, st.data())
def test_a_changed_byte_is_never_a_frame(frame: Frame, data: st.DataObject) -> None:
    encoded = bytearray(encode_frame(frame))
    at = data.draw(st.integers(1, len(encoded) - 2))
    encoded[at] ^= data.draw(st.integers(1, 255))
    seen = FrameDecoder().feed(bytes(encoded))
    assert not any(isinstance(x, Frame) and x == frame for x in seen)


@given(st.binary(max_size=3000), frames)
def test_any_garbage_costs_at_most_the_next_frame(garbage: bytes, frame: Frame) -> None:
    decoder = FrameDecoder()
    decoder.feed(garbage)
    # What ends here may still belong to the garbage; a frame after it does not.
    decoder.feed(encode_frame(Frame(1, 0, b"")))
    assert decoder.feed(encode_frame(frame))[-1] == frame
    assert len(decoder._held) <= ENCODED_MAX_BYTES


@given(frames, texts)
def test_a_lost_delimiter_costs_at_most_that_frame(frame: Frame, line: Line) -> None:
    whole = encode_frame(frame)
    decoder = FrameDecoder()
    text = on_the_wire(Line("x" + line.text + "xx"))
    assert decoder.feed(whole[:-1] + text + whole)[-1] == frame
    assert Line("x" + line.text + "xx") in FrameDecoder().feed(whole + b"\0" + text)


def test_first_delimiter_lost() -> None:
    frame = Frame(0x82, 3, b"\0\0body")
    assert FrameDecoder().feed(encode_frame(frame)[1:]) == [frame]


def test_a_text_cut_by_a_frame_is_a_line() -> None:
    frame = Frame(0x81, 0, b"")
    assert FrameDecoder().feed(b"cut" + encode_frame(frame)) == [Line("cut"), frame]


def test_endless_input_is_bounded() -> None:
    decoder = FrameDecoder()
    items = decoder.feed(b"a" * (3 * LINE_MAX_BYTES))
    assert [len(x.text) for x in items if isinstance(x, Line)] == [LINE_MAX_BYTES] * 3
    items = decoder.feed(b"\0" + b"\x81" * (ENCODED_MAX_BYTES + 1))
    assert len(items) == 1
    assert isinstance(items[0], Broken)
    assert decoder.feed(b"and text\n") == [Line("and text")]


@pytest.mark.parametrize(
    "frame", [Frame(0x41, 0, b""), Frame(0, 0, b""), Frame(1, 256, b""), Frame(1, 0, bytes(1025))]
)
def test_out_of_bounds_is_refused(frame: Frame) -> None:
    with pytest.raises(FrameError):
        encode_frame(frame)


@pytest.mark.parametrize(
    ("encoded", "part"),
    [("01", "length"), ("0701071db6a6c7", "CRC"), ("0901", "COBS run"), ("00", "COBS run")],
)
def test_decode_says_what_differs(encoded: str, part: str) -> None:
    with pytest.raises(FrameError, match=part):
        decode_frame(bytes.fromhex(encoded))
