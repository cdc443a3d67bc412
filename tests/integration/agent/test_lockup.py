"""Firmware that locks up the core of an emulated board, which ends its QEMU: the board comes back, with its
flash, held in reset, and says why; also at the agent's next start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pyocd_qemu import registry
from pyocd_qemu.machines import MACHINES
from tests.integration.agent.bench_rig import ROOT
from tests.integration.agent.probe_rig import PLACES, faulting
from tests.servers import TIMEOUT_S, wait_for

from tinyfleet.agent.adapters.part_files import load_parts
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import CoreLockedUp
from tinyfleet.agent.main import Agent

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(240)]
YAML = "boards: [{{name: b1, device_type: {0}, probe: qemu-{0}-0001, emulate: {0}}}]"
PRESETS = {"microbit": "microbit", "mps3-an547": "bench-mps3-an547"}


@contextmanager
def serving(machine: str, folder: Path) -> Iterator[Agent]:
    stop = Event()
    with Agent(parse_bench(YAML.format(machine), "b"), Folders(folder)) as agent:
        agent.start_boards()
        thread = Thread(target=agent.serve, args=(stop,), daemon=True)
        thread.start()
        try:
            yield agent
        finally:
            stop.set()
            thread.join(TIMEOUT_S)


def noted(agent: Agent, count: int) -> list[dict[str, Any]]:
    def enough() -> list[dict[str, Any]]:
        found = [each for each in agent.recovery.history("b1", 20) if each["event"] == "NOTED"]
        return found if len(found) >= count else []

    return wait_for("the history", enough)


@pytest.mark.parametrize("machine", PRESETS)
def test_a_board_whose_firmware_locks_up(
    machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "boards"))
    image = tmp_path / "faulting.bin"
    image.write_bytes(faulting(machine))
    bad = load_parts(machine, firmware=image, address=PLACES[machine][0])
    with serving(machine, tmp_path) as agent:
        try:
            agent.flash("b1", bad)
        except CoreLockedUp as error:
            # Told at once, unless the core comes to its fault when the probe has let go of it.
            assert str(error).startswith("b1: reset: its program locked up the core")
        (said,) = noted(agent, 1)
        assert "Lockup: can't escalate" in said["cause"] and "held in reset" in said["cause"]
    with serving(machine, tmp_path) as agent:
        # Nothing of the agent was in its way, and nothing of the flash is lost.
        assert len(noted(agent, 2)) == 2
        wait_for("the probe", lambda: any(p.unique_id == f"qemu-{machine}-0001" for p in agent.probes.all()))
        flash, backing = (
            tmp_path / "boards" / f"qemu-{machine}-0001" / registry.FLASH_NAME,
            MACHINES[machine].backing,
        )
        with flash.open("rb") as file:
            file.seek(backing.flash_offset if backing else 0)
            assert file.read(len(image.read_bytes())) == image.read_bytes()
        good = ROOT / "build" / "firmware" / PRESETS[machine] / "apps" / "bench" / "bench.elf"
        agent.flash("b1", load_parts(machine, firmware=good))
