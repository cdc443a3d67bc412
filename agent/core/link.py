"""Requests on a console, many under way at once (SPEC section 9). Bytes and times in, bytes and events out.

The board carries requests out once and in order, and answers in that order. So an answer to a later one says
that an earlier one's was lost; EXPECT says which request it waits for; and silence, that all of them may be
lost.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from dataclasses import dataclass

from tinyfleet.wire.enums import FrameType
from tinyfleet.wire.frame import Frame, encode_frame
from tinyfleet.wire.limits import FRAME_REPLY

UNDER_WAY_MAX = 127
RETRY_S = 0.5
RETRY_FACTOR = 4.0
RETRY_MAX_S = 4.0
_SEQS = 256
_HALF = 128
_BITS_A_BYTE = 10


@dataclass(frozen=True, slots=True)
class Request:
    """`answers`: how many frames answer it. `key`: whatever its sender knows it by."""

    type: FrameType
    body: bytes
    key: object
    answers: int = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """One frame that answers; `last`: no more come for this request."""

    request: Request
    body: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Refused:
    request: Request
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """It was carried out, but not all of its answers came."""

    request: Request


Event = Answered | Refused | Lost


@dataclass(slots=True)
class _Sent:
    seq: int
    request: Request
    encoded: bytes
    answers: int = 0


class Link:
    """`window_bytes`: encoded bytes that may be without an answer at once; None: one request at a time, for
    boards that carry out whatever comes. `seq` is the first request's number."""

    def __init__(self, window_bytes: int | None, baud: int, seq: int, now_s: float) -> None:
        self._window_bytes = window_bytes
        self._byte_s = _BITS_A_BYTE / baud
        self._seq = seq
        self._queue: collections.deque[Request] = collections.deque()
        self._sent: collections.deque[_Sent] = collections.deque()
        self._again = False
        self._progress_s = self._quiet_s = now_s
        self._gap_s = 0.0
        self._retries = 0

    @property
    def idle(self) -> bool:
        return not self._queue and not self._sent

    @property
    def seq(self) -> int:
        """Of the next request."""
        return self._seq

    def submit(self, requests: Iterable[Request]) -> None:
        self._queue.extend(requests)

    def to_send(self, now_s: float) -> bytes:
        """What may be sent now; all that is under way again where the board said so or is silent."""
        if self._sent and now_s >= self._quiet_s + self._patience_s():
            self._retries += 1
            self._again = True
        out = bytearray()
        if self._again:
            self._again = False
            out += b"".join(sent.encoded for sent in self._sent)
        while self._queue and self._has_room(self._queue[0]):
            request = self._queue.popleft()
            encoded = encode_frame(Frame(request.type, self._seq, request.body))
            self._sent.append(_Sent(self._seq, request, encoded))
            self._seq = (self._seq + 1) % _SEQS
            out += encoded
        if out:
            self._quiet_s = now_s
        return bytes(out)

    def wait_s(self, now_s: float) -> float:
        """For how long nothing is to be sent unless something comes."""
        return max(0.0, self._quiet_s + self._patience_s() - now_s)

    def silent_s(self, now_s: float) -> float:
        """Since when nothing has gone forward."""
        return now_s - self._progress_s

    def receive(self, frame: Frame, now_s: float) -> list[Event]:
        """What a frame from the board means; nothing where it is of no request under way."""
        at = next((i for i, sent in enumerate(self._sent) if sent.seq == frame.seq), None)
        if at is None:
            return []
        if frame.type == FrameType.EXPECT | FRAME_REPLY:
            events = self._expected(frame.body)
        else:
            events = self._answered(at, frame)
        if events:
            if self._retries == 0:
                # How long the board is silent while it computes, not how long we waited for what was lost.
                self._gap_s = max(self._gap_s, now_s - self._progress_s)
            self._progress_s = self._quiet_s = now_s
            self._retries = 0
        return events

    def _has_room(self, request: Request) -> bool:
        if not self._sent:
            return True
        if self._window_bytes is None or len(self._sent) >= UNDER_WAY_MAX:
            return False
        # What a body takes on the line: type, number, CRC, two delimiters, and COBS.
        size = len(request.body) + 9 + len(request.body) // 254
        return sum(len(sent.encoded) for sent in self._sent) + size <= self._window_bytes

    def _patience_s(self) -> float:
        line_s = 2 * self._byte_s * sum(len(sent.encoded) for sent in self._sent)
        once_s = max(RETRY_S, RETRY_FACTOR * self._gap_s) * 2.0**self._retries
        return float(min(once_s, RETRY_MAX_S) + line_s)

    def _expected(self, body: bytes) -> list[Event]:
        """What stands before the expected one was carried out; that and what follows is sent again."""
        if len(body) != 1:
            return []
        events: list[Event] = []
        while self._sent and 0 < (body[0] - self._sent[0].seq) % _SEQS <= _HALF:
            events.append(Lost(self._sent.popleft().request))
        self._again = bool(self._sent)
        return events

    def _answered(self, at: int, frame: Frame) -> list[Event]:
        events: list[Event] = [Lost(self._sent.popleft().request) for _ in range(at)]
        sent = self._sent[0]
        sent.answers += 1
        if frame.type == FrameType.ERROR or frame.type != sent.request.type | FRAME_REPLY:
            self._sent.popleft()
            return [*events, Refused(sent.request, frame.body if frame.type == FrameType.ERROR else b"")]
        last = sent.answers == sent.request.answers
        if last:
            self._sent.popleft()
        return [*events, Answered(sent.request, frame.body, last)]
