"""Consoles on terminals of this host and sockets, shared between programs by the hub's socket."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from tests.integration.agent.serial_port import WAIT_S, SerialPort
from tests.servers import TIMEOUT_S, wait_for

from tinyfleet.agent.adapters.bench_consoles import BenchConsoles
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.console_log import read_log
from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.adapters.tally_file import TallyFile
from tinyfleet.agent.cli.console_tty import ConsoleTerminal
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.console_line import ConsoleLine
from tinyfleet.agent.core.errors import AgentError, BoardBusyError, ConsoleError, NoSuchBoardError
from tinyfleet.agent.services.console_queues import LostLines, PortState
from tinyfleet.agent.services.console_watch import ConsoleExpecter
from tinyfleet.wire.frame import Frame, FrameDecoder, encode_frame


def consoles_of(folder: Path, port: SerialPort, counting: TallyFile | None = None) -> BenchConsoles:
    spec = BoardSpec(name="b1", device_type="microbit", probe="p1", console=str(port.path))

    def find(spec: BoardSpec) -> str:
        assert spec.console is not None
        return spec.console

    return BenchConsoles([spec], folder / "consoles", find, SerialConsoles(), SystemClock(), counting)


@pytest.fixture
def daemon(tmp_path: Path, port: SerialPort) -> Iterator[BenchConsoles]:
    """Serves the board, as `tinyfleet agent run` does."""
    served = consoles_of(tmp_path, port)
    served.serve()
    yield served
    served.close()


@pytest.fixture
def other(tmp_path: Path, port: SerialPort) -> Iterator[BenchConsoles]:
    """Another program's."""
    consoles = consoles_of(tmp_path, port)
    yield consoles
    consoles.close()


def test_two_programs_share_a_console(daemon: BenchConsoles, other: BenchConsoles, port: SerialPort) -> None:
    one, two = daemon.watch("b1"), other.watch("b1")
    clock = SystemClock()
    expect_one, expect_two = ConsoleExpecter("b1", one, clock), ConsoleExpecter("b1", two, clock)
    wait_for("the port is open", lambda: daemon.counts["b1"].opened == 1)
    port.says(b"hello\n")
    assert expect_one.expect("hello", WAIT_S) == expect_two.expect("hello", WAIT_S)
    two.write(b"typed")
    assert port.hears(5) == b"typed"
    held = other.open("b1", 9600)
    with pytest.raises(BoardBusyError, match=r"the console of b1 is held by .*process \d+"):
        daemon.open("b1", 115_200)
    two.write(b"lost")
    request = encode_frame(Frame(1, 1, b"question" * 128))
    held.write(request)
    assert port.hears(len(request)) == request
    answer = encode_frame(Frame(0x81, 1, bytes(range(256)) * 4))
    port.says(b"a line\n" + answer)
    decoder, items = FrameDecoder(), []
    while not any(isinstance(item, Frame) for item in items):
        items += decoder.feed(held.read(WAIT_S))
    assert items[-1] == Frame(0x81, 1, bytes(range(256)) * 4)
    assert expect_one.expect("a line", WAIT_S) == expect_two.expect("a line", WAIT_S)
    # One after the other at once: whoever closed has let go.
    for _ in range(5):
        held.close()
        held = daemon.open("b1", 115_200)
    held.close()
    two.write(b"typed again")
    assert port.hears(11) == b"typed again"
    one.close()
    two.close()


def test_a_port_is_lent_to_a_program_that_opens_it_itself(
    daemon: BenchConsoles, other: BenchConsoles, port: SerialPort
) -> None:
    wait_for("the port is open", lambda: daemon.counts["b1"].opened == 1)
    with other.lend("b1"):
        # As a vendor's tool does, which knows nothing of locks between ours.
        with serial.Serial(str(port.path), exclusive=True) as tool:
            tool.write(b"flash it")
            assert port.hears(8) == b"flash it"
        with pytest.raises(BoardBusyError, match="is held by"):
            other.open("b1", 115_200)
    wait_for("it is read again", lambda: daemon.counts["b1"].opened == 2)
    held = other.open("b1", 115_200)
    with pytest.raises(BoardBusyError, match="is held by"), other.lend("b1"):
        pass
    held.close()
    # Where nobody serves it there is nothing to let go of.
    daemon.close()
    with other.lend("b1"), serial.Serial(str(port.path), exclusive=True):
        pass


def test_the_socket_is_for_its_user_only(daemon: BenchConsoles) -> None:
    path = daemon.folder / "b1.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    # Nonsense costs nobody but its sender.
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(WAIT_S)
        link.connect(os.path.relpath(path))
        link.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert link.recv(100) == b""
    daemon.watch("b1").close()
    daemon.close()
    assert not path.exists()


def test_a_holder_that_dies_lets_go(daemon: BenchConsoles, port: SerialPort, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path;"
        "from tinyfleet.agent.adapters.console_link import HeldConsole;"
        f"held = HeldConsole(Path({str(daemon.folder)!r}), 'b1', 115200, False);"
        "print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(BoardBusyError, match=f"process {child.pid}"):
        daemon.open("b1", 115_200)
    child.kill()
    child.wait(WAIT_S)
    child.stdout.close()

    def free() -> bool:
        with contextlib.suppress(BoardBusyError):
            daemon.open("b1", 115_200).close()
            return True
        return False

    wait_for("it is free", free)


def test_a_port_that_is_pulled_out_and_put_in_again(
    daemon: BenchConsoles, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = daemon.watch("b1")
    held = daemon.open("b1", 115_200)
    port.unplug()
    for _ in range(2):
        with pytest.raises(
            ConsoleError, match=r"^b1: console: /\S+: console read: [^;]+; check the cable; an emulated"
        ):
            for _ in range(100):
                held.read(0.1)
    with pytest.raises(ConsoleError, match="console read"):
        held.write(b"x")
    held.close()
    monkeypatch.setattr("tinyfleet.agent.adapters.console_session.HOLD_WAIT_S", 0.1)
    with pytest.raises(NoSuchBoardError, match="the console of b1 is not there"):
        daemon.open("b1", 115_200)
    states = [event for event in iter(lambda: watched.next(0), None) if isinstance(event, PortState)]
    assert [state.up for state in states][-1] is False
    port.plug()
    monkeypatch.undo()
    held = daemon.open("b1", 115_200)
    held.write(b"again")
    assert port.hears(5) == b"again"
    held.close()
    watched.close()
    assert daemon.counts["b1"].opened == 2


def test_errors_of_a_port_are_counted_once(tmp_path: Path, port: SerialPort) -> None:
    counting = TallyFile(tmp_path / "tally.json")
    served = consoles_of(tmp_path, port, counting)
    served.serve()
    wait_for("the port is open", lambda: served.counts["b1"].opened == 1)
    port.unplug()
    wait_for("it is gone", lambda: served.counts["b1"].errors == 1)
    for _ in range(2):
        served.serve()
    served.close()
    assert [(m.name, labels, s.value) for m, labels, s in counting.read().all()] == [
        ("serial_errors", ("b1",), 1.0)
    ]


def test_replies_of_mlperf_are_not_for_people(daemon: BenchConsoles, port: SerialPort) -> None:
    watched = daemon.watch("b1")
    held = daemon.open_for_mlperf("b1", 115_200)
    port.says(b"m-results-[0.5]\r\nm-ready\r\na line\n")
    assert held.read(WAIT_S).startswith(b"m-results")
    ConsoleExpecter("b1", watched, SystemClock()).expect("a line", WAIT_S)
    held.close()
    watched.close()
    daemon.close()
    texts = [line.text for line in read_log(daemon.folder, "b1")]
    assert "a line" in texts and not any(text.startswith("m-") for text in texts)


def test_without_a_hub_the_port_is_opened_itself(other: BenchConsoles, port: SerialPort) -> None:
    console = other.open("b1", 115_200)
    console.write(b"direct")
    assert port.hears(6) == b"direct"
    with pytest.raises(BoardBusyError, match="in use by another program"):
        other.open("b1", 115_200)
    console.set_baud(9600)
    console.close()
    with pytest.raises(AgentError, match="the bench has no board 'x'"):
        other.open("x", 115_200)


def test_a_hub_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path, port: SerialPort) -> None:
    folder = tmp_path / "consoles"
    folder.mkdir()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(os.path.relpath(folder / "b1.sock"))
    dead.close()
    first, second = consoles_of(tmp_path, port), consoles_of(tmp_path, port)
    first.open("b1", 115_200).close()
    first.serve()
    second.serve()
    assert (list(first.counts), list(second.counts)) == (["b1"], [])
    first.close()
    second.serve()
    assert list(second.counts) == ["b1"], "whoever comes next takes over"
    second.close()


def test_a_watcher_that_sleeps_loses_lines_and_the_board_waits_for_nobody(
    daemon: BenchConsoles, port: SerialPort
) -> None:
    asleep, awake = daemon.watch("b1"), daemon.watch("b1")
    expecter = ConsoleExpecter("b1", awake, SystemClock())
    begun_s = time.monotonic()
    count = 20_000
    for first in range(0, count, 100):
        port.says(b"".join(b"line %d %s\n" % (i, b"x" * 30) for i in range(first, first + 100)))
        expecter.expect(f"line {first + 99} ", WAIT_S)
    assert time.monotonic() - begun_s < TIMEOUT_S
    events = list(iter(lambda: asleep.next(1), None))
    lost = sum(event.count for event in events if isinstance(event, LostLines))
    lines = [event for event in events if isinstance(event, ConsoleLine)]
    assert lost > 1000 and lost + len(lines) == count
    assert lines[-1].text.startswith(f"line {count - 1} ")
    asleep.close()
    awake.close()
    daemon.close()
    kept = [line for line in read_log(daemon.folder, "b1") if not line.text.startswith("-- ")]
    assert len(kept) == count


def test_nothing_leaks(tmp_path: Path, port: SerialPort) -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    before = held()
    for _ in range(3):
        served = consoles_of(tmp_path, port)
        served.serve()
        for _ in range(10):
            watched, hold = served.watch("b1", 5), served.open("b1", 115_200)
            with pytest.raises(BoardBusyError):
                served.open("b1", 115_200)
            hold.close()
            watched.close()
        served.close()
    wait_for("all is given back", lambda: held() == before)


def test_another_program_has_it_as_a_terminal(tmp_path: Path, port: SerialPort) -> None:
    """And keeps its terminal while the board's port comes and goes."""
    consoles = consoles_of(tmp_path, port)
    notes: list[str] = []
    terminal = ConsoleTerminal(lambda: consoles.open("b1", 115_200), notes.append)
    stop = threading.Event()
    thread = threading.Thread(target=terminal.serve, args=(stop,), daemon=True)
    thread.start()
    try:
        program = serial.Serial(terminal.path, 115_200, timeout=WAIT_S)
        for number in range(2):
            wait_for("it is there", lambda n=number: notes.count("the board's console is there") == n + 1)
            program.write(b"\0name%\n")
            assert port.hears(7) == b"\0name%\n"
            port.says(b"m-ready\r\n\0\x80")
            assert program.read(11) == b"m-ready\r\n\0\x80"
            if number == 0:
                port.unplug()
                wait_for("it is gone", lambda: len(notes) >= 2)
                port.plug()
        program.close()
    finally:
        stop.set()
        thread.join(WAIT_S)
        terminal.close()
        consoles.close()


def test_a_socket_that_restarts(tmp_path: Path) -> None:
    """As QEMU's: another port number each time, one client, and no word of goodbye."""
    address = ""

    def listening() -> socket.socket:
        nonlocal address
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(WAIT_S)
        address = f"socket://127.0.0.1:{server.getsockname()[1]}"
        return server

    spec = BoardSpec(name="b1", device_type="microbit", probe="qemu-microbit-0001")
    server = listening()
    consoles = BenchConsoles([spec], tmp_path, lambda spec: address, SerialConsoles(), SystemClock())
    try:
        watched = consoles.watch("b1")
        expecter = ConsoleExpecter("b1", watched, SystemClock())
        for number in range(2):
            board, _ = server.accept()
            server.close()
            # pyserial forgets what came before it was ready.
            wait_for("the port is open", lambda n=number: consoles.counts["b1"].opened == n + 1)
            board.sendall(b"start %d\n" % number)
            expecter.expect(f"start {number}", WAIT_S)
            server = listening()
            board.close()
        server.close()
        watched.close()
    finally:
        consoles.close()
