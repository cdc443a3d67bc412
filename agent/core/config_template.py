"""A configuration record with two holes: the device's key and the seed of its random numbers.

Who fills it works on one buffer that can be overwritten, as Python's bytes cannot.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass, replace
from typing import Final, Self

from tinyfleet.agent.core.errors import AgentError
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.limits import RECORD_CRC_BYTES
from tinyfleet.wire.messages import NodeConfig
from tinyfleet.wire.records import decode_record, encode_record

SECRET_BYTES: Final = 32
_NOTHING: Final = bytes(SECRET_BYTES)
_ASK: Final = "is it this tinyfleet's manager? Update both"


@dataclass(frozen=True, slots=True)
class ConfigTemplate:
    """`data` is the record with zeros in the holes, which begin at `key_at` and `seed_at`."""

    data: bytes
    config: NodeConfig
    key_at: int
    seed_at: int

    @classmethod
    def of(cls, record: bytes) -> Self:
        """Raises AgentError: no configuration by TLS, or one that brings secrets of its own."""
        try:
            config = decode_record(NodeConfig, record)
        except WireError as error:
            raise AgentError(f"the manager's configuration record: {error}", _ASK) from error
        if config.tls is None or config.tls.key != _NOTHING or config.seed != _NOTHING or config.password:
            raise AgentError("the manager's configuration is not one for a device's own key", _ASK)
        data = encode_record(config)
        # Where they lie is where these marks come out.
        key_mark, seed_mark = bytes(range(32)), bytes(range(32, 64))
        marked = encode_record(replace(config, seed=seed_mark, tls=replace(config.tls, key=key_mark)))
        return cls(data, config, marked.index(key_mark), marked.index(seed_mark))

    def filled(self, key: bytearray, seed: bytearray) -> bytearray:
        """The record with both, in a buffer that the caller has to overwrite. ValueError for other sizes."""
        if len(key) != SECRET_BYTES or len(seed) != SECRET_BYTES:
            raise ValueError(f"key and seed have {SECRET_BYTES} bytes each")
        record = bytearray(self.data)
        end = len(record) - RECORD_CRC_BYTES
        record[self.key_at : self.key_at + SECRET_BYTES] = key
        record[self.seed_at : self.seed_at + SECRET_BYTES] = seed
        with memoryview(record) as view:
            struct.pack_into("<I", record, end, binascii.crc32(view[:end]))
        return record

    def public_parts(self) -> list[tuple[int, bytes]]:
        """Offset and bytes of all that is no secret. The checksum at the end covers the secrets, and is left
        to the node: it starts with no other."""
        end = len(self.data) - RECORD_CRC_BYTES
        parts, at = [], 0
        for hole in sorted((self.key_at, self.seed_at)):
            parts.append((at, self.data[at:hole]))
            at = hole + SECRET_BYTES
        return [*parts, (at, self.data[at:end])]


def wipe(secret: bytearray) -> None:
    """Overwrites a buffer in place."""
    secret[:] = bytes(len(secret))
