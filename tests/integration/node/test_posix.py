"""The node as a process on Linux: the same records, the same updates, killed and started again."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.integration.node.conftest import Board, Manager, Node, Release, Workshop, release
from tests.integration.node.test_update import confirm, goes_on_with
from tests.models import livestock
from tests.posix_node import BINARY, ROOT, PosixNode
from tests.servers import LOOPBACK, Mosquitto, free_port

from tinyfleet.fleet.core.flash import blank
from tinyfleet.wire.enums import (
    ArtifactKind,
    ClockSource,
    ConnState,
    CoreVariant,
    Result,
    Timing,
    UpdateState,
)
from tinyfleet.wire.limits import GROUP_BYTES
from tinyfleet.wire.memory_map import POSIX
from tinyfleet.wire.messages import (
    Birth,
    ConfigChange,
    ConfigReport,
    Conn,
    Event,
    Sleep,
    Status,
    Tele,
    Want,
)

AS_PROCESS = Board(POSIX, ROOT / "build/firmware/posix")
KILLS = 20
pytestmark = [pytest.mark.broker, pytest.mark.parametrize("board", [AS_PROCESS], indirect=True)]


class ProcessNode(Node):
    def provision(self, **changes: Any) -> None:
        self.flash.parent.mkdir(exist_ok=True)
        self.flash.write_bytes(blank(self.memory))
        self.write_records(**{"host": LOOPBACK} | changes)


@pytest.fixture
def bare_node(workshop: Workshop, broker: Mosquitto, board: Board, tmp_path: Path) -> Iterator[Node]:
    process: Any = PosixNode(tmp_path / "node")
    yield ProcessNode(process, process.flash, broker.port, (workshop.key_hash(),), b"", board.memory)
    process.stop()
    sys.stdout.write(f"--- console of the node\n{process.console(since_start=False)}")


def large(workshop: Workshop) -> Release:
    """About 100 KB."""
    image = workshop.sign(livestock("v2", vectors=214), "2.0.0", device_type=POSIX.board)
    return release(image, "2.0.0")


def test_birth_says_that_it_is_a_process(node: Node, manager: Manager) -> None:
    birth = manager.wait(Birth)
    assert (birth.device_type, birth.timing, birth.emulated) == ("posix", Timing.WALL, False)
    assert birth.core is CoreVariant.PORTABLE and birth.hw_rev
    # The system's packages replace the program, not the fleet.
    assert {slot.kind for slot in birth.slots} == {ArtifactKind.MODEL}
    assert birth.firmware.image is None and birth.firmware.slot is None
    assert birth.clock is not None and birth.clock.source is ClockSource.SYSTEM
    assert abs((birth.clock.unix_s or 0) - time.time()) < 10


def test_it_takes_a_model_infers_and_remembers(node: Node, manager: Manager, first: Release) -> None:
    status = confirm(manager, first, 1)
    assert status.transfer is None  # a process does not know its IP bytes
    tele = manager.wait(Tele, lambda t: t.inferences >= 10)
    assert tele.model == first.digest and sum(tele.classes) == tele.inferences
    node.emulator.kill()
    manager.forget()
    node.start()
    birth = manager.wait(Birth)
    assert (birth.boot, birth.generation) == (2, 1)
    assert birth.model is not None and birth.model.image == first.digest
    goes_on_with(manager, first)


def test_a_kill_in_midst_of_an_update_loses_no_sector(
    node: Node, manager: Manager, workshop: Workshop, first: Release
) -> None:
    confirm(manager, first, 1)
    new = large(workshop)
    manager.want(new.want(2))
    for boot, groups in ((2, 1), (3, 3)):
        manager.blob(new.blob, range(groups + 1))
        manager.wait(Status, lambda s, g=groups: s.generation == 2 and s.offset_bytes >= g * GROUP_BYTES)
        node.emulator.kill()
        manager.forget()
        node.start()
        birth = manager.wait(Birth, lambda b, n=boot: b.boot == n)
        assert (birth.state, birth.generation) == (UpdateState.DOWNLOADING, 2)
        assert birth.model is not None and birth.model.image == first.digest
        assert node.read("model_b", groups * GROUP_BYTES) == new.image[: groups * GROUP_BYTES]
    manager.blob(new.blob)
    manager.wait(Status, lambda s: s.generation == 2 and s.state is UpdateState.CONFIRMED)
    assert node.read("model_b", len(new.image)) == new.image
    assert node.read("model_a", len(first.image)) == first.image


def test_kills_at_random_moments_end_in_the_wanted_model(
    node: Node, manager: Manager, workshop: Workshop, first: Release
) -> None:
    """Twenty in a row while models are rolled out; each start runs one of the two, the last is confirmed."""
    chance = random.Random(20)  # noqa: S311 - to be repeated, not to be secret
    confirm(manager, first, 1)
    new = large(workshop)
    for each in (first, new):
        manager.blob(each.blob)
    generation = 1
    for kill in range(KILLS):
        if manager.heard(Birth)[-1].state >= UpdateState.CONFIRMED:
            generation += 1
            manager.want((new if generation % 2 == 0 else first).want(generation))
        time.sleep(chance.uniform(0, 0.25))  # the moment of the kill is what is tried, nothing is waited for
        node.emulator.kill()
        manager.forget()
        node.start()
        birth = manager.wait(Birth, lambda b, n=kill + 2: b.boot == n)
        assert birth.model is not None and birth.model.image in (first.digest, new.digest)
    manager.wait(Birth, lambda b: b.generation == generation and b.state is UpdateState.CONFIRMED)
    wanted = new if generation % 2 == 0 else first
    goes_on_with(manager, wanted)


def test_what_has_expired_is_not_begun(node: Node, manager: Manager, first: Release) -> None:
    """By the computer's own clock."""
    manager.blob(first.blob)
    manager.want(first.want(1, deadline=int(time.time()) - 60))
    status = manager.wait(Status, lambda s: s.generation == 1 and s.state is UpdateState.FAILED)
    assert status.result is Result.EXPIRED
    manager.want(first.want(2, deadline=int(time.time()) + 600))
    manager.wait(Birth, lambda b: b.generation == 2 and b.state is UpdateState.CONFIRMED)


def test_a_firmware_is_refused(node: Node, manager: Manager, first: Release) -> None:
    manager.blob(first.blob)
    wanted = first.blob.wanted(image=first.digest, version="9.0.0")
    manager.want(Want(generation=1, firmware=wanted))
    status = manager.wait(Status, lambda s: s.generation == 1)
    assert (status.state, status.result) == (UpdateState.FAILED, Result.UNSUPPORTED_TYPE)


def test_the_broker_goes_and_comes(node: Node, manager: Manager, broker: Mosquitto) -> None:
    broker.end(signal.SIGKILL)
    node.console("mqtt: connection lost")
    manager.forget()
    broker.start()
    manager.wait_until_connected()
    assert manager.wait(Conn).conn > 1


def test_another_configuration_is_tried_and_one_that_reaches_nobody_is_not_kept(
    node: Node, manager: Manager
) -> None:
    manager.want(Want(generation=0, config=ConfigChange(sequence=1, keepalive_s=20)))
    manager.wait(Birth, lambda birth: birth.config == ConfigReport(sequence=1))
    manager.want(Want(generation=0, config=ConfigChange(sequence=2, port=free_port())))
    birth = manager.wait(Birth, lambda birth: birth.config is not None and birth.config.refused == 2, 60.0)
    assert birth.config is not None and birth.config.sequence == 1


def test_it_sleeps_between_two_connections(bare_node: Node, manager: Manager) -> None:
    """Its network is the system's: only the connection ends, inference goes on."""
    bare_node.provision(sleep=Sleep(wake_s=1))
    bare_node.start()
    manager.wait(Conn, lambda c: c.conn == 2 and c.state is ConnState.ASLEEP)
    said = [(c.conn, c.state) for c in manager.heard(Conn) if c.conn <= 2]
    assert said == [(n, state) for n in (1, 2) for state in (ConnState.ONLINE, ConnState.ASLEEP)]


def test_without_a_model_a_birth_each_period_says_that_it_is_there(bare_node: Node, manager: Manager) -> None:
    bare_node.provision(period_s=1)
    bare_node.start()
    third = manager.wait(Birth, lambda b: b.seq == 2)
    assert third.model is None and third.uptime_ms >= 2000
    assert manager.heard(Tele) == []


def test_waiting_costs_next_to_nothing(bare_node: Node, manager: Manager) -> None:
    bare_node.provision(period_s=60)
    bare_node.start()
    manager.wait(Birth)
    process: Any = bare_node.emulator
    watched = psutil.Process(process.process.pid)
    before, begun = sum(watched.cpu_times()[:2]), watched.num_ctx_switches().voluntary
    time.sleep(2)  # what is spent while nothing happens is what is measured
    assert sum(watched.cpu_times()[:2]) - before <= 0.02  # two ticks of the system's accounting
    assert watched.num_ctx_switches().voluntary - begun < 20


def test_two_processes_do_not_share_a_flash(node: Node) -> None:
    second = subprocess.run(
        [str(BINARY), "--state", str(node.flash.parent)],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert second.returncode == 1
    assert "another process uses the flash" in second.stderr and str(node.flash) in second.stderr


def test_what_it_cannot_use_is_said(bare_node: Node, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BINARY), *arguments], capture_output=True, text=True, timeout=10, check=False
        )

    assert run().returncode == 2 and run("--help").returncode == 0
    assert "usage: tinyfleet-node --state DIR" in run("--help").stdout
    missing = run("--state", str(tmp_path / "no" / "such"))
    assert missing.returncode == 1 and "cannot make the state folder" in missing.stderr
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "flash.bin").write_bytes(b"short")
    other = run("--state", str(tmp_path / "node"))
    assert other.returncode == 1 and "provision again" in other.stderr


def test_without_records_it_says_so_and_rests(bare_node: Node) -> None:
    bare_node.start()
    bare_node.console("trust record at 0x000000: there is none")
    bare_node.console("stopped: not provisioned")
    assert bare_node.emulator.is_alive()
    assert bare_node.flash.stat().st_mode & 0o077 == 0
    assert bare_node.flash.stat().st_size == POSIX.size_bytes


def test_systemds_watchdog_is_fed_and_its_bite_is_told(
    bare_node: Node, manager: Manager, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.settimeout(10)
        notified.bind(str(tmp_path / "notify"))
        bare_node.provision()
        process: Any = bare_node.emulator
        process.start({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"})
        assert notified.recv(100) == b"READY=1"
        assert [notified.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        manager.wait(Birth)
        process.process.send_signal(signal.SIGABRT)  # what systemd does to one that is silent
        assert process.ended() == -signal.SIGABRT
    manager.forget()
    bare_node.start()
    event = manager.wait(Event, lambda e: e.text is not None)
    assert event.text is not None and event.text.startswith("WATCHDOG")
