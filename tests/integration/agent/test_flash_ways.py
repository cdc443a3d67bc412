"""Boards programmed side by side through real pyOCD: by our layouts, by pyOCD's own memory map, as a node."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pyocd_qemu import registry
from pyocd_qemu.process import PID_NAME
from tests.integration.agent import flash_pack
from tests.integration.agent.bench_rig import BENCH_ELF

from tinyfleet.agent.adapters.part_files import Files, Parts, load_for
from tinyfleet.agent.adapters.probes import PyocdProbes, PyocdSession
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.boards import Layout
from tinyfleet.agent.core.errors import PlanError, StepFailed
from tinyfleet.agent.core.flash_plan import NodePlan
from tinyfleet.agent.core.part_plan import PartPlan, plan_part
from tinyfleet.agent.core.program import Segment
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services.flasher import FlashReport
from tinyfleet.agent.services.programming import flash_all
from tinyfleet.wire.memory_map import MPS2_AN386

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(120)]
YAML = """\
boards:
  - {name: ours, device_type: microbit, probe: qemu-microbit-0001, emulate: microbit}
  - {name: theirs, device_type: nrf51, probe: qemu-microbit-0002, emulate: microbit}
  - {name: node, device_type: mps2-an386, probe: qemu-mps2-an386-0001, emulate: mps2-an386}
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(registry.ROOT_VARIABLE, str(folder / "boards"))
        with Agent(parse_bench(YAML, "b"), Folders(folder)) as agent:
            agent.start_boards()
            yield agent


def content(probe: str, address: int, size: int) -> bytes:
    session = PyocdProbes().open(probe)
    try:
        return session.read(address, size)
    finally:
        session.close()


def test_three_boards_at_once_each_in_its_layout(agent: Agent, tmp_path: Path) -> None:
    binary = tmp_path / "data.bin"
    binary.write_bytes(b"0123456789" * 300)
    firmware, model = b"firmware" * 1000, b"model" * 1000
    todo = {
        "ours": load_for(agent.spec("ours"), Files(firmware=BENCH_ELF)),
        "theirs": load_for(agent.spec("theirs"), Files(firmware=BENCH_ELF)),
        "node": Parts(NodePlan(MPS2_AN386, (), firmware, model), None, 0, None),
    }
    assert isinstance(todo["theirs"].plan, PartPlan)
    done = flash_all({name: partial(agent.flash, name, parts) for name, parts in todo.items()})
    reports = [report for report in done.values() if isinstance(report, FlashReport)]
    assert len(reports) == 3, done
    assert all(report.compared for report in reports)
    assert done["ours"].units == done["theirs"].units == 49  # type: ignore[union-attr]
    assert content("qemu-microbit-0001", 0, 0xC000) == content("qemu-microbit-0002", 0, 0xC000)
    for name, data in (("firmware_a", firmware), ("model_a", model)):
        at = MPS2_AN386.base + MPS2_AN386[name].offset
        assert content("qemu-mps2-an386-0001", at, len(data)) == data

    # By pyOCD's memory map what lies around stays: the end of the app, in the middle of a sector.
    before = content("qemu-microbit-0002", 0x8000, 0x4000)
    odd = load_for(agent.spec("theirs"), Files(firmware=binary, address=0x8123))
    assert agent.flash("theirs", odd).units == 4
    after = content("qemu-microbit-0002", 0x8000, 0x4000)
    assert after == before[:0x123] + binary.read_bytes() + before[0x123 + 3000 :]
    outside = load_for(agent.spec("theirs"), Files(firmware=binary, address=0x20000000))
    with pytest.raises(PlanError, match="0x20000000, where bytes are to go, is no flash of nrf51"):
        agent.flash("theirs", outside)
    with pytest.raises(PlanError, match="no layout of ours, so nobody knows where a model goes"):
        load_for(agent.spec("theirs"), Files(firmware=BENCH_ELF, model=binary))
    with pytest.raises(PlanError, match=r"data.bin: no signed image"):
        load_for(agent.spec("node"), Files(model=binary), layout=Layout.NODE)


def test_a_board_that_dies_meanwhile_is_named_and_its_neighbour_goes_on(agent: Agent) -> None:
    dies = threading.Event()
    pid = int((registry.root() / "qemu-microbit-0002" / PID_NAME).read_text())
    parts = {
        name: load_for(agent.spec(name), Files(firmware=BENCH_ELF), layout=Layout.PART)
        for name in ("ours", "theirs")
    }
    # Blank again, so that there is something to do.
    for name, wanted in parts.items():
        assert isinstance(wanted.plan, PartPlan)
        blank = [Segment(s.address, b"\xff" * len(s.data)) for s in wanted.plan.segments]
        agent.flash(name, Parts(plan_part(blank, None), None, 0, None))

    def kill(step: str, part: float) -> None:
        if step == "program" and part > 0 and not dies.is_set():
            dies.set()
            os.kill(pid, signal.SIGKILL)

    done = flash_all(
        {
            "ours": partial(agent.flash, "ours", parts["ours"]),
            "theirs": partial(agent.flash, "theirs", parts["theirs"], kill),
        }
    )
    assert isinstance(done["ours"], FlashReport)
    assert done["ours"].written == done["ours"].units
    failure = done["theirs"]
    assert isinstance(failure, StepFailed)
    assert (failure.board, failure.step) == ("theirs", "program")
    assert "the probe went away" in failure.cause
    assert failure.hint


def test_a_chip_of_an_installed_pack(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    flash_pack.install(tmp_path / "home", tmp_path)
    binary = tmp_path / "data.bin"
    binary.write_bytes(b"packed" * 600)
    spec = agent.spec("ours").model_copy(update={"labels": {"part": "tf51x"}})
    parts = load_for(spec, Files(firmware=binary, address=0x20010), layout=Layout.PART)
    report = agent.flash("ours", parts)
    assert (report.units, report.compared) == (4, True)
    assert content("qemu-microbit-0001", 0x20000, 0x2000)[0x10:][:3600] == binary.read_bytes()
    # Made for this chip: the emulated boards' own target has nothing to do with it.
    session = PyocdProbes().open("qemu-microbit-0001", "tf51x")
    assert isinstance(session, PyocdSession)
    try:
        assert session.part == "tf51x"
    finally:
        session.close()
