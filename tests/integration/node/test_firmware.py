"""A firmware's update over MQTT, through the real bootloader: confirmed, or back to the one before."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.node.conftest import BOARD, DEVICE, Node, Release, built, release
from tests.models import livestock

from tinyfleet.agent.adapters.emulator import EmulatedNode, make_blank_flash
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.enums import ArtifactKind, Result, UpdateState
from tinyfleet.wire.firmware import read_facts
from tinyfleet.wire.messages import Birth, Status, Want

pytestmark = [pytest.mark.qemu, pytest.mark.broker]

WAIT_FOR_EVER = b"\xfe\xe7"  # Thumb: b .
SETTLED_S = 60.0


@pytest.fixture(scope="session")
def make_firmware(workshop: Any, node_binary: bytes) -> Callable[..., Release]:
    def make(version: str, binary: bytes = node_binary, **options: Any) -> Release:
        return release(workshop.sign_firmware(binary, version, **options), version)

    return make


@pytest.fixture
def ready(node: Node, manager: Any, first: Release) -> Node:
    """Runs a model, confirmed as generation 1."""
    manager.blob(first.blob)
    manager.want(first.want(1))
    settled(manager, 1)
    manager.forget()
    return node


def want(generation: int, firmware: Release | None = None, model: Release | None = None) -> Want:
    named = {
        kind: given.blob.wanted(image=given.digest, version=given.version)
        for kind, given in (("firmware", firmware), ("model", model))
        if given is not None
    }
    return Want(generation=generation, **named)


def settled(manager: Any, generation: int) -> Birth:
    birth: Birth = manager.wait(
        Birth, lambda b: b.generation == generation and b.state >= UpdateState.CONFIRMED, SETTLED_S
    )
    return birth


def entry_of(binary: bytes) -> int:
    """Where in the binary its first instruction stands."""
    origin = read_facts(binary).origin
    return int(struct.unpack_from("<I", binary, 4)[0]) - 1 - origin


def that_hangs(binary: bytes) -> bytes:
    at = entry_of(binary)
    return binary[:at] + WAIT_FOR_EVER + binary[at + 2 :]


def without(binary: bytes, op: OpCode) -> bytes:
    """Whose runtime has forgotten an op, though its image says nothing of that."""
    facts, data = read_facts(binary), bytearray(binary)
    places = range(facts.kernels_at, len(data), facts.kernel_bytes)
    data[next(at for at in places if data[at] == op)] = 0xFE
    return bytes(data)


def test_birth_says_what_firmware_runs_and_can_be_installed(
    node: Node, manager: Any, firmware: bytes, node_binary: bytes
) -> None:
    birth = manager.wait(Birth)
    running = release(firmware, "0.1.0")
    assert (birth.firmware.image, birth.firmware.version) == (running.digest, "0.1.0")
    assert (birth.firmware.slot, birth.firmware.security_counter) == (0, 1)
    slots = [(s.index, s.size_bytes, s.image) for s in birth.slots if s.kind is ArtifactKind.FIRMWARE]
    assert slots == [(0, 1 << 20, running.digest), (1, 1 << 20, None)]
    # What is signed into the image is what the firmware says once it runs.
    facts = read_facts(node_binary)
    assert (facts.abi, facts.ops) == (birth.abi, birth.ops.rstrip(b"\0"))
    assert birth.core in facts.cores


def test_a_good_firmware_is_confirmed(ready: Node, manager: Any, make_firmware: Any, first: Release) -> None:
    new = make_firmware("0.2.0", counter=3)
    manager.blob(new.blob)
    manager.want(want(2, firmware=new))
    birth = settled(manager, 2)
    assert (birth.state, birth.result, birth.boot) == (UpdateState.CONFIRMED, Result.SUCCESS, 2)
    assert (birth.firmware.image, birth.firmware.version) == (new.digest, "0.2.0")
    assert (birth.firmware.slot, birth.firmware.security_counter) == (1, 3)
    assert birth.model is not None and birth.model.image == first.digest
    assert ready.console("boot: 0.2.0 from slot B, on trial")
    told = [s for s in manager.heard(Status) if s.generation == 2]
    assert {s.kind for s in told} == {ArtifactKind.FIRMWARE}
    # It stays, and nothing below its counter comes back.
    old = make_firmware("0.3.0", counter=2)
    manager.blob(old.blob)
    manager.want(want(3, firmware=old))
    birth = settled(manager, 3)
    assert (birth.state, birth.result, birth.boot) == (UpdateState.FAILED, Result.DOWNGRADE, 2)
    ready.emulator.kill()
    manager.forget()
    ready.start()
    ready.console("boot: 0.2.0 from slot B$")
    assert manager.wait(Birth).firmware.image == new.digest


def test_a_firmware_that_never_starts_is_left_for_the_watchdog(
    ready: Node, manager: Any, make_firmware: Any, node_binary: bytes, firmware: bytes, first: Release
) -> None:
    bad = make_firmware("0.2.0", that_hangs(node_binary), counter=9)
    manager.blob(bad.blob)
    manager.want(want(2, firmware=bad))
    birth = settled(manager, 2)
    assert (birth.state, birth.result) == (UpdateState.REVERTED, Result.BOOT_FAILED)
    assert birth.firmware.image == release(firmware, "0.1.0").digest
    assert birth.firmware.security_counter == 1
    assert birth.model is not None and birth.model.image == first.digest
    assert ready.emulator.console().count("boot: 0.2.0 from slot B, on trial") == 1
    # And a good one can come after it.
    good = make_firmware("0.2.1")
    manager.blob(good.blob)
    manager.want(want(3, firmware=good))
    assert settled(manager, 3).firmware.image == good.digest


def test_a_firmware_without_an_op_of_the_running_model_is_refused(
    ready: Node, manager: Any, make_firmware: Any, node_binary: bytes, firmware: bytes, first: Release
) -> None:
    bad = make_firmware("0.2.0", without(node_binary, OpCode.SOFTMAX))
    lying = read_facts(node_binary)
    assert read_facts(without(node_binary, OpCode.SOFTMAX)).ops != lying.ops
    manager.blob(bad.blob)
    manager.want(want(2, firmware=bad))
    birth = settled(manager, 2)
    assert (birth.state, birth.firmware.image) == (UpdateState.FAILED, release(firmware, "0.1.0").digest)
    assert birth.result is Result.UNSUPPORTED_TYPE  # its image says so: it is not even started
    assert "boot: 0.2.0" not in ready.emulator.console()


def test_what_its_image_hides_the_trial_shows(
    ready: Node, manager: Any, workshop: Any, node_binary: bytes, firmware: bytes
) -> None:
    """The image claims an op that its firmware lost: the self-test fails, and the node goes back."""
    honest = read_facts(node_binary)
    image = workshop.sign_firmware(without(node_binary, OpCode.SOFTMAX), "0.2.0", ops=honest.ops)
    bad = release(image, "0.2.0")
    manager.blob(bad.blob)
    manager.want(want(2, firmware=bad))
    birth = settled(manager, 2)
    assert (birth.state, birth.result) == (UpdateState.REVERTED, Result.OP_MISSING)
    assert birth.firmware.image == release(firmware, "0.1.0").digest
    assert birth.model is not None


def test_a_firmware_and_the_model_that_comes_with_it(
    ready: Node, manager: Any, make_firmware: Any, workshop: Any
) -> None:
    new = make_firmware("0.4.0")
    payload = livestock("v2", vectors=8)
    model = release(workshop.sign(payload, "2.0.0", needs="0.4.0"), "2.0.0")
    # Without its firmware the model is refused.
    manager.blob(model.blob)
    manager.want(want(2, model=model))
    assert settled(manager, 2).result is Result.UNSUPPORTED_TYPE
    manager.blob(new.blob)
    manager.want(want(3, firmware=new, model=model))
    birth = settled(manager, 3)
    assert (birth.state, birth.firmware.image) == (UpdateState.CONFIRMED, new.digest)
    assert birth.model is not None and birth.model.image == model.digest
    told = [s.kind for s in manager.heard(Status) if s.generation == 3]
    assert told == sorted(told, key=lambda kind: kind is ArtifactKind.MODEL)
    confirmed = [s for s in manager.heard(Status) if s.generation == 3 and s.state is UpdateState.CONFIRMED]
    assert [s.kind for s in confirmed] == [ArtifactKind.MODEL]


def test_power_cuts_during_an_update(ready: Node, manager: Any, make_firmware: Any) -> None:
    """Cut at a few marks of the way; each time it goes on from where it was."""
    new = make_firmware("0.5.0")
    manager.blob(new.blob, range(3))
    manager.want(want(2, firmware=new))
    manager.wait(Status, lambda s: s.offset_bytes >= 2 * 16384)
    for _ in range(2):
        ready.emulator.kill()
        manager.forget()
        ready.start()
        birth = manager.wait(Birth)
        assert birth.state is UpdateState.DOWNLOADING
    manager.blob(new.blob)
    ready.console("boot: 0.5.0 from slot B, on trial")
    ready.emulator.kill()
    ready.start()
    birth = settled(manager, 2)
    assert (birth.state, birth.firmware.image) == (UpdateState.CONFIRMED, new.digest)


def test_firmware_that_runs_where_it_stands(
    bare_node: Node, manager: Any, workshop: Any, tmp_path: Path
) -> None:
    """The same, on a board that runs firmware in its slots: each is linked for one of them."""
    images = [
        workshop.sign_firmware(built(BOARD / f"apps/node/node_xip_{slot}.bin").read_bytes(), "0.6.0")
        for slot in ("a", "b")
    ]
    bare_node.firmware = images[0]
    bare_node.emulator = EmulatedNode(
        flash=bare_node.flash,
        kernel=built(BOARD / "ports/mps2_an386/boot_xip.elf"),
        state_dir=tmp_path / "xip",
    )
    make_blank_flash(bare_node.flash)
    bare_node.provision()
    with bare_node.emulator:
        assert manager.wait(Birth).firmware.slot == 0
        wrong = workshop.sign_firmware(built(BOARD / "apps/node/node_xip_a.bin").read_bytes(), "0.7.0")
        for generation, image, state in (
            (1, wrong, UpdateState.FAILED),
            (2, images[1], UpdateState.CONFIRMED),
        ):
            new = release(image, "0.6.0")
            manager.blob(new.blob)
            manager.want(want(generation, firmware=new), DEVICE)
            birth = settled(manager, generation)
            assert birth.state is state
        assert birth.firmware.slot == 1
        assert birth.firmware.image == release(images[1], "0.6.0").digest
