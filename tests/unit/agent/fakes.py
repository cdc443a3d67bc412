"""A board that exists in memory only: flash that behaves like flash, a console that answers frames."""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping

from tinyfleet.agent.core.errors import NoSuchBoardError
from tinyfleet.agent.services.ports import ProbeInfo, ProbeSession, Progress
from tinyfleet.wire.frame import Frame, FrameDecoder, encode_frame


class FakeClock:
    """Time passes only where somebody waits."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> int:
        return 1_700_000_000


class FlashSession:
    """`spoil` changes what was written, as worn flash does."""

    def __init__(self, flash: bytearray, spoil: Callable[[bytearray], None] = lambda flash: None) -> None:
        self.flash = flash
        self.spoil = spoil
        self.programmed: list[int] = []
        self.resets = 0
        self.closed = False

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.flash[address : address + size])

    def program(self, sectors: Mapping[int, bytes], progress: Progress) -> None:
        for address, data in sectors.items():
            if address % 1024 or len(data) != 1024:
                raise ValueError(f"{len(data)} bytes at {address:#x} are no sector")
            self.flash[address : address + 1024] = data
            self.programmed.append(address)
            progress(len(self.programmed) / len(sectors))
        self.spoil(self.flash)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed = True


class FakeProbes:
    def __init__(self, sessions: dict[str, FlashSession]) -> None:
        self.sessions = sessions

    def all(self) -> list[ProbeInfo]:
        return [ProbeInfo(name, "fake", True) for name in self.sessions]

    def open(self, unique_id: str) -> ProbeSession:
        if unique_id not in self.sessions:
            raise NoSuchBoardError(f"no probe {unique_id}", "plug it in")
        return self.sessions[unique_id]


class FakeConsole:
    """`answer` gives the bytes to send back for each request; reading while nothing waits lets time pass."""

    def __init__(self, clock: FakeClock, answer: Callable[[Frame], bytes]) -> None:
        self.clock = clock
        self.answer = answer
        self.requests: list[Frame] = []
        self.closed = False
        self._waiting: collections.deque[bytes] = collections.deque()
        self._decoder = FrameDecoder()

    def open(self, address: str, baud: int) -> FakeConsole:
        return self

    def read(self, timeout_s: float) -> bytes:
        if not self._waiting:
            self.clock.now_s += timeout_s
            return b""
        return self._waiting.popleft()

    def write(self, data: bytes) -> None:
        for item in self._decoder.feed(data):
            if isinstance(item, Frame):
                self.requests.append(item)
                self._waiting.append(self.answer(item))

    def close(self) -> None:
        self.closed = True


def reply(request: Frame, body: bytes) -> bytes:
    return encode_frame(Frame(request.type | 0x80, request.seq, body))
