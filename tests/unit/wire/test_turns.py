"""Records that take turns in two sectors: the newest whole one counts."""

from __future__ import annotations

import binascii
import struct

from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.wire.cbor import encode_cbor
from tinyfleet.wire.limits import RECORD_MAGIC
from tinyfleet.wire.turns import BOOT_KIND, STATE_KIND, active_slot

SECTOR = 4096
BLANK = b"\xff" * SECTOR


def turn_record(kind: int, values: dict[int, int]) -> bytes:
    body = encode_cbor(dict(values))
    covered = struct.pack("<IHH", RECORD_MAGIC, kind, len(body)) + body
    covered += b"\xff" * (-len(covered) % 4)
    return covered + struct.pack("<I", binascii.crc32(covered))


def sector(*records: bytes, every: int = 128) -> bytes:
    return b"".join(record.ljust(every, b"\xff") for record in records).ljust(SECTOR, b"\xff")


def boot(sequence: int, active: int) -> bytes:
    return turn_record(BOOT_KIND, {0: sequence, 1: active, 2: 255})


def test_the_newest_of_both_sectors_counts_over_a_wrap() -> None:
    assert active_slot([BLANK, BLANK], BOOT_KIND) is None
    assert active_slot([sector(boot(1, 0), boot(2, 1)), BLANK], BOOT_KIND) == 1
    assert active_slot([sector(boot(1, 0), boot(2, 1)), sector(boot(3, 0))], BOOT_KIND) == 0
    assert active_slot([sector(boot(0xFFFF_FFFF, 0)), sector(boot(0, 1))], BOOT_KIND) == 1
    assert active_slot([sector(boot(4, 255)), sector(boot(3, 1))], BOOT_KIND) is None, "none yet"
    state = sector(turn_record(STATE_KIND, {0: 7, 1: 1, 2: 1}), every=512)
    assert active_slot([state, BLANK], STATE_KIND) == 1
    assert active_slot([state, BLANK], BOOT_KIND) is None


@given(st.integers(0, 8 * 40 - 1))
def test_a_damaged_record_is_passed_over(bit: int) -> None:
    older, newer = boot(1, 0), bytearray(boot(2, 1))
    newer[bit // 8 % len(newer)] ^= 1 << bit % 8
    assert active_slot([sector(older, bytes(newer)), BLANK], BOOT_KIND) == 0


@given(st.binary(max_size=600))
def test_whatever_stands_there_is_survived(data: bytes) -> None:
    prefix = struct.pack("<IHH", RECORD_MAGIC, BOOT_KIND, 12)
    for content in (data, prefix + data, prefix[:5]):
        assert active_slot([content, content], BOOT_KIND) in (None, 0, 1)
