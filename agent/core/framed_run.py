"""A golden set as requests: stored windows by index, others streamed; what was lost is asked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.link import Answered, Event, Lost, Refused, Request
from tinyfleet.wire.enums import FrameType
from tinyfleet.wire.limits import FRAME_BODY_MAX

SWEEP_WINDOWS = 32
"""Of one SWEEP: so many inferences are repeated at most where a result was lost."""
_WORD_BYTES = 4
_PIECE_BYTES = FRAME_BODY_MAX - _WORD_BYTES
_HEAD_BYTES = 2 * _WORD_BYTES


def word(value: int) -> bytes:
    return value.to_bytes(_WORD_BYTES, "little")


def pieces(kind: FrameType, data: bytes) -> Iterator[Request]:
    """LOAD or PUT of some bytes; whether they came is told by what follows."""
    for at in range(0, len(data), _PIECE_BYTES):
        yield Request(kind, word(at) + data[at : at + _PIECE_BYTES], None)


class FramedRun:
    """`windows`, of which the board keeps the first `stored`. `many`: it takes several requests at once."""

    def __init__(self, windows: Sequence[bytes], stored: int, many: bool) -> None:
        self._windows = windows
        self._stored = min(stored, len(windows))
        self._many = many
        self._left = set(range(len(windows)))

    @property
    def done(self) -> bool:
        return not self._left

    def requests(self) -> Iterator[Request]:
        """All of them, in order."""
        yield from self._of(range(len(self._windows)))

    def take(self, event: Event) -> tuple[list[tuple[int, Answer]], list[Request]]:
        """(window and answer, requests anew) that came of an event about one of `requests`. A window is
        answered once. ValueError where an answer is none."""
        key = event.request.key
        if not isinstance(key, range) or isinstance(event, Refused):
            return [], []
        if isinstance(event, Lost):
            return [], list(self._of([i for i in key if i in self._left]))
        index, body = self._index(event, key), event.body
        head = _HEAD_BYTES if event.request.type in (FrameType.SWEEP, FrameType.RUN) else _WORD_BYTES
        if len(body) <= head:
            raise ValueError(f"an answer of {len(body)} bytes, expected a time and an output")
        if index not in self._left:
            return [], []
        self._left.remove(index)
        duration_us = int.from_bytes(body[head - _WORD_BYTES : head], "little")
        return [(index, Answer(body[head:], duration_us))], []

    def _index(self, event: Answered, key: range) -> int:
        if event.request.type != FrameType.SWEEP:
            return key[0]
        index = int.from_bytes(event.body[:_WORD_BYTES], "little")
        if index not in key:
            raise ValueError(f"an answer about window {index}, expected {key[0]}..{key[-1]}")
        return index

    def _of(self, indices: Sequence[int]) -> Iterator[Request]:
        swept = [i for i in indices if i < self._stored and self._many]
        for run in _runs(swept):
            body = word(run[0]) + word(len(run))
            yield Request(FrameType.SWEEP, body, run, answers=len(run))
        for i in indices:
            if i < self._stored and not self._many:
                yield Request(FrameType.GOLDEN, i.to_bytes(2, "little"), range(i, i + 1))
            elif i >= self._stored:
                yield from self._streamed(i)

    def _streamed(self, index: int) -> Iterator[Request]:
        window, key = self._windows[index], range(index, index + 1)
        if len(window) <= FRAME_BODY_MAX:
            yield Request(FrameType.INFER, window, key)
        else:
            yield from pieces(FrameType.LOAD, window)
            yield Request(FrameType.RUN, word(1), key)


def _runs(indices: Sequence[int]) -> Iterator[range]:
    """Neighbours together, at most SWEEP_WINDOWS."""
    start = 0
    for at in range(1, len(indices) + 1):
        whole = at - start == SWEEP_WINDOWS
        if at == len(indices) or whole or indices[at] != indices[at - 1] + 1:
            yield range(indices[start], indices[at - 1] + 1)
            start = at
