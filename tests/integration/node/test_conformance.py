"""The conformance test of docs/porting.md, run on the ports that can run here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyocd_qemu.process import QemuProcess
from pyocd_qemu.qmp import QmpLink
from tests.integration.node.conftest import AN386, AN500, ROOT, Board, Node, Workshop, built
from tests.integration.node.test_posix import AS_PROCESS, ProcessNode
from tests.posix_node import PosixNode
from tests.servers import Mosquitto, wait_for

from tinyfleet.agent.adapters.emulator import EmulatedNode

pytestmark = pytest.mark.broker
CHECKS = 15


def results(console: str) -> dict[int, str]:
    """What each check's line says, by its number; a later start's lines come behind an earlier one's."""
    lines = re.findall(r"^((?:not )?ok) (\d+) - ([^\n]*)$", console, re.M)
    assert len(lines) == len({number for _, number, _ in lines}), console
    return {int(number): f"{word} {what}" for word, number, what in lines}


def skipped(console: str) -> set[int]:
    found = results(console)
    assert sorted(found) == list(range(1, CHECKS + 1)), console
    failed = [line for line in found.values() if not line.startswith("ok ")]
    assert not failed and "Bail out!" not in console, console
    return {number for number, line in found.items() if "# SKIP" in line}


@pytest.fixture(scope="module")
def nrf51_elf() -> Path:
    """Nothing but this test needs it: built here."""
    paths = [f"-D{name}={os.environ[name]}" for name in ("TINYFLEET_BEARSSL",) if name in os.environ]
    for command in (["--preset", "nrf51-qemu", *paths], ["--build", "--preset", "nrf51-qemu", "-j", "2"]):
        done = subprocess.run(
            ["cmake", *command],
            cwd=ROOT / "firmware",
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return ROOT / "build/firmware/nrf51-qemu/apps/conformance/conformance.elf"


@pytest.fixture
def emulated(board: Board, workshop: Workshop, broker: Mosquitto, tmp_path: Path) -> Iterator[Node]:
    machine = board.memory.board
    emulator = EmulatedNode(
        flash=tmp_path / "flash.bin",
        kernel=built(board.build / "apps/conformance/conformance.elf"),
        state_dir=tmp_path / "board",
        machine=machine,
    )
    node = Node(emulator, emulator.flash, broker.port, (workshop.key_hash(),), b"", board.memory)
    node.provision()
    yield node
    emulator.stop()


@pytest.mark.qemu
@pytest.mark.parametrize("board", [AN386, AN500], indirect=True, ids=lambda board: board.memory.board)
def test_an_emulated_board_conforms(emulated: Node) -> None:
    emulated.start()
    emulated.console(rf"^1\.\.{CHECKS}$")
    assert skipped(emulated.emulator.console()) == set()
    assert re.search(r"^#\d{158}$", emulated.emulator.console(), re.M), "a line of the console is cut"


@pytest.mark.parametrize("board", [AS_PROCESS], indirect=True, ids=lambda board: board.memory.board)
def test_a_process_conforms(board: Board, workshop: Workshop, broker: Mosquitto, tmp_path: Path) -> None:
    program = built(board.build / "ports/posix/tinyfleet-conformance")
    process: Any = PosixNode(tmp_path / "node", program)
    node = ProcessNode(process, process.flash, broker.port, (workshop.key_hash(),), b"", board.memory)
    node.provision()
    try:
        process.start()
        assert process.ended() == 70  # of a panic: whoever supervises it starts it again
        process.start()
        process.wait_for_line("^# cut the power now")
        written = node.flash.stat().st_mtime_ns
        wait_for("records to be written", lambda: node.flash.stat().st_mtime_ns > written)
        process.kill()
        process.start()
        process.wait_for_line(rf"^1\.\.{CHECKS}$")
    finally:
        process.stop()
    console = process.console(since_start=False)
    # No memory outlives a process, and its watchdog is systemd's.
    assert skipped(console) == {12, 14}
    assert re.search(r"^#\d{158}$", console, re.M)
    newest = re.search(r"record (\d+) is the newest", console)
    assert newest is not None and int(newest[1]) > 1


@pytest.mark.qemu
def test_the_nrf52840s_drivers_conform_on_a_chip_of_its_family(nrf51_elf: Path, tmp_path: Path) -> None:
    """QEMU's nRF51 has the same flash controller, timer and UART, but no watchdog: a reset from outside,
    which comes without a word as well, takes its part. The nRF52840 itself has not run."""
    log = tmp_path / "console.log"
    arguments = ["-M", "microbit", "-kernel", str(nrf51_elf), "-icount", "shift=6", "-nodefaults"]
    arguments += ["-display", "none", "-monitor", "none", "-serial", f"file:{log}"]
    board = QemuProcess("nrf51", arguments, tmp_path / "nrf51", lock_file=tmp_path / "lock")
    board.start()
    try:
        wait_for("the records", lambda: log.exists() and "# until the watchdog bites" in log.read_text())
        link = QmpLink(tmp_path / "nrf51" / "qmp.sock")
        link.reset()
        link.close()
        wait_for("the end", lambda: f"\n1..{CHECKS}\n" in log.read_text())
    finally:
        board.stop()
    console = log.read_text()
    assert skipped(console) == {10}
    assert re.search(r"^#\d{158}$", console, re.M), console


@pytest.mark.qemu
@pytest.mark.parametrize("board", [AN386], indirect=True, ids=lambda board: board.memory.board)
def test_without_a_broker_the_check_fails(emulated: Node, broker: Mosquitto) -> None:
    broker.end()
    emulated.start()
    emulated.console(rf"^1\.\.{CHECKS}$")
    found = results(emulated.emulator.console())
    assert [number for number, line in found.items() if line.startswith("not ok")] == [10]
