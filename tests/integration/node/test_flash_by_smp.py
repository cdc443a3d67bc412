"""The agent brings a real node its images by SMP: both over UDP; over the console it finds nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.node.conftest import Manager, Release, Workshop
from tests.integration.node.test_smp import Door, door
from tests.servers import LOOPBACK

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.adapters.part_files import Files, load_for
from tinyfleet.agent.adapters.smp import SmpLinks
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import BoardSpec, parse_bench
from tinyfleet.agent.core.errors import BoardSaidNo
from tinyfleet.agent.core.ways import SmpPlan
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services.flasher import FlashReport
from tinyfleet.agent.services.smp_flasher import SmpFlasher
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import UpdateState
from tinyfleet.wire.messages import Birth
from tinyfleet.wire.turns import BOOT_KIND, STATE_KIND, active_slot

__all__ = ["door"]
pytestmark = [pytest.mark.qemu, pytest.mark.broker]
SPEC = BoardSpec(name="n1", device_type="mps2-an386", smp="udp://127.0.0.1:1337")


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("n1")
    yield worker
    worker.close()


def flash(worker: BoardWorker, address: str, files: Files) -> tuple[FlashReport, set[str]]:
    plan = load_for(SPEC, files).plan
    assert isinstance(plan, SmpPlan)
    steps: set[str] = set()
    flasher = SmpFlasher(SmpLinks(SerialConsoles()), SystemClock(), time.sleep)
    report = flasher.flash(worker, address, 115_200, plan, lambda step, part: steps.add(step))
    return report, steps


def test_firmware_and_model_are_brought_once(
    door: Door,
    worker: BoardWorker,
    workshop: Workshop,
    node_binary: bytes,
    first: Release,
    foreign: Release,
    manager: Manager,
    tmp_path: Path,
) -> None:
    files = Files(firmware=tmp_path / "firmware.img", model=tmp_path / "model.img")
    assert files.firmware is not None and files.model is not None
    files.firmware.write_bytes(workshop.sign_firmware(node_binary, "0.2.0"))
    files.model.write_bytes(first.image)
    udp = f"udp://{LOOPBACK}:{door.port}"
    report, steps = flash(worker, udp, files)
    assert (report.units, report.written, report.compared) == (2, 2, True)
    assert steps >= {"send firmware", "try firmware", "send model", "try model"}
    birth = manager.wait(
        Birth,
        lambda b: b.firmware.version == "0.2.0" and b.model is not None and b.state is UpdateState.CONFIRMED,
    )
    assert birth.model is not None and birth.model.image == first.digest

    # What a programmer reads by probe: it went beside the firmware that ran, and the first model to A.
    boot, state = ([door.node.read(f"{name}_{slot}", 4096) for slot in "ab"] for name in ("boot", "state"))
    assert (active_slot(boot, BOOT_KIND), active_slot(state, STATE_KIND)) == (1, 0)

    # By its console, which somebody may watch: nothing is to do, and foreign things are refused.
    yaml = (
        f"boards: [{{name: n1, device_type: mps2-an386, smp: serial, console: {door.node.emulator.tty()}}}]"
    )
    other = tmp_path / "foreign.img"
    other.write_bytes(foreign.image)
    with Agent(parse_bench(yaml, "b"), Folders(tmp_path / "state")) as agent:
        agent.consoles.serve()
        assert agent.flash("n1", load_for(agent.spec("n1"), files)).written == 0
        refused = load_for(agent.spec("n1"), Files(model=other))
        with pytest.raises(BoardSaidNo, match=r"n1: upload: .*rc 11, signed by a key that is not in the"):
            agent.flash("n1", refused)
