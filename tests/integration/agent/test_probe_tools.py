"""Other people's tools on emulated boards: pyOCD's command line, gdb through its server, RTT by its API."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyocd.core.helpers import ConnectHelper
from pyocd.core.target import Target
from pyocd.debug.rtt import RTTControlBlock
from pyocd_qemu.board import Board
from tests.integration.agent.bench_rig import Program
from tests.integration.agent.probe_rig import PLACES, program, session
from tests.servers import wait_for

pytestmark = pytest.mark.qemu
SOURCE = Path(__file__).with_name("rtt_echo.c")
TIMEOUT_S = 60
GDB = shutil.which("gdb-multiarch") or shutil.which("arm-none-eabi-gdb")


@pytest.fixture(params=["microbit", "mps3-an547"])
def board(request: pytest.FixtureRequest, boards_root: Path) -> Iterator[Board]:
    machine = str(request.param)
    with Board(f"qemu-{machine}-0001", machine) as board:
        yield board


@pytest.fixture
def echo(board: Board, tmp_path: Path) -> tuple[Path, bytes]:
    """The echo program for this board: its ELF file, to be loaded where its flash is, and the bytes there."""
    flash, code, data, _ = PLACES[board.machine.name]
    run, elf, binary = (tmp_path / f"echo.{kind}" for kind in ("run", "elf", "bin"))
    compiler = ["arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb", "-Os", "-g", "-ffreestanding", "-nostdlib"]
    places = [
        f"-Wl,--section-start=.vectors={code:#x}",
        f"-Wl,-Ttext={code + 0x100:#x}",
        f"-Wl,-Tbss={data:#x}",
    ]
    stack = f"-DSTACK={data + 0x2000:#x}"
    _run(*compiler, *places, "-Wl,-e,start", stack, "-o", str(run), str(SOURCE))
    cut = ["arm-none-eabi-objcopy", "-R", ".ARM.exidx"]
    _run(*cut, "-O", "binary", "--gap-fill", "0xff", str(run), str(binary))
    _run(*cut, f"--change-section-lma=*+{flash - code:#x}", str(run), str(elf))
    return elf, binary.read_bytes()


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def pyocd(*arguments: str) -> str:
    return _run(sys.executable, "-m", "pyocd", *arguments)


def test_the_stock_command_line(board: Board, echo: tuple[Path, bytes]) -> None:
    unique_id = board.unique_id
    elf, image = echo
    flash, _, data, _ = PLACES[board.machine.name]
    # The probe names its chip: no -t. A program's ELF file says where it goes.
    pyocd("flash", "-u", unique_id, str(elf))
    with session(board, connect_mode="attach") as opened:
        assert bytes(opened.target.read_memory_block8(flash, len(image))) == image
    shown = pyocd(
        *("commander", "-u", unique_id, "-c", "halt", "-c", f"write32 {data + 0x1000:#x} 0x1234abcd"),
        *("-c", f"read32 {data + 0x1000:#x}", "-c", "status", "-c", "reset halt", "-c", "reg pc"),
    )
    assert "1234abcd" in shown and "Halted" in shown
    if board.machine.name != "microbit":
        return  # What follows is the same for all, and each command takes a second.
    listed = pyocd("list").replace("\n", " ")
    assert re.search(rf"QEMU emulated {board.machine.name} .*{unique_id}", listed)
    pyocd("reset", "-u", unique_id)
    pyocd("erase", "-u", unique_id, "--sector", f"{flash:#x}")
    with session(board) as opened:
        assert bytes(opened.target.read_memory_block8(flash, 64)) == b"\xff" * 64


def test_boards_by_a_command(tmp_path: Path, boards_root: Path) -> None:
    """tinyfleet bench emulate: another program's pyOCD sees them, until it ends."""
    words = ["bench", "emulate", "--machine", "mps2-an500", "--count", "2", "--json"]
    ids = ["qemu-mps2-an500-0001", "qemu-mps2-an500-0002"]
    running = Program(tmp_path / "emulate.log", {}, *words, "--state", str(tmp_path))
    try:
        running.wait_for("Ctrl-C ends them")
        found = ConnectHelper.get_all_connected_probes(blocking=False)
        assert [probe.unique_id for probe in found] == ids
        listed = json.loads((tmp_path / "emulate.log").read_text().partition("Their time")[0])
        assert [each["probe"] for each in listed] == ids
        assert all(each["console"].startswith("socket://127.0.0.1:") for each in listed)
    finally:
        status = running.end()
    assert status == 0
    assert ConnectHelper.get_all_connected_probes(blocking=False, print_wait_message=False) == []


def test_rtt(board: Board, echo: tuple[Path, bytes]) -> None:
    """The control block is found in RAM, and both ways work while the core runs."""
    flash, _, data, _ = PLACES[board.machine.name]
    with session(board) as opened:
        program(opened, flash, echo[1])
        opened.target.reset()
        wait_for("the program", lambda: bytes(opened.target.read_memory_block8(data, 10)) == b"SEGGER RTT")
        block = RTTControlBlock.from_target(opened.target, data, 0x1000)
        block.start()
        heard = bytearray()
        for text in (b"Hello, board", b"a second time", b"and round the ring"):
            sent = 0
            while sent < len(text):
                sent += block.down_channels[0].write(text[sent:])
                heard += block.up_channels[0].read()
        wait_for("the echo", lambda: heard.extend(block.up_channels[0].read()) or len(heard) >= 43)
        assert bytes(heard) == bytes(c ^ 0x20 for c in b"Hello, boarda second timeand round the ring")
        assert opened.target.get_state() is Target.State.RUNNING


def test_flash_while_it_runs(board: Board, echo: tuple[Path, bytes]) -> None:
    flash, _, data, _ = PLACES[board.machine.name]
    with session(board) as opened:
        program(opened, flash, echo[1])
        opened.target.reset()
    with session(board, connect_mode="attach") as opened:
        assert opened.target.get_state() is Target.State.RUNNING
        program(opened, flash + 0x8000, b"more" * 500)
        opened.target.reset()
        wait_for("the program", lambda: bytes(opened.target.read_memory_block8(data, 10)) == b"SEGGER RTT")
        assert bytes(opened.target.read_memory_block8(flash + 0x8000, 2000)) == b"more" * 500


@contextmanager
def gdbserver(board: Board, folder: Path) -> Iterator[int]:
    """`pyocd gdbserver`; its port."""
    log = folder / "gdbserver.log"
    command = [sys.executable, "-m", "pyocd", "gdbserver", "-u", board.unique_id, "-p", "0", "-T", "0"]
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder)
    try:

        def port() -> int:
            assert child.poll() is None, log.read_text()
            found = re.search(r"GDB server (?:started|listening) (?:on|at) port (\d+)", log.read_text())
            return int(found[1]) if found else 0

        yield wait_for("the server's port", port)
    finally:
        child.kill()
        child.wait(TIMEOUT_S)


@pytest.mark.skipif(
    GDB is None, reason="no gdb-multiarch, no arm-none-eabi-gdb: `make setup` says why it installed none"
)
def test_gdb(board: Board, echo: tuple[Path, bytes], tmp_path: Path) -> None:
    """Loads, stops, looks, changes, steps and goes on, as at a board on the desk."""
    typed = "set var down_data[block.down.written] = '{}'", "set var block.down.written = {}"
    commands = [
        *("set confirm off", "set remotetimeout 20", f"file {tmp_path / 'echo.run'}"),
        "target extended-remote :{port}",
        *(f"load {echo[0]}", "monitor reset halt", "tbreak start", "continue"),
        # Its memory is the program's own from here on: characters are put where RTT would.
        *("tbreak look", "continue", typed[0].format("x"), typed[1].format(1)),
        *("tbreak turn", "continue", "print character", "stepi", "finish", "print counted"),
        *(typed[0].format("y"), typed[1].format(2), "watch counted", "continue", "print counted"),
        *("print (char) up_data[1]", "set var counted = 70", "print counted", "info registers pc xpsr"),
        *("monitor status", "detach"),
    ]
    with gdbserver(board, tmp_path) as port:
        assert GDB is not None
        words = [word for each in commands for word in ("-ex", each.format(port=port))]
        said = _run(GDB, "-nx", "-batch", *words)
    for expected in (
        "Loading section .text",
        "Temporary breakpoint 1, start ()",
        "Temporary breakpoint 2, look ()",
        "turn (character=120 'x')",
        "$1 = 120 'x'",
        "$2 = 1\n",
        "Hardware watchpoint",
        "Program received signal SIGTRAP",
        "$3 = 2\n",
        "$4 = 89 'Y'",
        "$5 = 70\n",
    ):
        assert expected in said, f"{expected!r} is not in: {said}"


class RemoteProtocol:
    """gdb's remote serial protocol by hand: what every gdb says, for machines without one."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S / 4)
        self._buffer = b""

    def ask(self, packet: str) -> str:
        self._send(packet)
        return self._receive()

    def monitor(self, command: str) -> None:
        """What it prints may come in packets of its own, before the answer."""
        said = self.ask("qRcmd," + command.encode().hex())
        while said.startswith("O") and said != "OK":
            said = self._receive()

    def _send(self, packet: str) -> None:
        body = packet.encode()
        self._socket.sendall(b"$" + body + f"#{sum(body) & 0xFF:02x}".encode())

    def _receive(self) -> str:
        while not (found := re.search(rb"\$([^#]*)#[0-9a-f]{2}", self._buffer)):
            got = self._socket.recv(1 << 16)
            assert got, "the server ended the line"
            self._buffer += got
        self._buffer = self._buffer[found.end() :]
        self._socket.sendall(b"+")
        return found[1].decode(errors="replace")

    def close(self) -> None:
        self._socket.close()


def test_the_gdb_servers_protocol(board: Board, echo: tuple[Path, bytes], tmp_path: Path) -> None:
    """Without a gdb: spoken by hand, not gdb itself."""
    flash, _, data, _ = PLACES[board.machine.name]
    start = int.from_bytes(echo[1][4:8], "little") & ~1
    with session(board) as opened:
        program(opened, flash, echo[1])
    with gdbserver(board, tmp_path) as port:
        line = RemoteProtocol(port)
        assert "PacketSize" in line.ask("qSupported:multiprocess+;xmlRegisters=arm;hwbreak+;vContSupported+")
        assert line.ask("?").startswith("T")
        line.monitor("reset halt")
        assert line.ask(f"m{flash:x},4") == echo[1][:4].hex()
        assert line.ask(f"Z1,{start:x},2") == "OK"
        assert line.ask("vCont;c").startswith("T05")
        registers = line.ask("g")
        assert int.from_bytes(bytes.fromhex(registers)[60:64], "little") == start
        assert line.ask(f"z1,{start:x},2") == "OK"
        assert line.ask("vCont;s:1").startswith("T05")
        assert int.from_bytes(bytes.fromhex(line.ask("g"))[60:64], "little") in (start + 2, start + 4)
        assert line.ask(f"M{data + 0x1000:x},4:01020304") == "OK"
        assert line.ask(f"m{data + 0x1000:x},4") == "01020304"
        assert line.ask("D") == "OK"
        line.close()
