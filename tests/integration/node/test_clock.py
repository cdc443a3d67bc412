"""The time of day by SNTP: asked for, checked, and what the node does with it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.integration.node.conftest import HOST_ADDRESS, Manager, Node, Release

from tinyfleet.wire.enums import ClockSource, Result, UpdateState
from tinyfleet.wire.messages import Birth, ClockReport, ConfigChange, Status, Tele, Want

pytestmark = [pytest.mark.qemu, pytest.mark.broker]
TO_1970_S = 2_208_988_800
NOW_S = 1_893_456_000  # 2030-01-01: not what any clock here says


class TimeServer:
    """An SNTP server on loopback (RFC 4330, section 6) whose answers a test may spoil."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        self.asked = threading.Event()
        self.spoil: Callable[[bytes], list[bytes]] = lambda answer: [answer]
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, client = self._socket.recvfrom(1024)
            if not self._open:
                return
            self.requests.append(request)
            self.asked.set()
            head = struct.pack(">BBBbIII", 0x24, 2, 6, -20, 0, 0, 0x4C4F434C)
            stamp = struct.pack(">II", NOW_S + TO_1970_S, 0)
            for answer in self.spoil(head + stamp + request[40:48] + stamp + stamp):
                self._socket.sendto(answer, client)

    def close(self) -> None:
        self._open = False
        # Ends the wait, which closing alone would not.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()


@pytest.fixture
def server() -> Iterator[TimeServer]:
    made = TimeServer()
    yield made
    made.close()


@pytest.fixture
def start(bare_node: Node, manager: Manager, server: TimeServer) -> Callable[[], Node]:
    def provisioned() -> Node:
        bare_node.provision(sntp=f"{HOST_ADDRESS}:{server.port}")
        bare_node.start()
        return bare_node

    return provisioned


def knows_time(birth: Birth) -> bool:
    return birth.clock is not None and birth.clock.source is ClockSource.SNTP


def test_birth_says_what_time_it_is(start: Callable[[], Node], manager: Manager, server: TimeServer) -> None:
    start()
    birth = manager.wait(Birth, knows_time)
    assert birth.clock is not None and birth.clock.unix_s is not None
    assert 0 <= birth.clock.unix_s - NOW_S < 30
    (request,) = server.requests
    assert len(request) == 48 and request[0] == 0x23 and request[40:48] != bytes(8)


def test_without_a_server_it_knows_none(node: Node, manager: Manager) -> None:
    assert manager.wait(Birth).clock == ClockReport(source=ClockSource.NONE)


def test_what_is_no_answer_is_not_believed(
    start: Callable[[], Node], manager: Manager, server: TimeServer
) -> None:
    """None of these ends a request: each is looked at."""
    server.spoil = (
        lambda answer: [
            answer[:47],  # short
            answer[:24] + bytes(8) + answer[32:],  # to another request
            b"\xe4" + answer[1:],  # of a server that is not in step
            answer[:40] + bytes(8),  # without a time
        ]
    )
    node = start()
    birth = manager.wait(Birth)
    assert server.asked.wait(10)
    assert birth.clock == ClockReport(source=ClockSource.NONE)
    # Asked again, with another number, it takes the right answer.
    server.spoil = lambda answer: [answer]
    manager.wait(Birth, knows_time)
    assert len({request[40:48] for request in server.requests}) == len(server.requests) >= 2
    node.console("clock: .* by SNTP")


def test_windows_and_deadlines_hold(
    start: Callable[[], Node], manager: Manager, first: Release, second: Release
) -> None:
    start()
    manager.wait(Birth, knows_time)
    manager.blob(first.blob)
    manager.want(first.want(1, not_before=NOW_S + 3600))
    manager.wait(Status, lambda status: status.generation == 1 and status.state is UpdateState.DEFERRED)
    manager.want(first.want(2, deadline=NOW_S - 1))
    late = manager.wait(Status, lambda status: status.generation == 2 and status.state is UpdateState.FAILED)
    assert late.result is Result.EXPIRED
    manager.want(first.want(3, not_before=NOW_S - 3600, deadline=NOW_S + 3600))
    manager.wait(Status, lambda status: status.generation == 3 and status.state is UpdateState.CONFIRMED)
    # Telemetry carries the device's time, so that what comes late still says when it was.
    manager.wait(Tele, lambda tele: tele.unix_s is not None and 0 <= tele.unix_s - NOW_S < 60)


def test_a_want_may_name_the_server(node: Node, manager: Manager, server: TimeServer) -> None:
    change = ConfigChange(sequence=1, sntp=f"{HOST_ADDRESS}:{server.port}")
    manager.want(Want(generation=0, config=change))
    manager.wait(Birth, knows_time)
    assert server.requests
