"""A node with a debug probe: blank, programmed over SWD while it is halted, then in the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyocd_qemu import registry
from pyocd_qemu.board import CONSOLE_LOG_NAME
from pyocd_qemu.process import end_stranded
from tests.integration.node.conftest import AN386, AN500, Board, Manager, Node, Release
from tests.integration.node.test_update import confirm
from tests.servers import wait_for

from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.wire.messages import Birth

pytestmark = [pytest.mark.qemu, pytest.mark.broker]


@pytest.mark.parametrize("board", [AN386, AN500], indirect=True, ids=lambda board: board.memory.board)
def test_a_blank_node_is_programmed_over_swd_and_comes_up(
    board: Board,
    boot_elf: Path,
    bare_node: Node,
    manager: Manager,
    first: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path / "boards"))
    memory = board.memory
    unique_id = f"qemu-{memory.board}-0001"
    log = tmp_path / "boards" / unique_id / CONSOLE_LOG_NAME
    parts = bare_node.records() | {"firmware_a": bare_node.firmware}
    with EmulatedBoards() as boards:
        boards.start(unique_id, memory.board, kernel=boot_elf, network=True)
        wait_for("the bootloader to find nothing", lambda: "no trust record" in log.read_text())
        session = PyocdProbes().open(unique_id)
        try:
            for region, data in parts.items():
                at = memory.base + memory[region].offset
                whole = data.ljust(-(-len(data) // memory.sector_bytes) * memory.sector_bytes, b"\xff")
                session.program({at: whole}, lambda part: None)
                assert session.read(at, len(data)) == data
            assert "from slot A" not in log.read_text()
            session.reset()
        finally:
            session.close()
        assert manager.wait(Birth).device_type == memory.board
        # A probe that comes and goes does not end it: it takes a model afterwards.
        PyocdProbes().open(unique_id).close()
        confirm(manager, first, 1)
        assert log.read_text().count("from slot A") == 1
        # A QEMU that dies: the bootloader starts what was confirmed, and nobody has to help.
        manager.forget()
        assert end_stranded(log.parent)
        assert list(wait_for("QEMU's end", boards.revive)) == [unique_id]
        assert manager.wait(Birth).model is not None
