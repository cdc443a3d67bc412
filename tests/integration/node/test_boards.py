"""Each further board does what the first one does: starts behind its bootloader, takes models and firmware,
infers, and goes back from a firmware that hangs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.node.conftest import AN500, Board, Node, Release, release
from tests.integration.node.test_firmware import settled, that_hangs, want
from tests.integration.node.test_update import confirm

from tinyfleet.wire.enums import CoreVariant, Result, Timing, UpdateState
from tinyfleet.wire.messages import Birth, Tele

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.parametrize("board", [AN500], indirect=True)]


def test_it_starts_takes_a_model_and_infers(
    node: Node, manager: Any, board: Board, first: Release, firmware: bytes
) -> None:
    birth = manager.wait(Birth)
    assert (birth.device_type, birth.timing, birth.emulated) == (
        board.memory.board,
        Timing.INSTRUCTIONS,
        True,
    )
    assert birth.core is CoreVariant.DSP
    assert birth.firmware.image == release(firmware, "0.1.0").digest
    confirm(manager, first, 1)
    tele = manager.wait(Tele, lambda t: t.inferences >= 10)
    assert tele.model == first.digest and sum(tele.classes) == tele.inferences
    # A power cut forgets nothing that was confirmed.
    node.emulator.kill()
    manager.forget()
    node.start()
    birth = manager.wait(Birth)
    assert (birth.boot, birth.generation, birth.model.image) == (2, 1, first.digest)


def test_a_firmware_is_confirmed_and_one_that_hangs_is_not(
    node: Node, manager: Any, workshop: Any, node_binary: bytes, first: Release
) -> None:
    confirm(manager, first, 1)
    good = release(workshop.sign_firmware(node_binary, "0.2.0"), "0.2.0")
    manager.blob(good.blob)
    manager.want(want(2, firmware=good))
    birth = settled(manager, 2)
    assert (birth.state, birth.firmware.image, birth.firmware.slot) == (UpdateState.CONFIRMED, good.digest, 1)
    bad = release(workshop.sign_firmware(that_hangs(node_binary), "0.3.0"), "0.3.0")
    manager.blob(bad.blob)
    manager.want(want(3, firmware=bad))
    birth = settled(manager, 3)
    assert (birth.state, birth.result) == (UpdateState.REVERTED, Result.BOOT_FAILED)
    assert birth.firmware.image == good.digest and birth.model.image == first.digest
