"""Transported bytes into the installed image (SPEC section 5), as a node does it.

COMPRESSED is a heatshrink stream, DELTA a sequential patch of detools whose body is such a stream. A node
has the same in C (`firmware/ota/unpack.c`); this one is for whoever makes encodings, who tries each before a
node gets it, and for tests. BlobError says what is wrong with the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from tinyfleet.wire.enums import Encoding
from tinyfleet.wire.errors import BlobError
from tinyfleet.wire.limits import HEATSHRINK_WINDOW_BITS_MAX
from tinyfleet.wire.messages import Manifest

PATCH_HEADER: Final = 0x04
"""detools: type 0 (sequential), compression 4 (heatshrink)."""
IDLE_STEPS_MAX: Final = 8
"""Steps in a row that only seek: bsdiff writes one or two; a row of them costs a node time for nothing."""
NUMBER_MAX: Final = (1 << 31) - 1
_NUMBER_BYTES_MAX: Final = 5


def unpack(manifest: Manifest, transported: bytes, base: bytes | None = None) -> bytes:
    """The installed image. `base`: the bytes that the digest `manifest.base` covers, for a delta."""
    match manifest.encoding:
        case Encoding.RAW:
            return transported
        case Encoding.COMPRESSED:
            return _take(_heatshrink(transported, 0), manifest.image_bytes)
        case Encoding.DELTA:
            if base is None:
                raise BlobError("delta", expected="the bytes of its base", actual="none", hint="")
            return _patched(transported, base, manifest.image_bytes)


def pack_number(value: int) -> bytes:
    """A number as detools writes it: a byte with a sign and six bits, then seven bits each, low ones first.

    ValueError beyond 31 bits.
    """
    if abs(value) > NUMBER_MAX:
        raise ValueError(f"{value} has more than 31 bits")
    rest = abs(value)
    out = [(0x40 if value < 0 else 0) | rest & 0x3F]
    rest >>= 6
    while rest:
        out[-1] |= 0x80
        out.append(rest & 0x7F)
        rest >>= 7
    return bytes(out)


def _damaged(what: str, expected: str, actual: object) -> BlobError:
    return BlobError(what, expected=expected, actual=str(actual), hint="")


def _take(stream: Iterator[int], count: int) -> bytes:
    out = bytes(islice(stream, count))
    if len(out) != count:
        raise _damaged("compressed bytes", f"{count} bytes", f"an end after {len(out)}")
    return out


def _heatshrink(data: bytes, start: int) -> Iterator[int]:
    """Bytes of the stream that begins with its parameters at `start`; ends with the stream."""
    if start >= len(data):
        raise _damaged("heatshrink stream", "its parameters", "nothing")
    window_bits, lookahead_bits = (data[start] >> 4) + 4, (data[start] & 0x0F) + 3
    if window_bits > HEATSHRINK_WINDOW_BITS_MAX or lookahead_bits >= window_bits:
        raise _damaged(
            "heatshrink parameters",
            f"a window of at most {HEATSHRINK_WINDOW_BITS_MAX} bits, fewer for the lookahead",
            f"{window_bits} and {lookahead_bits}",
        )
    window = bytearray(1 << HEATSHRINK_WINDOW_BITS_MAX)
    mask, head = len(window) - 1, 0
    at, bits, held = start + 1, 0, 0

    def need(count: int) -> bool:
        nonlocal at, bits, held
        while held < count and at < len(data):
            bits, held, at = bits << 8 | data[at], held + 8, at + 1
        return held >= count

    def get(count: int) -> int:
        nonlocal bits, held
        held -= count
        value = bits >> held
        bits &= (1 << held) - 1
        return value

    while need(1):
        if get(1):
            if not need(8):
                return
            byte = get(8)
            window[head & mask] = byte
            head += 1
            yield byte
            continue
        if not need(window_bits + lookahead_bits):
            return
        distance, count = get(window_bits) + 1, get(lookahead_bits) + 1
        for _ in range(count):
            byte = window[head - distance & mask]
            window[head & mask] = byte
            head += 1
            yield byte


def _number(stream: Iterator[int]) -> int:
    value, shift, sign = 0, 0, 1
    for count, byte in enumerate(stream, 1):
        if count == 1:
            sign = -1 if byte & 0x40 else 1
            value, shift = byte & 0x3F, 6
        else:
            value |= (byte & 0x7F) << shift
            shift += 7
        if not byte & 0x80:
            if value > NUMBER_MAX:
                raise _damaged("number in the patch", "31 bits", value)
            return sign * value
        if count == _NUMBER_BYTES_MAX:
            raise _damaged("number in the patch", f"{_NUMBER_BYTES_MAX} bytes", "more")
    raise _damaged("patch", "a number", "its end")


def _patched(patch: bytes, base: bytes, image_bytes: int) -> bytes:
    if not patch or patch[0] != PATCH_HEADER:
        raise _damaged("patch", "type sequential, compression heatshrink", patch[:1].hex() or "nothing")
    head = patch[1 : 1 + _NUMBER_BYTES_MAX]
    rest = iter(head)
    size = _number(rest)
    if size != image_bytes:
        raise _damaged("patch", f"{image_bytes} bytes to make, as in the manifest", size)
    stream = _heatshrink(patch, 1 + len(head) - len(bytes(rest)))
    if (data_format := _number(stream)) != 0:
        raise _damaged("patch", "no data format of its own", f"{data_format} bytes of one")
    out, base_at, idle = bytearray(), 0, 0
    while len(out) < image_bytes:
        before = len(out)
        diff = _size(stream, image_bytes - len(out))
        if diff and not 0 <= base_at <= len(base) - diff:
            raise _damaged("patch", f"bytes of a base of {len(base)}", f"{base_at} to {base_at + diff}")
        old = base[base_at : base_at + diff] if diff else b""
        out += bytes((a + b) & 0xFF for a, b in zip(old, _take(stream, diff), strict=True))
        base_at += diff
        if len(out) < image_bytes:
            out += _take(stream, _size(stream, image_bytes - len(out)))
        if len(out) < image_bytes:
            base_at += _number(stream)
            if not 0 <= base_at <= len(base):
                raise _damaged("patch", f"a place in a base of {len(base)} bytes", base_at)
        idle = idle + 1 if len(out) == before else 0
        if idle > IDLE_STEPS_MAX:
            raise _damaged("patch", "bytes of the image", f"{idle} steps in a row that add none")
    return bytes(out)


def _size(stream: Iterator[int], most: int) -> int:
    size = _number(stream)
    if not 0 <= size <= most:
        raise _damaged("patch", f"at most {most} bytes", size)
    return size
