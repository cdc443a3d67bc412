"""Encodings of artifacts by the public libraries: heatshrink2 (ISC) and bsdiff4 (BSD), both with wheels.

detools itself writes the same bytes, from the same two algorithms; it comes as C++ source alone and brings
five packages more. So its patch format (types `sequential` and `heatshrink`, SPEC section 5) is written here
from what bsdiff4 finds.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterator

import bsdiff4
import heatshrink2

from tinyfleet.wire.limits import HEATSHRINK_WINDOW_BITS_MAX
from tinyfleet.wire.unpack import PATCH_HEADER, pack_number

# The large window is for patches with their long runs; in weights, distances of a bit less are worth more.
_PARAMETERS = [
    (window, lookahead)
    for window in (HEATSHRINK_WINDOW_BITS_MAX - 1, HEATSHRINK_WINDOW_BITS_MAX)
    for lookahead in range(3, window)
]
_BSDIFF_HEADER_BYTES = 32
_CONTROL_BYTES = 24


class Encodings:
    """`services.ports.Encoder`. What it makes is not yet known to be smaller, nor tried."""

    def compress(self, image: bytes) -> bytes:
        """The shortest heatshrink stream, its parameters before it."""
        return min((_stream(image, *parameters) for parameters in _PARAMETERS), key=len)

    def delta(self, image: bytes, base: bytes) -> bytes:
        """A detools patch that makes `image` of `base`."""
        steps = b"".join(_steps(image, base))
        return bytes([PATCH_HEADER]) + pack_number(len(image)) + self.compress(pack_number(0) + steps)


def _stream(data: bytes, window_bits: int, lookahead_bits: int) -> bytes:
    parameters = bytes([(window_bits - 4) << 4 | (lookahead_bits - 3)])
    packed = heatshrink2.compress(data, window_sz2=window_bits, lookahead_sz2=lookahead_bits)
    return parameters + bytes(packed)


def _steps(image: bytes, base: bytes) -> Iterator[bytes]:
    """Bytes to add to the base's, bytes as they are, and how far to go in the base, each with its size.

    From bsdiff's own format: three bz2 blocks behind a header of magic and three numbers.
    """
    patch = bsdiff4.diff(base, image)
    control_end = _BSDIFF_HEADER_BYTES + _offset(patch, 8)
    diff_end = control_end + _offset(patch, 16)
    control = bz2.decompress(patch[_BSDIFF_HEADER_BYTES:control_end])
    diff, extra = bz2.decompress(patch[control_end:diff_end]), bz2.decompress(patch[diff_end:])
    diff_at = extra_at = seek = 0
    step = b""
    for at in range(0, len(control), _CONTROL_BYTES):
        added, plain, by = (_offset(control, at + part) for part in (0, 8, 16))
        if added or plain or not step:
            if step:
                yield step + pack_number(seek)
            step = pack_number(added) + diff[diff_at : diff_at + added]
            step += pack_number(plain) + extra[extra_at : extra_at + plain]
            diff_at, extra_at, seek = diff_at + added, extra_at + plain, 0
        seek += by  # of several that only seek, one
    yield step + pack_number(seek)


def _offset(data: bytes, at: int) -> int:
    """bsdiff's numbers: 63 bits, little-endian, and a sign."""
    value = int.from_bytes(data[at : at + 8], "little")
    return -(value & ~(1 << 63)) if value >> 63 else value
