"""Vectors of flash records: what a node finds at the start of a region."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator

from tinyfleet.wire.messages import Trust
from tinyfleet.wire.records import build_golden, build_replay, encode_record
from tinyfleet.wire.vectors.message_vectors import CONFIG, FEED, REPLAY, Made, digest

TRUST = Trust(keys=(digest("key 1"), digest("key 2")))
WINDOWS = struct.pack("<24h", *range(-1200, 1200, 100))
REGION = build_replay(
    sensor=REPLAY.sensor,
    unit=REPLAY.unit,
    rate_mhz=REPLAY.rate_mhz,
    samples=REPLAY.samples,
    channels=REPLAY.channels,
    data=WINDOWS,
)


GOLDEN_REGION = build_golden(bytes(range(100, 136)), 12)


def accepted() -> Iterator[Made]:
    yield "record_trust", "record_trust", "OK", encode_record(TRUST), ""
    yield "record_config", "record_config", "OK", encode_record(CONFIG), ""
    erased = encode_record(CONFIG).ljust(4096, b"\xff")
    yield "record_config_erased", "record_config", "OK", erased, "followed by erased flash"
    yield "record_replay", "record_replay", "OK", REGION, "the region: record, gap, 2 windows of 4 x 3"
    yield "record_feed", "record_feed", "OK", encode_record(FEED), "where a replay region would stand"
    yield "record_golden", "record_golden", "OK", GOLDEN_REGION, "the region: record, gap, 3 windows of 12"


def rejected() -> Iterator[Made]:
    good = encode_record(CONFIG)
    length = struct.unpack_from("<H", good, 6)[0]

    def patched(at: int, value: bytes) -> bytes:
        return good[:at] + value + good[at + len(value) :]

    rows = {
        "empty": (b"", "RecordError", ""),
        "erased": (b"\xff" * 64, "RecordError", "a region never written"),
        "zeros": (bytes(64), "RecordError", ""),
        "magic": (patched(0, b"TFR2"), "RecordError", ""),
        "kind": (encode_record(TRUST), "RecordError", "a trust record where the configuration belongs"),
        "length_short": (patched(6, struct.pack("<H", length - 4)), "RecordError", "another CRC position"),
        "length_long": (patched(6, b"\xff\xff"), "RecordError", "beyond the region"),
        "crc": (good[:-1] + bytes([good[-1] ^ 1]), "RecordError", ""),
        "body": (patched(10, bytes([good[10] ^ 0x20])), "RecordError", "one bit of the map"),
        "truncated": (good[:-4], "RecordError", "without its CRC"),
        "half": (good[: len(good) // 2], "RecordError", "power cut while writing"),
        "half_erased": (
            good[: len(good) // 2].ljust(len(good), b"\xff"),
            "RecordError",
            "power cut, the rest erased",
        ),
        "not_a_map": (_sealed(b"\x01"), "CborError", "valid CRC over no map"),
        "map": (_sealed(b"\xa0"), "MissingKey", "valid CRC over an empty map"),
    }
    for name, (data, error, note) in rows.items():
        yield f"record_{name}", "record_config", error, data, note
    gap = encode_record(TRUST)
    filled = (8 + struct.unpack_from("<H", gap, 6)[0]) % 4
    if filled:
        dirty = gap[:-5] + b"\x00"
        data = dirty + struct.pack("<I", binascii.crc32(gap[:-4]))
        yield "record_gap", "record_trust", "RecordError", data, "the gap is covered by the CRC"
    cut_short = REGION[:-1]
    yield "record_replay_short", "record_replay", "RecordError", cut_short, "the last window is not whole"


def _sealed(body: bytes) -> bytes:
    """A configuration record with any body and a right CRC."""
    covered = struct.pack("<IHH", 0x31524654, 2, len(body)) + body
    covered += b"\xff" * (-len(covered) % 4)
    return covered + struct.pack("<I", binascii.crc32(covered))
