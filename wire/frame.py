"""Console frames beside text lines on one byte stream (SPEC section 9).

0x00, COBS(type u8, seq u8, body, CRC-32 LE), 0x00

Text holds no 0x00, so a delimiter ends text. Types 0x20..0x7E are never used: the second byte after one
tells a frame from text that follows a lost delimiter, so one lost byte costs at most one frame.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Final

from tinyfleet.wire.errors import WireError
from tinyfleet.wire.limits import FRAME_BODY_MAX

LINE_MAX_BYTES: Final = 512
_HEAD_BYTES: Final = 2
_CRC_BYTES: Final = 4
_COBS_RUN: Final = 254
_RAW_MAX: Final = _HEAD_BYTES + FRAME_BODY_MAX + _CRC_BYTES
ENCODED_MAX_BYTES: Final = _RAW_MAX + _RAW_MAX // _COBS_RUN + 1


class FrameError(WireError):
    """Bytes between delimiters that are not a frame."""

    hint = "bytes were lost or changed between board and host"


@dataclass(frozen=True, slots=True)
class Frame:
    """`type` is a FrameType, with FRAME_REPLY set in a reply; a reply has its request's `seq`."""

    type: int
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """Text without its line end; at most LINE_MAX_BYTES of it, a longer line comes in pieces."""

    text: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that look like a frame and are none."""

    error: FrameError


Item = Frame | Line | Broken


def encode_frame(frame: Frame) -> bytes:
    """The frame with both delimiters. FrameError when a part is out of bounds."""
    if not 0 < frame.type <= 0xFF or 0x20 <= frame.type < 0x7F:
        raise FrameError("frame type", expected="1..31 or 127..255", actual=frame.type, hint="")
    if not 0 <= frame.seq <= 0xFF:
        raise FrameError("frame seq", expected="0..255", actual=frame.seq, hint="")
    if len(frame.body) > FRAME_BODY_MAX:
        raise FrameError("frame body", expected=f"<= {FRAME_BODY_MAX} bytes", actual=len(frame.body), hint="")
    covered = bytes((frame.type, frame.seq)) + frame.body
    crc = binascii.crc32(covered).to_bytes(_CRC_BYTES, "little")
    return b"\0" + cobs_encode(covered + crc) + b"\0"


def decode_frame(encoded: bytes) -> Frame:
    """The frame between two delimiters (without them). FrameError when it is none."""
    raw = cobs_decode(encoded)
    if not _HEAD_BYTES + _CRC_BYTES <= len(raw) <= _RAW_MAX:
        raise FrameError(
            "frame length", expected=f"{_HEAD_BYTES + _CRC_BYTES}..{_RAW_MAX} bytes", actual=len(raw)
        )
    covered, tail = raw[:-_CRC_BYTES], raw[-_CRC_BYTES:]
    crc = binascii.crc32(covered)
    if crc != int.from_bytes(tail, "little"):
        raise FrameError("frame CRC", expected=hex(crc), actual=hex(int.from_bytes(tail, "little")))
    if covered[0] == 0 or 0x20 <= covered[0] < 0x7F:
        raise FrameError("frame type", expected="1..31 or 127..255", actual=covered[0])
    return Frame(covered[0], covered[1], covered[_HEAD_BYTES:])


def cobs_encode(data: bytes) -> bytes:
    """Consistent overhead byte stuffing (Cheshire and Baker 1999): no zero in the output."""
    out = bytearray(1)
    code_at = 0
    for byte in data:
        if byte:
            out.append(byte)
        if not byte or len(out) - code_at > _COBS_RUN:
            out[code_at] = len(out) - code_at
            code_at = len(out)
            out.append(0)
    out[code_at] = len(out) - code_at
    return bytes(out)


def cobs_decode(data: bytes) -> bytes:
    """What cobs_encode was given. FrameError when a run points beyond the end or a zero stands inside."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        run = data[at + 1 : at + code]
        if code == 0 or 0 in run or len(run) != code - 1:
            raise FrameError(
                "COBS run", expected=f"{code - 1} bytes without zero", actual=f"{len(run)} bytes"
            )
        out += run
        at += code
        if code != 0xFF and at < len(data):
            out.append(0)
    return bytes(out)


class FrameDecoder:
    """Cuts a stream into frames and text lines. Keeps at most one frame's or line's worth of bytes."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._after_delimiter = False

    def feed(self, data: bytes) -> list[Item]:
        """Whatever `data` completed, in order. Never raises: broken frames are items."""
        items: list[Item] = []
        for byte in data:
            if byte == 0:
                self._delimiter(items)
            else:
                self._held.append(byte)
                if byte == 0x0A and self._is_text():
                    self._line(items)
                elif len(self._held) >= self._limit():
                    self._overflow(items)
        return items

    def flush(self) -> list[Item]:
        """The text held back for want of a line end, as a line; half a frame is dropped as broken."""
        items: list[Item] = []
        if self._held:
            if self._is_text():
                self._line(items)
            else:
                self._broken(items, FrameError("frame", expected="a delimiter", actual="the stream's end"))
        self._after_delimiter = False
        return items

    @property
    def text_held(self) -> str:
        """The text that is held back for want of its line end; empty where a frame may be on its way."""
        if self._after_delimiter and not self._is_text():
            return ""
        return self._held.decode("utf-8", errors="replace")

    def _limit(self) -> int:
        return ENCODED_MAX_BYTES + 1 if self._after_delimiter else LINE_MAX_BYTES

    def _is_text(self) -> bool:
        if not self._after_delimiter:
            return True
        # After a delimiter a frame is expected; its second byte is a type, never a printable character.
        held = self._held
        return len(held) >= 3 and 0x20 <= held[1] < 0x7F

    def _delimiter(self, items: list[Item]) -> None:
        if not self._held:
            self._after_delimiter = True
            return
        try:
            frame = decode_frame(bytes(self._held))
        except FrameError as error:
            if self._after_delimiter:
                self._broken(items, error)
            else:
                self._line(items)
            # This delimiter may be the first of the next frame.
            self._after_delimiter = True
            return
        # Also when its first delimiter was lost: the CRC says it is a frame.
        items.append(frame)
        self._held.clear()
        self._after_delimiter = False

    def _line(self, items: list[Item]) -> None:
        items.append(Line(self._held.decode("utf-8", errors="replace").rstrip("\r\n")))
        self._held.clear()
        self._after_delimiter = False

    def _overflow(self, items: list[Item]) -> None:
        if self._after_delimiter and not self._is_text():
            self._broken(
                items,
                FrameError("frame", expected=f"at most {ENCODED_MAX_BYTES} bytes", actual="no delimiter yet"),
            )
        else:
            self._line(items)
        self._after_delimiter = False

    def _broken(self, items: list[Item], error: FrameError) -> None:
        items.append(Broken(error))
        self._held.clear()
