"""What a console's hub and its clients say to each other on a Unix socket of this host.

A message: kind (one byte), length (u32, big-endian), so many bytes. A client's first is OPEN; the hub answers
OPENED or REFUSED. A client that watches gets LINE, UNFINISHED, STATE and LOST, and may send DATA (keys); one
that holds gets DATA, and STATE when the port went away.
"""

from __future__ import annotations

import enum
import json
import struct
from dataclasses import dataclass
from typing import Any, Final

from tinyfleet.agent.core.console_line import ConsoleLine

PAYLOAD_MAX_BYTES: Final = 64 * 1024
_HEAD: Final = struct.Struct(">BI")
_TIMES: Final = struct.Struct(">dd")


class Kind(enum.IntEnum):
    OPEN = 1
    OPENED = 2
    REFUSED = 3
    DATA = 4
    LINE = 5
    UNFINISHED = 6
    STATE = 7
    LOST = 8


@dataclass(frozen=True, slots=True)
class Message:
    kind: Kind
    payload: bytes = b""

    def encode(self) -> bytes:
        """ValueError when it is too large."""
        if len(self.payload) > PAYLOAD_MAX_BYTES:
            raise ValueError(f"a message of {len(self.payload)} bytes, expected <= {PAYLOAD_MAX_BYTES}")
        return _HEAD.pack(self.kind, len(self.payload)) + self.payload

    def json(self) -> dict[str, Any]:
        """Of OPEN, REFUSED, STATE and LOST. ValueError where it is none."""
        value = json.loads(self.payload)
        if not isinstance(value, dict):
            raise ValueError(f"{self.kind.name} holds no object")
        return value

    def line(self) -> ConsoleLine:
        """Of LINE. ValueError where it is none."""
        if len(self.payload) < _TIMES.size:
            raise ValueError("a line without its times")
        monotonic_s, wall_s = _TIMES.unpack_from(self.payload)
        return ConsoleLine(monotonic_s, wall_s, self.payload[_TIMES.size :].decode("utf-8", errors="replace"))


def told(kind: Kind, **values: object) -> Message:
    return Message(kind, json.dumps(values).encode())


def told_line(line: ConsoleLine) -> Message:
    return Message(Kind.LINE, _TIMES.pack(line.monotonic_s, line.wall_s) + line.text.encode())


class Messages:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """What `data` completed. ValueError for an unknown kind or a length beyond the bound: the peer is
        another program, or another version."""
        self._held += data
        whole = []
        while len(self._held) >= _HEAD.size:
            kind, size = _HEAD.unpack_from(self._held)
            if size > PAYLOAD_MAX_BYTES:
                raise ValueError(f"a message of {size} bytes, expected <= {PAYLOAD_MAX_BYTES}")
            if len(self._held) < _HEAD.size + size:
                break
            whole.append(Message(Kind(kind), bytes(self._held[_HEAD.size : _HEAD.size + size])))
            del self._held[: _HEAD.size + size]
        return whole
