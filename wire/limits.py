"""Sizes and bounds that every part must agree on (SPEC sections 1, 2, 5, 6, 8, 9); bytes where not said."""

from __future__ import annotations

from typing import Final

MESSAGE_MAX_BYTES: Final = 4096
NESTING_MAX: Final = 4

DEVICE_ID_MAX: Final = 48
DEVICE_ID_PATTERN: Final = "[A-Za-z0-9_-]{1,48}"
RESERVED_IDS: Final = frozenset({"blob", "fleet"})
PREFIX: Final = "tf/1"
PREFIX_MAX: Final = 16
PREFIX_PATTERN: Final = "[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*"

DIGEST_BYTES: Final = 32
BLOB_NAME_BYTES: Final = 16
BLOB_NAME_CHARS: Final = 22

CHUNK_BYTES: Final = 1024
GROUP_BYTES: Final = 16384
GROUP_CHUNKS: Final = GROUP_BYTES // CHUNK_BYTES
SECTOR_BYTES: Final = 4096
SECTOR_HASH_BYTES: Final = 16
SECTORS_MAX: Final = 512
GROUPS_MAX: Final = SECTORS_MAX * SECTOR_BYTES // GROUP_BYTES
MANIFEST_MAX_BYTES: Final = SECTORS_MAX * SECTOR_HASH_BYTES + 64
GROUP_ATTEMPTS: Final = 5
HEATSHRINK_WINDOW_BITS_MAX: Final = 9

LATENCY_BOUNDS_US: Final = (
    *(100, 200, 500),
    *(1_000, 2_000, 5_000),
    *(10_000, 20_000, 50_000),
    *(100_000, 200_000, 500_000),
    *(1_000_000, 2_000_000),
)
LATENCY_BUCKETS: Final = len(LATENCY_BOUNDS_US) + 1
CONFIDENCE_BUCKETS: Final = 10
MARGIN_BUCKETS: Final = 10
RULE_WINDOWS_MAX: Final = 32
SAMPLE_DATA_MAX: Final = 3072
LINE_WINDOW_VALUES_MAX: Final = 2048

RECORD_MAGIC: Final = 0x31524654
RECORD_HEADER_BYTES: Final = 8
RECORD_CRC_BYTES: Final = 4
REPLAY_DATA_OFFSET: Final = 4096
GOLDEN_DATA_OFFSET: Final = 256

FRAME_BODY_MAX: Final = 1024
FRAME_REPLY: Final = 0x80
