"""The emulated boards' links to QEMU: what is posted is answered for, questions and answers stay in step."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyocd_qemu.errors import LinkError
from pyocd_qemu.gdb import GdbLink
from pyocd_qemu.qmp import QmpLink
from pyocd_qemu.qtest import QtestLink

SECONDS = 10
Talk = Callable[[socket.socket], None]
Listen = Callable[[Talk], Path]


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """A QEMU: serves one client in a thread with `talk`, then closes the link."""
    threads, doors = [], []

    def start(talk: Talk) -> Path:
        path = tmp_path / "qemu.sock"
        door = socket.socket(socket.AF_UNIX)
        doors.append(door)
        door.bind(str(path))
        door.listen(1)

        def serve() -> None:
            link, _ = door.accept()
            with link:
                link.settimeout(SECONDS)
                talk(link)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return path

    yield start
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    for door in doors:
        door.close()


def qtest_of(memory: bytearray, refused: int = -1) -> Talk:
    """Bytes from address 0 on; the write to `refused` is no command that it knows."""

    def talk(link: socket.socket) -> None:
        for line in link.makefile():
            words = line.split()
            address = int(words[1], 0)
            if words[0] == "b64write" and address == refused:
                link.sendall(b"FAIL Unknown command 'b64write'\n")
            elif words[0] == "b64write":
                memory[address] += 1
                link.sendall(b"OK\n")
            else:
                link.sendall(f"OK 0x{memory[address]:x}\n".encode())

    return talk


def test_a_posted_write_is_there_for_whatever_comes_next(listen: Listen) -> None:
    memory = bytearray(512)
    bus = QtestLink(listen(qtest_of(memory)))
    try:
        for address in range(500):
            bus.post(address, b"x")
        assert bus.read_value(499, 8) == 1
        bus.post(500, b"x")
        bus.settle()
        assert sum(memory) == 501
    finally:
        bus.close()


@pytest.mark.parametrize("ask", [lambda bus: bus.settle(), lambda bus: bus.read_value(3, 8)])
def test_a_posted_write_that_is_refused_is_told_once(listen: Listen, ask: Callable[[QtestLink], int]) -> None:
    memory = bytearray(16)
    bus = QtestLink(listen(qtest_of(memory, refused=1)))
    try:
        for address in range(3):
            bus.post(address, b"x")
        with pytest.raises(LinkError, match=r"Unknown command.* to 'b64write 0x1"):
            ask(bus)
        # Its neighbours were written, and every later answer belongs to its question.
        assert [bus.read_value(address, 8) for address in range(4)] == [1, 0, 1, 0]
        bus.settle()
    finally:
        bus.close()


def test_a_posted_write_to_a_qemu_that_ends_is_told(listen: Listen) -> None:
    bus = QtestLink(listen(lambda link: link.recv(4) and None))
    try:
        bus.post(0, b"x")
        with pytest.raises(LinkError, match="broke off during b64write 0x0"):
            bus.settle()
    finally:
        bus.close()


def gdb_of(answers: dict[bytes, bytes]) -> Talk:
    """Answers whole packets by their first letter."""

    def talk(link: socket.socket) -> None:
        rest = b""
        while got := link.recv(4096):
            *packets, rest = (rest + got).split(b"#")
            # Each but the first begins with the checksum of the one before.
            for packet in packets:
                body = packet.partition(b"$")[2]
                answer = answers.get(body[:1], b"OK")
                link.sendall(b"+" + (b"$" + answer + b"#00" if answer else b""))

    return talk


CONNECTING = {b"q": b"PacketSize=1000", b"?": b"T02thread:01;"}


def test_a_refused_write_of_registers_is_told_at_the_next_stop(listen: Listen) -> None:
    gdb = GdbLink(listen(gdb_of(CONNECTING | {b"G": b"E22", b"c": b"T05thread:01;", b"g": b"00"})))
    try:
        gdb.resume("G00")
        with pytest.raises(LinkError, match="answered 'E22' to 'G00'"):
            gdb.poll(1.0)
        # The core runs all the same, and stops.
        assert gdb.running and gdb.poll(1.0) == "T05thread:01;"
        assert not gdb.running and gdb.ask_all("g", "m0,2") == ["00", "OK"]
    finally:
        gdb.close()


def test_a_core_that_runs_on_is_not_waited_for(listen: Listen) -> None:
    gdb = GdbLink(listen(gdb_of(CONNECTING | {b"c": b""})))
    try:
        gdb.resume("G00")
        assert gdb.poll(0.01) is None and gdb.poll(0.0) is None and gdb.running
    finally:
        gdb.close()


def test_events_that_nobody_asked_for_are_dropped_and_answers_are_not(listen: Listen) -> None:
    event = json.dumps({"event": "STOP"}).encode() + b"\n"
    drained = threading.Event()

    def talk(link: socket.socket) -> None:
        link.sendall(b'{"QMP": {}}\n')
        lines = link.makefile()
        lines.readline()
        # The last one is not all there when they are dropped.
        link.sendall(b'{"return": {}}\n' + 500 * event + event[:7])
        drained.wait(SECONDS)
        link.sendall(event[7:])
        lines.readline()
        link.sendall(b'{"return": {"running": true}}\n')

    qmp = QmpLink(listen(talk))
    try:
        qmp.drain()
        drained.set()
        assert qmp.is_running()
    finally:
        qmp.close()
