"""A broker made here that says what no honest one would; and wants that ask for what cannot be."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tinyfleet.wire.codec import decode
from tinyfleet.wire.enums import ArtifactKind, Result, UpdateState
from tinyfleet.wire.messages import Birth, Status, Tele, WantedArtifact

pytestmark = [pytest.mark.qemu, pytest.mark.broker]

CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ = 1, 3, 8, 10, 12
TIMEOUT_S = 30.0
FLOOD_S = 90.0


class HostileBroker:
    """One connection at a time; answers as a broker must, and sends what the test says."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self.port: int = self._listener.getsockname()[1]
        self._peer: socket.socket | None = None
        self._read = b""
        self.heard: list[tuple[str, bytes]] = []
        self.subscribed = False

    def close(self) -> None:
        self.drop()
        self._listener.close()

    def drop(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer, self._read, self.subscribed = None, b"", False

    def accept(self) -> None:
        """Takes the node on, until it has subscribed."""
        self._peer, _ = self._listener.accept()
        end = time.monotonic() + TIMEOUT_S
        while not self.subscribed:
            assert time.monotonic() < end, "the node does not subscribe"
            self.serve(0.1)

    def serve(self, timeout_s: float, send: bytes = b"") -> bool:
        """Reads and answers what is there; sends as much of `send` as goes. False: the node has hung up."""
        assert self._peer is not None
        ready, writable, _ = select.select([self._peer], [self._peer] if send else [], [], timeout_s)
        try:
            if writable:
                self._peer.sendall(send)
            if ready:
                piece = self._peer.recv(65536)
                if not piece:
                    return False
                self._read += piece
                self._answer()
        except (ConnectionResetError, BrokenPipeError):
            return False
        return True

    def _answer(self) -> None:
        assert self._peer is not None
        while (packet := self._take()) is not None:
            first, body = packet
            kind = first >> 4
            if kind == CONNECT:
                self._peer.sendall(bytes((0x20, 3, 0, 0, 0)))
            elif kind == SUBSCRIBE:
                self._peer.sendall(bytes((0x90, 4)) + body[:2] + bytes((0, 1)))
                self.subscribed = True
            elif kind == UNSUBSCRIBE:
                self._peer.sendall(bytes((0xB0, 4)) + body[:2] + bytes((0, 0)))
            elif kind == PINGREQ:
                self._peer.sendall(bytes((0xD0, 0)))
            elif kind == PUBLISH:
                end = 2 + int.from_bytes(body[:2], "big")
                self._peer.sendall(bytes((0x40, 2)) + body[end : end + 2])
                self.heard.append((body[2:end].decode(), body[end + 3 :]))

    def _take(self) -> tuple[int, bytes] | None:
        length, shift, at = 0, 0, 1
        while True:
            if len(self._read) <= at:
                return None
            byte = self._read[at]
            length |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if byte < 0x80:
                break
        if len(self._read) < at + length:
            return None
        packet = self._read[0], self._read[at : at + length]
        self._read = self._read[at + length :]
        return packet

    def tele(self) -> list[Tele]:
        return [decode(Tele, payload) for topic, payload in self.heard if topic.endswith("/tele")]


def publish(topic: str, payload: bytes) -> bytes:
    """A PUBLISH at QoS 0."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + b"\0" + payload
    length, rest = b"", len(body)
    while True:
        length += bytes(((rest & 0x7F) | (0x80 if rest > 0x7F else 0),))
        rest >>= 7
        if not rest:
            return b"\x30" + length + body


@pytest.fixture
def hostile() -> Iterator[HostileBroker]:
    server = HostileBroker()
    yield server
    server.close()


@pytest.fixture
def lone_node(bare_node: Any, hostile: HostileBroker, workshop: Any, first: Any) -> Any:
    """Runs a model it was given before its first start, and knows only the hostile broker."""
    bare_node.provision(port=hostile.port)
    bare_node.write("model_a", first.image)
    bare_node.start()
    hostile.accept()
    return bare_node


def test_a_flood_starves_nothing(lone_node: Any, hostile: HostileBroker) -> None:
    """Its clock, which counts instructions, is slower than ours while it is kept busy."""
    flood = publish("tf/1/blob/AAAAAAAAAAAAAAAAAAAAAA/1/3", bytes(2000)) + publish("elsewhere", bytes(4000))
    end = time.monotonic() + FLOOD_S
    while not hostile.tele():
        assert time.monotonic() < end, "no telemetry under load"
        assert hostile.serve(1.0, flood * 4)
    told = hostile.tele()[0]
    assert told.boot == 1
    assert 1000 <= told.uptime_ms < 1500  # due after a second
    assert told.inferences >= 20  # one each 40 ms


def test_noise_ends_the_connection_and_the_node_comes_back(lone_node: Any, hostile: HostileBroker) -> None:
    for noise in (
        b"\xff" * 64,
        b"\x30\xff\xff\xff\x7f",
        bytes((0x40, 2, 0x7F, 0xFF)),
        bytes((0x20, 3, 0, 0, 0)),
    ):
        end = time.monotonic() + TIMEOUT_S
        assert hostile.serve(0, noise)
        while hostile.serve(0.1):
            assert time.monotonic() < end, f"the node took {noise[:8].hex()}"
        hostile.drop()
        hostile.accept()
    lone_node.console("mqtt: broker broke the protocol")


def test_no_secret_is_on_the_console(lone_node: Any, hostile: HostileBroker) -> None:
    lone_node.console("mqtt: connected, subscribed")
    console = lone_node.emulator.console(since_start=False)
    assert "correct horse" not in console
    assert bytes(range(32)).hex() not in console.lower()


def test_a_firmware_that_never_comes_holds_its_model_back(
    node: Any, manager: Any, first: Any, second: Any
) -> None:
    """The broker has the model of a want, not its firmware: what runs goes on, and the next want is heard."""
    manager.blob(first.blob)
    manager.want(first.want(1))
    manager.wait(Birth, lambda b: b.generation == 1 and b.state is UpdateState.CONFIRMED)
    manager.blob(second.blob)
    firmware = WantedArtifact(
        image=bytes(32), manifest=bytes(32), version="9.0.0", groups=4, size_bytes=50_000
    )
    manager.want(replace(second.want(2), firmware=firmware))
    status = manager.wait(Status, lambda s: s.generation == 2 and s.state is UpdateState.PAUSED)
    assert (status.kind, status.result) == (ArtifactKind.FIRMWARE, Result.CONNECTION_LOST)
    assert (status.offset_bytes, status.size_bytes) == (0, 50_000)
    manager.forget()
    before = manager.wait(Tele, lambda t: t.model == first.digest)
    manager.wait(Tele, lambda t: t.model == first.digest and t.inferences > before.inferences)
    manager.want(second.want(3))
    manager.wait(Birth, lambda b: b.generation == 3 and b.state is UpdateState.CONFIRMED)
