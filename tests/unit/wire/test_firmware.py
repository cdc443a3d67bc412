"""What a firmware binary says of itself, and where it was linked to run."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from tinyfleet.wire.enums import CoreVariant
from tinyfleet.wire.errors import ImageFormatError
from tinyfleet.wire.firmware import FACTS_OFFSET, Place, bare_place, place_of, read_facts
from tinyfleet.wire.memory_map import BENCH_BOARDS, MICROBIT, MPS2_AN386, MPS2_AN500

RAM = 0x10400
SLOT_A, SLOT_B = 0x21100400, 0x21200400


def binary(origin: int = RAM, **changes: Any) -> bytes:
    """A firmware with kernels of op codes 3 and 17, each 8 bytes with its code at 2."""
    data = bytearray(0x400)
    at = 0x200
    values = {
        "magic": 0x57464654,
        "format": 1,
        "abi": 7,
        "origin": origin,
        "kernels": origin + at,
        "end": origin + at + 16,
        "size": 8,
        "code_at": 2,
        "major": 1,
        "minor": 2,
        "patch": 300,
        "type": b"mps2-an386",
        "cores": 0b11,
    } | changes
    struct.pack_into("<IHHIIIHHBBH32sB", data, FACTS_OFFSET, *values.values())
    data[at + 2], data[at + 10] = 3, 17
    return bytes(data)


def test_facts_are_read() -> None:
    facts = read_facts(binary())
    assert (facts.device_type, facts.version, facts.abi) == ("mps2-an386", "1.2.300", 7)
    assert facts.ops == bytes([1 << 3, 0, 1 << 1])
    assert facts.cores == {CoreVariant.PORTABLE, CoreVariant.DSP}
    assert (facts.kernels_at, facts.kernel_bytes) == (0x202, 8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "at least 317 bytes"),
        (bytes(1000), "firmware facts"),
        (binary(format=2), "format of the firmware facts"),
        (binary(end=RAM + 0x401), "kernels of the firmware"),
        (binary(kernels=RAM - 4), "kernels of the firmware"),
        (binary(kernels=RAM + 0x300), "kernels of the firmware"),
        (binary(size=0), "kernels of the firmware"),
        (binary(code_at=8), "kernels of the firmware"),
    ],
)
def test_what_is_no_firmware_is_said(data: bytes, words: str) -> None:
    with pytest.raises(ImageFormatError, match=words):
        read_facts(data)


def test_facts_stand_behind_a_longer_vector_table() -> None:
    near, zeros = binary(), bytes(0x400)
    far = zeros[:0x200] + near[0x100:0x140] + zeros[0x240:0x280] + near[0x200:0x380]
    far = far[:0x20C] + struct.pack("<II", RAM + 0x280, RAM + 0x290) + far[0x214:]
    assert read_facts(far) == replace(read_facts(near), kernels_at=0x282)


def test_a_bench_app_runs_where_its_board_starts() -> None:
    origins = {"microbit": 0, "mps2-an386": 0x2100_0000, "mps2-an500": 0x6000_0000, "mps3-an547": 0x1000_0000}
    assert set(origins) == set(BENCH_BOARDS)
    for device_type, origin in origins.items():
        facts = read_facts(binary(origin, type=device_type.encode()))
        assert bare_place(facts) == Place(origin, None, bare=True)
        assert bare_place(replace(facts, origin=origin + 0x400)) is None
    assert bare_place(read_facts(binary())) is None
    assert bare_place(read_facts(binary(0x6000_0000, type=b"nrf52840"))) is None


def test_a_firmware_runs_where_it_was_linked() -> None:
    assert place_of(read_facts(binary()), MPS2_AN386) == Place(0x10000, None)
    assert place_of(read_facts(binary(SLOT_A)), MPS2_AN386) == Place(SLOT_A - 0x400, 0)
    assert place_of(read_facts(binary(SLOT_B)), MPS2_AN386) == Place(SLOT_B - 0x400, 1)
    assert place_of(read_facts(binary(0x6020_0400)), MPS2_AN500) == Place(0x6020_0000, 1)
    wrong = ((MPS2_AN386, 0), (MPS2_AN386, SLOT_A + 4), (MPS2_AN500, SLOT_A), (MICROBIT, RAM))
    for memory, origin in wrong:
        with pytest.raises(ImageFormatError, match="origin of the firmware"):
            place_of(read_facts(binary(origin)), memory)
