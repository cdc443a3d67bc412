"""Windows for a node's sample line, in frames (SPEC section 9, SAMPLES)."""

from __future__ import annotations

import struct
from typing import Final

from tinyfleet.wire.enums import FrameType
from tinyfleet.wire.errors import RecordError
from tinyfleet.wire.frame import Frame, encode_frame
from tinyfleet.wire.limits import FRAME_BODY_MAX, LINE_WINDOW_VALUES_MAX

_HEAD: Final = struct.Struct("<HH")
_VALUE_BYTES: Final = 2
_PART_VALUES: Final = (FRAME_BODY_MAX - _HEAD.size) // _VALUE_BYTES


def window_frames(number: int, window: bytes) -> bytes:
    """The frames of one window: `window` is i16 little-endian [samples][channels], `number` counts windows
    and wraps at 65536. RecordError when it is no window that a node takes.
    """
    values, rest = divmod(len(window), _VALUE_BYTES)
    if rest or not 0 < values <= LINE_WINDOW_VALUES_MAX:
        raise RecordError(
            "window",
            expected=f"1 to {LINE_WINDOW_VALUES_MAX} values of {_VALUE_BYTES} bytes",
            actual=f"{len(window)} bytes",
        )
    frames: list[bytes] = []
    for offset in range(0, values, _PART_VALUES):
        part = window[offset * _VALUE_BYTES : (offset + _PART_VALUES) * _VALUE_BYTES]
        body = _HEAD.pack(number % 0x10000, offset) + part
        frames.append(encode_frame(Frame(FrameType.SAMPLES, len(frames), body)))
    return b"".join(frames)
