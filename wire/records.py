"""Records in a node's flash (SPEC section 8) and the replay region.

u32 magic "TFR1", u16 kind, u16 length, CBOR map, 0xFF up to a multiple of 4, u32 CRC-32 over all before it
"""

from __future__ import annotations

import binascii
import hashlib
import struct
from typing import TypeVar

from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import RecordKind
from tinyfleet.wire.errors import RecordError
from tinyfleet.wire.limits import (
    GOLDEN_DATA_OFFSET,
    MESSAGE_MAX_BYTES,
    RECORD_CRC_BYTES,
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    REPLAY_DATA_OFFSET,
)
from tinyfleet.wire.memory_map import ERASED_BYTE, MICROBIT, MPS2_AN386
from tinyfleet.wire.messages import Feed, Golden, NodeConfig, Replay, Trust

Record = Trust | NodeConfig | Replay | Golden | Feed
_R = TypeVar("_R", Trust, NodeConfig, Replay, Golden, Feed)

_KINDS: dict[type[Record], RecordKind] = {
    Trust: RecordKind.TRUST,
    NodeConfig: RecordKind.CONFIG,
    Replay: RecordKind.REPLAY,
    Golden: RecordKind.GOLDEN,
    Feed: RecordKind.FEED,
}
_HEADER = struct.Struct("<IHH")
_CRC = struct.Struct("<I")
_SAMPLE_BYTES = 2


def encode_record(record: Record) -> bytes:
    """Bytes to write at the start of an erased region. MessageError when a field is out of bounds."""
    body = encode(record)
    head = _HEADER.pack(RECORD_MAGIC, _KINDS[type(record)], len(body))
    covered = head + body
    covered += bytes([ERASED_BYTE]) * (-len(covered) % 4)
    return covered + _CRC.pack(binascii.crc32(covered))


def decode_record(cls: type[_R], flash: bytes) -> _R:
    """The record at the start of `flash`; what follows it is not looked at.

    RecordError for another magic, kind, length or CRC (an erased region has magic 0xffffffff); CborError or
    MessageError when a whole record holds something else than SPEC says.
    """
    if len(flash) < RECORD_HEADER_BYTES:
        raise RecordError(
            "record", expected=f"at least {RECORD_HEADER_BYTES} bytes", actual=f"{len(flash)} bytes"
        )
    magic, kind, length = _HEADER.unpack_from(flash)
    if magic != RECORD_MAGIC:
        raise RecordError("record magic", expected=hex(RECORD_MAGIC), actual=hex(magic))
    if kind != _KINDS[cls]:
        raise RecordError("record kind", expected=_KINDS[cls].name, actual=kind)
    end = RECORD_HEADER_BYTES + length
    end += -end % 4
    if length > MESSAGE_MAX_BYTES or end + RECORD_CRC_BYTES > len(flash):
        room = min(MESSAGE_MAX_BYTES, len(flash) - RECORD_HEADER_BYTES - RECORD_CRC_BYTES)
        raise RecordError("record length", expected=f"at most {room}", actual=length)
    (crc,) = _CRC.unpack_from(flash, end)
    actual = binascii.crc32(flash[:end])
    if crc != actual:
        raise RecordError("record CRC", expected=hex(crc), actual=hex(actual))
    return decode(cls, flash[RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + length])


def record_bytes(flash: bytes) -> int:
    """Length of the record at the start of `flash`, CRC included, for reading one back. RecordError."""
    if len(flash) < RECORD_HEADER_BYTES:
        raise RecordError(
            "record", expected=f"at least {RECORD_HEADER_BYTES} bytes", actual=f"{len(flash)} bytes"
        )
    magic, _, length = _HEADER.unpack_from(flash)
    if magic != RECORD_MAGIC:
        raise RecordError("record magic", expected=hex(RECORD_MAGIC), actual=hex(magic))
    end = RECORD_HEADER_BYTES + int(length)
    return end + -end % 4 + RECORD_CRC_BYTES


def build_replay(
    *,
    sensor: str,
    unit: str,
    rate_mhz: int,
    samples: int,
    channels: int,
    data: bytes,
    region_bytes: int = MPS2_AN386["replay"].size_bytes,
) -> bytes:
    """Content of the replay region: the record, erased bytes up to 4096, then the windows.

    `data` is i16 little-endian [windows][samples][channels] in `unit` (numpy: `a.astype("<i2").tobytes()`),
    `rate_mhz` in millihertz. RecordError when it holds no whole windows or does not fit the region.
    """
    window_bytes = samples * channels * _SAMPLE_BYTES
    if window_bytes <= 0 or not data or len(data) % window_bytes:
        raise RecordError(
            "replay windows",
            expected=f"a multiple of {window_bytes} bytes ({samples} samples x {channels} channels x i16)",
            actual=f"{len(data)} bytes",
            hint="",
        )
    record = encode_record(
        Replay(
            sensor=sensor,
            unit=unit,
            rate_mhz=rate_mhz,
            samples=samples,
            channels=channels,
            windows=len(data) // window_bytes,
        )
    )
    if REPLAY_DATA_OFFSET + len(data) > region_bytes:
        raise RecordError(
            "replay windows",
            expected=f"at most {region_bytes - REPLAY_DATA_OFFSET} bytes",
            actual=f"{len(data)} bytes",
            hint="store fewer windows",
        )
    return record.ljust(REPLAY_DATA_OFFSET, bytes([ERASED_BYTE])) + data


def read_replay(region: bytes) -> tuple[Replay, bytes]:
    """The record of a replay region and its windows' bytes. RecordError when the windows are cut short."""
    replay = decode_record(Replay, region)
    size = replay.windows * replay.samples * replay.channels * _SAMPLE_BYTES
    if size == 0 or REPLAY_DATA_OFFSET + size > len(region):
        raise RecordError(
            "replay windows",
            expected=f"1 to {len(region) - REPLAY_DATA_OFFSET} bytes",
            actual=f"{size} bytes",
        )
    return replay, region[REPLAY_DATA_OFFSET : REPLAY_DATA_OFFSET + size]


def build_golden(
    windows: bytes, window_bytes: int, region_bytes: int = MICROBIT["golden"].size_bytes
) -> bytes:
    """Content of a bench board's golden region: the record, erased bytes up to 256, then the windows.

    RecordError when `windows` holds no whole windows or does not fit the region.
    """
    if window_bytes <= 0 or not windows or len(windows) % window_bytes:
        raise RecordError(
            "golden windows",
            expected=f"a multiple of {window_bytes} bytes",
            actual=f"{len(windows)} bytes",
            hint="",
        )
    if GOLDEN_DATA_OFFSET + len(windows) > region_bytes:
        raise RecordError(
            "golden region",
            expected=f"at most {(region_bytes - GOLDEN_DATA_OFFSET) // window_bytes} windows",
            actual=len(windows) // window_bytes,
            hint="stream the rest",
        )
    record = encode_record(
        Golden(
            windows=len(windows) // window_bytes,
            window_bytes=window_bytes,
            digest=hashlib.sha256(windows).digest(),
        )
    )
    return record.ljust(GOLDEN_DATA_OFFSET, bytes([ERASED_BYTE])) + windows


def read_golden(region: bytes) -> tuple[Golden, bytes]:
    """The record of a golden region and its windows. RecordError when cut short, or not those described."""
    golden = decode_record(Golden, region)
    size = golden.windows * golden.window_bytes
    if size == 0 or GOLDEN_DATA_OFFSET + size > len(region):
        raise RecordError(
            "golden windows",
            expected=f"1 to {len(region) - GOLDEN_DATA_OFFSET} bytes",
            actual=f"{size} bytes",
        )
    windows = region[GOLDEN_DATA_OFFSET : GOLDEN_DATA_OFFSET + size]
    digest = hashlib.sha256(windows).digest()
    if digest != golden.digest:
        raise RecordError("golden windows", expected=golden.digest.hex(), actual=digest.hex())
    return golden, windows
