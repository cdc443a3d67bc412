"""Emulated boards that hang are brought back by the agent that watches them; a neighbour runs on."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyocd_qemu import registry
from pyocd_qemu.qmp import QmpLink
from tests.integration.agent.bench_rig import BENCH_ELF
from tests.models import livestock
from tests.servers import wait_for

from tinyfleet.agent.adapters.part_files import load_parts
from tinyfleet.agent.cli import cli
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import QuarantinedError
from tinyfleet.agent.core.recovery import Condition, Limits
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services import console_client, heartbeat
from tinyfleet.wire.enums import BoardState

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(180)]
BOARD, NEIGHBOUR = "b1", "b2"
BRANCH_TO_ITSELF, UNDEFINED = b"\xfe\xe7", b"\x00\xde"
SETTLED_S = 60.0


def bench_yaml(model: Path) -> str:
    return f"""\
boards:
  - name: {BOARD}
    device_type: microbit
    probe: qemu-microbit-0001
    emulate: microbit
    switch: {{kind: emulated}}
    known_good: {{firmware: {BENCH_ELF}, model: {model}}}
  - {{name: {NEIGHBOUR}, device_type: microbit, probe: qemu-microbit-0002, emulate: microbit}}
"""


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """Serving, with the bench app on both boards, both seen alive."""
    if not BENCH_ELF.is_file():
        pytest.fail(f"there is no {BENCH_ELF}: build the firmware with `make setup`")
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "boards"))
    monkeypatch.setattr(heartbeat, "ATTEMPTS", 1)
    monkeypatch.setattr(console_client, "HELLO_TIMEOUT_S", 0.7)
    model = tmp_path / "v1.model"
    model.write_bytes(livestock("v1", vectors=4))
    (tmp_path / "bench.yaml").write_text(bench_yaml(model))
    limits = Limits(beat_every_s=0.5, pause_first_s=1.0)
    stop = threading.Event()
    with Agent(parse_bench(bench_yaml(model), "b"), Folders(tmp_path), limits=limits) as agent:
        agent.start_boards()
        parts = load_parts("microbit", firmware=BENCH_ELF, model=model)
        watch = threading.Thread(target=agent.serve, args=(stop,))
        for board in (BOARD, NEIGHBOUR):
            agent.flash(board, parts)
            assert agent.recovery.recover(board).state is Condition.ALIVE
        watch.start()
        try:
            yield agent
        finally:
            stop.set()
            watch.join(20)


def overwrite(agent: Agent, instruction: bytes) -> None:
    """Most of the app becomes that one instruction."""
    with agent.leases.use(BOARD, "sabotage", SETTLED_S):
        session = agent.probes.open("qemu-microbit-0001")
        program = {address: instruction * 512 for address in range(0x1000, 0x6000, 1024)}
        session.program(program, lambda part: None)
        session.close()


def brought_back(agent: Agent, count: int) -> None:
    def back() -> bool:
        patient = agent.recovery.patient(BOARD)
        return patient.recoveries == count and patient.state is Condition.ALIVE

    wait_for(f"recovery {count}", back, SETTLED_S)


def test_boards_come_back_whatever_happened_to_them(agent: Agent, tmp_path: Path) -> None:
    folder = registry.root() / "qemu-microbit-0001"
    neighbour = (registry.root() / "qemu-microbit-0002" / "qemu.pid").read_text()

    os.kill(int((folder / "qemu.pid").read_text()), signal.SIGKILL)
    brought_back(agent, 1)
    assert agent.recovery.patient(BOARD).rung is Condition.SOFT_RESET

    # A firmware that hangs in a loop: its core runs, and a reset does not help.
    overwrite(agent, BRANCH_TO_ITSELF)
    brought_back(agent, 2)
    assert agent.recovery.patient(BOARD).rung is Condition.REFLASH

    # A core that stands still.
    link = QmpLink(folder / "qmp.sock")
    link.command("stop")
    link.close()
    brought_back(agent, 3)

    # A firmware that locks its core up, which ends QEMU at every start; at the first one perhaps before what
    # was programmed is in its file, and then a reset helps.
    overwrite(agent, UNDEFINED)
    brought_back(agent, 4)

    wait_for("READY", lambda: {s.state for s in agent.statuses()} == {BoardState.READY})
    board, other = (status.to_message() for status in agent.statuses())
    assert (board.recoveries, other.recoveries) == (4, None)
    assert (registry.root() / "qemu-microbit-0002" / "qemu.pid").read_text() == neighbour
    assert {event["to"] for event in agent.recovery.history(NEIGHBOUR, 50)} <= {"ALIVE", "UNKNOWN", "WEDGED"}
    climbed = [e["from"] for e in agent.recovery.history(BOARD, 100) if e["event"] in ("BEAT", "SILENT")]
    assert [state for state in climbed if state.isupper()].count("REFLASH") in (1, 2)


def test_from_the_command_line(agent: Agent, tmp_path: Path) -> None:
    def bench(*arguments: str) -> tuple[int, str]:
        files = ("--state", str(tmp_path), "--bench", str(tmp_path / "bench.yaml"))
        done = CliRunner().invoke(cli, ["bench", *arguments, *files])
        return done.exit_code, done.output

    status, said = bench("quarantine", BOARD, "--reason", "its cable is loose")
    assert (status, said) == (0, "b1: in quarantine - its cable is loose\n")
    wait_for("told", lambda: agent.statuses()[0].state is BoardState.QUARANTINED)
    with pytest.raises(QuarantinedError, match="b1 is in quarantine: its cable is loose; see `tinyfleet"):
        agent.flash(BOARD, load_parts("microbit", firmware=BENCH_ELF))
    status, said = bench("recover", BOARD)
    assert status == 1 and "in quarantine: its cable is loose" in said
    assert bench("unquarantine", BOARD)[0] == 0
    status, said = bench("unquarantine", BOARD)
    assert status == 1 and "b1 is not in quarantine" in said

    link = QmpLink(registry.root() / "qemu-microbit-0001" / "qmp.sock")
    link.command("stop")
    link.close()
    wait_for("brought back by whoever is first", lambda: bench("recover", BOARD)[0] == 0, SETTLED_S)
    status, said = bench("history", BOARD, "--json")
    history = json.loads(said)
    assert (status, history["state"], history["heartbeat"]) == (0, "ALIVE", "HELLO")
    assert [event["to"] for event in history["events"]].count("QUARANTINED") == 1
