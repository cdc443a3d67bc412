"""Firmware files: ELF and Intel HEX to bytes at addresses."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.program import FileKind, Segment, kind_of, read_program
from tinyfleet.wire.image_format import IMAGE_MAGIC


def elf(segments: list[tuple[int, bytes]], kind: int = 1) -> bytes:
    """A minimal ELF32: header, program headers, contents."""
    start = 52 + 32 * len(segments)
    headers, contents = b"", b""
    for address, data in segments:
        offset = start + len(contents)
        # Virtual address apart from the physical one, as .data has it.
        headers += struct.pack("<8I", kind, offset, 0x20000000, address, len(data), len(data), 5, 4)
        contents += data
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = struct.pack("<16sHHIIIIIHHHHHH", ident, 2, 40, 1, 0, 52, 0, 0, 52, 32, len(segments), 0, 0, 0)
    return header + headers + contents


def hex_line(kind: int, address: int, data: bytes) -> bytes:
    raw = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return b":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper().encode() + b"\r\n"


def test_elf_takes_physical_addresses_and_joins_neighbours() -> None:
    program = read_program(elf([(8, b"world"), (0, b"hello..."), (0x100, b"x")]), "a.elf")
    assert program == (Segment(0, b"hello...world"), Segment(0x100, b"x"))


def test_hex_with_extended_addresses() -> None:
    text = (
        hex_line(0, 0xFFF0, b"abc")
        + hex_line(4, 0, b"\x00\x01")
        + hex_line(0, 0x10, b"d")
        + hex_line(2, 0, b"\x10\x00")
        + hex_line(0, 0, b"e")
        + hex_line(5, 0, b"\0\0\0\0")
        + b"\n"
        + hex_line(1, 0, b"")
    )
    assert read_program(text, "a.hex") == (
        Segment(0xFFF0, b"abc"),
        Segment(0x10000, b"e"),
        Segment(0x10010, b"d"),
    )


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "ends without an end record"),
        (b"hello\n", "a:1: no Intel HEX record"),
        (hex_line(0, 0, b"a")[:-4] + b"\r\n", "a:1: no Intel HEX record"),
        (hex_line(0, 0, b"a"), "cut off"),
        (hex_line(1, 0, b""), "nothing in it"),
        (b":0100000061A0\n:00000001FF\n", "a:1: wrong checksum"),
        (hex_line(9, 0, b""), "unknown record of type 9"),
        (hex_line(0, 0, b"ab") + hex_line(0, 1, b"c") + hex_line(1, 0, b""), "two parts claim address 0x1"),
        (b"\x7fELF\x02\x01" + bytes(60), "not a 32-bit"),
        (b"\x7fELF", "not a 32-bit"),
        (elf([(0, b"abc")])[:-1], "program header 0 points beyond"),
        (elf([(0, b"abc")])[:60], "program headers point beyond"),
        (elf([(0, b"abc")], kind=4), "nothing in it"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        read_program(data, "a")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for prefix in (b"", b"\x7fELF\x01\x01", b":"):
        try:
            read_program(prefix + data, "a")
        except PlanError:
            continue


def test_a_plain_binary_lies_where_it_is_said_to() -> None:
    assert read_program(b"\0\1\2", "a.bin", 0x8000) == (Segment(0x8000, b"\0\1\2"),)
    with pytest.raises(PlanError, match="a plain binary needs its --address"):
        read_program(b"\0\1\2", "a.bin")
    for data, complaint in (
        (elf([(0, b"x")]), "is ELF and has addresses of its own"),
        (hex_line(1, 0, b""), "is Intel HEX and has addresses of its own"),
        (b"", "is empty"),
    ):
        with pytest.raises(PlanError, match=complaint):
            read_program(data, "a", 0)
    with pytest.raises(PlanError, match="0xffffffff is no address of 32 bits for it"):
        read_program(b"ab", "a.bin", 0xFFFF_FFFF)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (elf([(0, b"x")]), FileKind.ELF),
        (hex_line(1, 0, b""), FileKind.HEX),
        (IMAGE_MAGIC.to_bytes(4, "little") + bytes(60), FileKind.IMAGE),
        (b"\x00\x20\x00\x20", FileKind.BINARY),
        (b"", FileKind.BINARY),
    ],
)
def test_a_file_is_known_by_its_first_bytes(data: bytes, kind: FileKind) -> None:
    assert kind_of(data) is kind
