"""The power of emulated boards, switched from the program that runs them and from another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyocd_qemu import registry
from tests.integration.agent.bench_rig import BENCH_YAML, Program

from tinyfleet.agent.cli import cli
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import NoSwitchError, SwitchRefused
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services.power_switch import PowerAction
from tinyfleet.wire.enums import BoardState

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(120)]
BOARD = "microbit-1"
PROBE = "qemu-microbit-0001"
SWITCHED = BENCH_YAML + "    switch: {kind: emulated}\n"
NEIGHBOUR = "  - {name: n, device_type: microbit, probe: qemu-microbit-0002, emulate: microbit}\n"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "boards"))
    with Agent(parse_bench(SWITCHED + NEIGHBOUR, "b"), Folders(tmp_path)) as agent:
        agent.start_boards()
        yield agent


def states(agent: Agent) -> list[BoardState]:
    return [status.state for status in agent.refresh()]


def test_power_off_is_a_power_cut_of_this_board_alone(agent: Agent) -> None:
    neighbour = registry.find("qemu-microbit-0002")
    agent.power(BOARD, PowerAction.OFF)
    assert states(agent) == [BoardState.ABSENT, BoardState.READY]
    # The watch starts boards again that died, not those without power.
    assert agent._emulated.revive() == {}
    assert states(agent)[0] is BoardState.ABSENT
    agent.power(BOARD, PowerAction.OFF)
    assert agent.power(BOARD, PowerAction.ON) == "emulated"
    assert states(agent) == [BoardState.READY, BoardState.READY]
    agent.power(BOARD, PowerAction.CYCLE)
    assert states(agent) == [BoardState.READY, BoardState.READY]
    assert registry.find("qemu-microbit-0002") == neighbour
    with pytest.raises(NoSwitchError, match="n has no power switch"):
        agent.power("n", PowerAction.OFF)


def test_from_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {registry.ROOT_VARIABLE: str(tmp_path / "boards")}
    monkeypatch.setenv(*environment.copy().popitem())
    (tmp_path / "bench.yaml").write_text(SWITCHED)
    files = ("--bench", str(tmp_path / "bench.yaml"), "--state", str(tmp_path / ".state"))

    def power(action: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["bench", "power", BOARD, action, "--json", *files])
        return done.exit_code, done.output

    status, said = power("off")
    assert status == 1
    assert f"power off: no program runs the emulated board {PROBE}; start it" in said

    agent = Program(tmp_path / "agent.log", environment, "agent", "run", "--alone")
    try:
        agent.wait_for("watching")
        folder = tmp_path / "boards" / PROBE
        lock = folder / registry.LOCK_NAME
        pid = (folder / "qemu.pid").read_text()
        assert power("off")[0] == 0
        assert not registry.is_locked(lock)
        assert json.loads(power("on")[1]) == {"board": BOARD, "action": "on", "switch": "emulated"}
        assert registry.is_locked(lock)
        assert power("cycle")[0] == 0
        assert (folder / "qemu.pid").read_text() != pid
        assert "started again" not in (tmp_path / "agent.log").read_text(), "no QEMU died of its program"
    finally:
        assert agent.end() == 0


def test_a_switch_needs_a_program_behind_it(agent: Agent) -> None:
    agent.power(BOARD, PowerAction.OFF)
    agent._emulated.stop()
    with pytest.raises(SwitchRefused, match="power on: no program runs"):
        agent.power(BOARD, PowerAction.ON)
