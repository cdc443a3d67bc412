"""How a running agent is: its rounds, its metrics, its health, and what systemd is told."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.servers import LOOPBACK, free_port, wait_for

from tinyfleet.agent.adapters import metrics, unix_socket
from tinyfleet.agent.adapters.health_door import ask, health_door, sole_agent
from tinyfleet.agent.adapters.service_manager import ServiceManager
from tinyfleet.agent.cli import cli
from tinyfleet.agent.cli.common import fail
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.broker import DAY_S, Validity
from tinyfleet.agent.core.errors import AgentBusyError, AgentError, StepFailed
from tinyfleet.agent.core.health import DISK_MIN_BYTES, ROUND_MAX_S, Health
from tinyfleet.agent.core.tally import FLASH_SECONDS, FLASHES, METER_LOST, Tally
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services import watch
from tinyfleet.agent.services.watch import Rounds, Watch
from tinyfleet.wire.enums import BoardState


class Alone:
    """No link to a manager."""

    def connected(self) -> None:
        return None

    def certificates(self) -> dict[str, Validity]:
        return {}


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> int:
        return 0


def well() -> Health:
    return Health("lab-1", {"one": BoardState.READY}, 0.5, {}, True, DISK_MIN_BYTES)


def test_an_agent_that_is_well_has_no_reasons() -> None:
    assert well().reasons() == []
    assert well().to_json()["status"] == "ok"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"round_age_s": ROUND_MAX_S + 1}, "it hangs"),
        ({"trouble": {"inventory": "USB went away"}}, "inventory: USB went away"),
        ({"connected": False}, "not connected to the manager"),
        (
            {"connected": False, "unlinked": {"lab-1": "it was revoked"}},
            "not connected to the manager: it was revoked",
        ),
        ({"unlinked": {"barn-1": "no broker"}}, "barn-1: no broker"),
        (
            {"certificates": {"lab-1": Validity(0, 900 * DAY_S)}, "unix_s": 890 * DAY_S},
            "the certificate of lab-1 ends in 10.0 days",
        ),
        ({"disk_free_bytes": DISK_MIN_BYTES - 1}, "199 MiB of disk left"),
        ({"boards": {"a": BoardState.QUARANTINED, "b": BoardState.READY}}, "QUARANTINED: a"),
        ({"boards": {"a": BoardState.ABSENT, "b": BoardState.ABSENT}}, "ABSENT: a, b"),
    ],
)
def test_each_trouble_is_a_reason(change: dict[str, object], reason: str) -> None:
    fields = {name: getattr(well(), name) for name in Health.__dataclass_fields__}
    found = Health(**fields | change).reasons()  # type: ignore[arg-type]
    assert len(found) == 1
    assert reason in found[0]


def test_working_alone_is_no_trouble() -> None:
    assert Health("a", {}, 0, {}, None, DISK_MIN_BYTES).reasons() == []


def test_a_round_that_hangs_grows_old_and_one_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "WATCH_S", 0.001)
    clock, stop, inside, go_on = Clock(), threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        go_on.wait(20)

    def fail() -> None:
        raise StepFailed("one", "list", "USB went away", "try again")

    watching = Watch({"looking": fail, "hanging": hang}, clock, stop.set)
    assert watching.rounds().count == 0
    thread = threading.Thread(target=watching.run, args=(stop,))
    thread.start()
    assert inside.wait(20)
    clock.now_s += 60
    assert watching.rounds().age_s == 60
    go_on.set()
    thread.join(20)
    done = watching.rounds()
    assert (done.count, done.age_s) == (1, 0)
    assert done.trouble == {"looking": "one: list: USB went away; try again"}


def test_a_failure_nobody_thought_of_is_logged_and_the_other_duties_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "WATCH_S", 0.001)
    stop, rounds = threading.Event(), []

    def other() -> None:
        rounds.append(None)
        if len(rounds) == 3:
            stop.set()

    def broken() -> None:
        raise ZeroDivisionError("nobody thought of it")

    watching = Watch({"broken": broken, "other": other}, Clock())
    with caplog.at_level(logging.ERROR):
        watching.run(stop)
    assert len(rounds) == 3
    assert watching.rounds().trouble == {"broken": "ZeroDivisionError: nobody thought of it"}
    assert caplog.text.count("Traceback") == 1, "told when it changes, not at every round"


def test_who_asks_gets_one_document(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30) / "health.sock"
    with health_door(path, lambda: {"status": "ok"}):
        assert path.stat().st_mode & 0o777 == 0o600
        # Whoever connects and says nothing holds up nobody for long.
        with unix_socket.connect(path, 1):
            assert ask(path) == {"status": "ok"}
    with pytest.raises(AgentError, match="no agent runs here"):
        ask(path)


def test_the_door_stays_open_through_a_moment_without_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "health.sock"
    accept, fails = socket.socket.accept, iter([OSError(24, "Too many open files")])

    def accepting(door: socket.socket) -> tuple[socket.socket, object]:
        for error in fails:
            raise error
        return accept(door)

    asked = 0

    def health() -> dict[str, object]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("a mistake of ours")
        return {"status": "ok"}

    monkeypatch.setattr(socket.socket, "accept", accepting)
    with health_door(path, health):
        with pytest.raises(AgentError, match="broke off"):
            ask(path)
        assert ask(path) == {"status": "ok"}


def test_what_a_killed_agent_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "health.sock"
    left = unix_socket.listen(path)
    left.close()
    with pytest.raises(AgentError, match="no agent runs here"):
        ask(path)
    with health_door(path, dict):
        assert ask(path) == {}


def test_a_second_agent_of_a_state_folder_is_refused(tmp_path: Path) -> None:
    lock = Folders(tmp_path).lock
    with sole_agent(lock), pytest.raises(AgentBusyError, match="already runs"), sole_agent(lock):
        pass
    with sole_agent(lock):
        pass


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"@tinyfleet-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + name[1:] if abstract else name)
        heard.settimeout(10)
        manager = ServiceManager({"NOTIFY_SOCKET": name})
        manager.ready()
        manager.alive()
        manager.stopping()
        assert [heard.recv(99) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_systemd_nothing_is_told(tmp_path: Path) -> None:
    ServiceManager({}).ready()
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Agent, str]]:
    """A running agent with one board that is not there, and where its metrics are."""
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    address = f"{LOOPBACK}:{free_port()}"
    text = f"metrics: {address}\nboards: [{{name: one, device_type: microbit, probe: qemu-microbit-0001}}]"
    stop = threading.Event()
    with Agent(parse_bench(text, "b"), Folders(tmp_path)) as made:
        serving = threading.Thread(target=made.serve, args=(stop,))
        serving.start()
        try:
            wait_for("the health door", made.folders.health.exists)
            yield made, address
        finally:
            stop.set()
            serving.join(20)


def test_metrics_show_boards_and_what_every_program_counted(agent: tuple[Agent, str]) -> None:
    made, address = agent
    made.counting.add(FLASHES, board="one", outcome="OK")
    made.counting.observe(FLASH_SECONDS, 0.3, device_type="microbit")
    made.counting.add(METER_LOST, 7, board="one", meter="PPK2 simulated", simulated="true")

    def scrape() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    absent = (
        'tinyfleet_bench_board_state{board="one",device_type="microbit",emulated="true",state="ABSENT"} 1.0'
    )
    wait_for("the board's state", lambda: absent in scrape())
    text = scrape()
    for line in (
        'tinyfleet_bench_flashes_total{board="one",outcome="OK"} 1.0',
        'tinyfleet_bench_flash_seconds_bucket{device_type="microbit",le="0.2"} 0.0',
        'tinyfleet_bench_flash_seconds_bucket{device_type="microbit",le="0.5"} 1.0',
        'tinyfleet_bench_flash_seconds_count{device_type="microbit"} 1.0',
        'tinyfleet_bench_meter_lost_samples_total{board="one",meter="PPK2 simulated",simulated="true"} 7.0',
        "tinyfleet_bench_rounds_total ",
        "process_open_fds ",
    ):
        assert line in text
    assert "manager_connected" not in text, "it works alone"
    command = ["promtool", "check", "metrics"]
    told = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_health_command_says_what_is_wrong(agent: tuple[Agent, str]) -> None:
    made, _ = agent
    words = ["agent", "health", "--state", str(made.folders.state)]

    def told() -> str:
        done = CliRunner().invoke(cli, words)
        # Before its first round the agent knows nothing of its boards, and no trouble.
        return done.output if done.exit_code == 1 else ""

    wait_for("the board's state", lambda: "ABSENT: one" in told())
    document = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    assert document["status"] == "troubled"
    assert document["boards"] == {"one": "ABSENT"}


def test_the_health_command_without_an_agent(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["agent", "health", "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert "no agent runs here" in done.output


def test_who_says_nothing_to_the_metrics_port_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_IDLE_S", 0.1)
    address = f"{LOOPBACK}:{free_port()}"
    collector = metrics.BenchCollector(list, Tally, lambda: Rounds(0, 0.0, {}), Alone())
    with (
        metrics.metrics_server(address, collector),
        socket.create_connection((LOOPBACK, int(address.rpartition(":")[2])), 10) as idle,
    ):
        idle.settimeout(10)
        assert idle.recv(1) == b""
        # And who asks is answered.
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            assert b"tinyfleet_bench_rounds_total" in answer.read()


def test_what_is_told_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail("the manager says: \x1b[2J\x07all is well\nand a line of ours")
    assert capsys.readouterr().err == (
        "tinyfleet: the manager says: \\x1b[2J\\x07all is well\nand a line of ours\n"
    )


def test_a_port_that_is_taken_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        address = f"{LOOPBACK}:{taken.getsockname()[1]}"
        text = f"metrics: {address}\nboards: [{{name: one, device_type: x, probe: qemu-microbit-0001}}]"
        with (
            Agent(parse_bench(text, "b"), Folders(tmp_path)) as made,
            pytest.raises(AgentError, match=address),
        ):
            made.serve(threading.Event())
    assert not made.folders.health.exists()
