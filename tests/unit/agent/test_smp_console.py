"""SMP over a console whose port goes away with a reset, as a board's own USB does, and comes back."""

from __future__ import annotations

import queue

import cbor2
import pytest
from smp import header, packet

from tinyfleet.agent.adapters.smp import SmpLinks
from tinyfleet.agent.core.errors import ConsoleError, NoSuchBoardError
from tinyfleet.agent.services.ports import SmpSession

OS, IMAGES, RESET = 0, 1, 5
DIGEST = bytes(range(32))


class Line:
    """A node's console; `goes` with a reset, before that is answered."""

    def __init__(self, *, goes: bool) -> None:
        self._goes = goes
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._decoder = self._fresh()
        self.up = True
        self.closed = False

    @staticmethod
    def _fresh():  # type: ignore[no-untyped-def]
        decoder = packet.decode()
        next(decoder)
        return decoder

    def read(self, timeout_s: float) -> bytes:
        if not self.up:
            raise ConsoleError("b1", "console read", "it was pulled out", "plug it in")
        try:
            return self._said.get(timeout=timeout_s) if timeout_s else self._said.get_nowait()
        except queue.Empty:
            return b""

    def write(self, data: bytes) -> None:
        try:
            self._decoder.send(data)
        except StopIteration as whole:
            self._decoder = self._fresh()
            self._take(bytes(whole.value))

    def _take(self, request: bytes) -> None:
        head = header.Header.loads(request[: header.Header.SIZE])
        group, command = int(head.group_id), int(head.command_id)
        if (group, command) == (OS, RESET) and self._goes:
            self.up = False
            return
        image = {"slot": 0, "version": "1.0.0", "hash": DIGEST, "active": True, "confirmed": True}
        body = cbor2.dumps({"images": [image]} if group == IMAGES else {"rc": 8})
        answer = bytearray(request[: header.Header.SIZE])
        answer[0] |= 1  # a request's number and one is its answer's
        answer[2:4] = len(body).to_bytes(2, "big")
        for piece in packet.encode(bytes(answer) + body):
            self._said.put(piece)

    def set_baud(self, baud: int) -> None:
        raise AssertionError("nobody asked for that")

    def close(self) -> None:
        self.closed = True


class Lines:
    def __init__(self, *lines: Line | None) -> None:
        self._left = list(lines)

    def open(self, address: str, baud: int) -> Line:
        line = self._left.pop(0)
        if line is None:
            raise NoSuchBoardError(f"no {address}", "plug it in")
        return line


FIRST, SECOND = 0, 1


@pytest.fixture
def lines() -> list[Line]:
    return [Line(goes=True), Line(goes=False)]


@pytest.fixture
def session(lines: list[Line]) -> SmpSession:
    return SmpLinks(Lines(lines[FIRST], None, lines[SECOND])).open("b1", "b1", 115_200)


def test_a_port_that_went_with_the_reset_is_opened_again(lines: list[Line], session: SmpSession) -> None:
    assert session.slots()[0].digest == DIGEST
    with pytest.raises(ConsoleError, match="pulled out"):
        session.reset()
    with pytest.raises(NoSuchBoardError):
        session.slots()
    assert lines[FIRST].closed
    assert session.slots()[0].digest == DIGEST
    session.close()
    assert lines[SECOND].closed


def test_a_port_that_is_gone_is_not_opened_to_be_closed(lines: list[Line], session: SmpSession) -> None:
    with pytest.raises(ConsoleError, match="pulled out"):
        session.reset()
    session.close()
    assert lines[FIRST].closed
