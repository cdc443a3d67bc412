"""A board that exists in memory only: flash that behaves like flash, a console that answers frames."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from tinyfleet.agent.core.errors import AgentError, BoardSaidNo, NoSuchBoardError, PlanError, StepTimeout
from tinyfleet.agent.core.host_devices import SerialPort
from tinyfleet.agent.services.plugged import Plugged
from tinyfleet.agent.services.ports import ProbeInfo, ProbeSession, Progress, SmpSession, SmpSlot
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

    def sectors(self, address: int, size: int) -> list[tuple[int, int]]:
        if address + size > len(self.flash):
            raise PlanError(f"{address:#x} is no flash", "build it for this part")
        return [(start, 1024) for start in range(address - address % 1024, address + size, 1024)]

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
        self.parts: list[str | None] = []

    def all(self) -> list[ProbeInfo]:
        return [ProbeInfo(name, "fake", True) for name in self.sessions]

    def open(self, unique_id: str, part: str | None = None) -> ProbeSession:
        self.parts.append(part)
        if unique_id not in self.sessions:
            raise NoSuchBoardError(f"no probe {unique_id}", "plug it in")
        return self.sessions[unique_id]

    def turn(self, unique_id: str, timeout_s: float) -> AbstractContextManager[None]:
        return nullcontext()


class FakeNode:
    """A node's image slots by SMP. A firmware's trial begins with a reset, a model's at once; while it lasts
    the node says nothing for `silent` questions. `verdict`: whether it confirms; `waits_for_a_word`: only
    when it is told to. `away`: what the reset fails with, and the questions after it, one each."""

    def __init__(self, *, verdict: bool = True, silent: int = 2) -> None:
        self.active: dict[int, bytes] = {}
        self.sent: dict[int, bytes] = {}
        self.pending: set[int] = set()
        self.done: list[str] = []
        self.verdict = verdict
        self.silent = silent
        self.keeps = True
        self.refuses: str | None = None
        self.waits_for_a_word = False
        self.away: list[AgentError] = []
        self._unconfirmed: set[int] = set()
        self._quiet = 0

    def open(self, board: str, address: str, baud: int) -> SmpSession:
        self.done.append(f"open {address}")
        return self

    def slots(self) -> tuple[SmpSlot, ...]:
        if "reset" in self.done and self.away:
            raise self.away.pop(0)
        if self._quiet:
            self._quiet -= 1
            if not self._quiet:
                self._judge()
            raise StepTimeout("b1", "image list", "no answer by SMP", "does it run?")
        rows = [(n, 0, d, True, False, n not in self._unconfirmed) for n, d in self.active.items()]
        rows += [(n, 1, d, False, n in self.pending, False) for n, d in self.sent.items()]
        return tuple(
            SmpSlot(n, slot, hashlib.sha256(data).digest(), "1.0.0", active, pending, confirmed)
            for n, slot, data, active, pending, confirmed in rows
        )

    def upload(self, image: bytes, number: int, progress: Progress) -> None:
        if self.refuses is not None:
            raise BoardSaidNo("b1", f"upload: {self.refuses}", 8, "give another")
        self.done.append(f"upload {number}")
        progress(1.0)
        if self.keeps:
            self.sent[number] = image

    def test(self, digest: bytes) -> None:
        number = next(n for n, data in self.sent.items() if hashlib.sha256(data).digest() == digest)
        self.done.append(f"test {number}")
        self.pending.add(number)
        if number == 1:
            self._quiet = self.silent

    def confirm(self, digest: bytes) -> None:
        if not self.waits_for_a_word:
            raise BoardSaidNo("b1", "image confirm: the node refused by SMP: rc 32", 8, "wait")
        self.done.append("confirm")
        self._unconfirmed.clear()

    def reset(self) -> None:
        self.done.append("reset")
        self._quiet = self.silent
        if self.away:
            raise self.away.pop(0)

    def close(self) -> None:
        self.done.append("close")

    def _judge(self) -> None:
        if self.verdict:
            for number in self.pending:
                self.active[number] = self.sent.pop(number)
                if self.waits_for_a_word:
                    self._unconfirmed.add(number)
        self.pending.clear()


class FakeHost:
    """`gone`: paths that are not there."""

    def __init__(self, probes: FakeProbes) -> None:
        self.probes = probes
        self.ports: list[SerialPort] = []
        self.gone: set[str] = set()

    def look(self) -> Plugged:
        return Plugged(tuple(self.probes.all()), tuple(self.ports))

    def has(self, path: str) -> bool:
        return path not in self.gone


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
