"""Records that take turns in two sectors of a node's flash (SPEC section 8, kinds 5 and 6), as a host reads
them: which slot is the active one."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Final

from tinyfleet.wire.cbor import Map, decode_cbor
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.limits import RECORD_CRC_BYTES, RECORD_HEADER_BYTES, RECORD_MAGIC
from tinyfleet.wire.records import record_bytes

STATE_KIND: Final = 5
BOOT_KIND: Final = 6
NO_SLOT: Final = 255
_ACTIVE: Final = {STATE_KIND: 2, BOOT_KIND: 1}
_SEQUENCE: Final = 0
_HALF: Final = 1 << 31
_ALIGNMENT: Final = 4


def active_slot(sectors: Sequence[bytes], kind: int) -> int | None:
    """0 for slot A, 1 for B, by the newest whole record of that kind; None when there is none, or it names
    none. STATE_KIND: the model's; BOOT_KIND: the firmware's."""
    newest: tuple[int, int] | None = None
    for sector in sectors:
        for body in _bodies(sector, kind):
            sequence, active = body.get(_SEQUENCE), body.get(_ACTIVE[kind])
            if not isinstance(sequence, int) or not isinstance(active, int):
                continue
            # Sequence numbers may wrap, so the difference decides.
            if newest is None or 0 < (sequence - newest[0]) % (2 * _HALF) < _HALF:
                newest = sequence, active
    return None if newest is None or newest[1] not in (0, 1) else newest[1]


def _bodies(sector: bytes, kind: int) -> list[Map]:
    """The maps of all whole records; what is damaged, or of another kind, is passed over."""
    magic = RECORD_MAGIC.to_bytes(4, "little")
    found = []
    at = sector.find(magic)
    while at >= 0:
        body = None if at % _ALIGNMENT else _body(sector[at:], kind)
        if body is not None:
            found.append(body)
        at = sector.find(magic, at + 1)
    return found


def _body(flash: bytes, kind: int) -> Map | None:
    try:
        end = record_bytes(flash) - RECORD_CRC_BYTES
        if int.from_bytes(flash[4:6], "little") != kind or end + RECORD_CRC_BYTES > len(flash):
            return None
        crc = int.from_bytes(flash[end : end + RECORD_CRC_BYTES], "little")
        if binascii.crc32(flash[:end]) != crc:
            return None
        length = int.from_bytes(flash[6:8], "little")
        return decode_cbor(flash[RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + length])
    except WireError:
        return None
