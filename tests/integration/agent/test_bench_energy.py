"""A golden set's energy on an emulated board, by a simulated meter: every door says that it is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyocd_qemu import registry
from tests.integration.agent.bench_rig import BENCH_ELF, GOLDEN, tinyfleet
from tests.models import livestock

from tinyfleet.agent import metering as agent_metering
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.part_files import Parts, load_parts
from tinyfleet.agent.adapters.power.simulated import SimulatedMeter
from tinyfleet.agent.adapters.power.simulated_ppk2 import SimulatedPpk2
from tinyfleet.agent.adapters.run_store import RunStore
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import NoMeterError
from tinyfleet.agent.main import Agent
from tinyfleet.wire.enums import EnergyWindow

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(240)]
WINDOWS = 24
BENCH = """\
boards:
  - {name: metered, device_type: microbit, probe: qemu-microbit-0001, emulate: microbit,
     meter: {kind: simulated}}
  - {name: plain, device_type: microbit, probe: qemu-microbit-0002}
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    model = tmp_path_factory.mktemp("models") / "v1.model"
    model.write_bytes(livestock("v1", vectors=4))
    return load_parts("microbit", firmware=BENCH_ELF, model=model, golden=GOLDEN)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "boards"))
    with Agent(parse_bench(BENCH, "b"), Folders(tmp_path)) as agent:
        agent.start_boards()
        yield agent


def test_energy_is_measured_said_to_be_simulated_and_absent_when_the_meter_goes(
    agent: Agent, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.flash("metered", parts)
    assert parts.golden is not None
    golden = parts.golden.first(WINDOWS)

    result = agent.run("metered", golden, kept=parts.kept, model=parts.model, energy=True)
    assert result.exact
    assert result.energy is not None, result.no_energy
    assert result.energy.simulated
    assert (result.energy.by, result.energy.windows) == (EnergyWindow.EDGE, WINDOWS)
    assert result.energy.energy_uj == pytest.approx(122.4, rel=0.005)
    kept = RunStore(tmp_path / "agent" / "runs").last("metered")
    assert kept is not None
    assert kept == result.to_message()
    assert kept.energy_simulated is True
    assert kept.meter == "simulated PPK2 SIMULATED-PPK2"
    assert kept.energy_nj == pytest.approx(122_400, rel=0.005)

    # The meter is pulled out while the board is inferring.
    device = SimulatedPpk2()
    told = []

    def unplug(done: int, total: int) -> None:
        told.append(done)
        device.close()

    monkeypatch.setattr(
        agent_metering, "open_meter", lambda spec, clock: SimulatedMeter(device, "metered", SystemClock())
    )
    without = agent.run("metered", golden, kept=parts.kept, model=parts.model, energy=True, progress=unplug)
    assert told
    assert without.exact, "the run is a run"
    assert without.energy is None
    assert without.no_energy is not None and "was the meter unplugged?" in without.no_energy
    assert "energy" not in without.to_json()
    message = agent.statuses()[0].run
    assert message is not None and message.energy_nj is None and message.meter is None

    with pytest.raises(NoMeterError, match="plain has no power meter; name its `meter`"):
        agent.run("plain", golden, energy=True)


def test_the_meter_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "bench.yaml").write_text(BENCH)
    done = tinyfleet(tmp_path, {}, "bench", "meter", "metered", "--seconds", "0.3", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["simulated"] is True
    assert told["meter"] == "simulated PPK2"
    assert (told["lost"], told["serial"]) == (0, "SIMULATED-PPK2")
    assert told["samples"] >= 30_000
    shown = tinyfleet(tmp_path, {}, "bench", "meter", "metered", "--seconds", "0.3")
    assert "what it tells is made up" in shown.stdout
    assert "120 µA least" in shown.stdout
    missing = tinyfleet(tmp_path, {}, "bench", "meter", "plain")
    assert missing.returncode == 1
    assert "plain has no power meter" in missing.stderr
