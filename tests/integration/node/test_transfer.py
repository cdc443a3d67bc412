"""Compressed artifacts and deltas over a real broker: fewer bytes on air, the same image in the slot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.integration.node.conftest import Release, release
from tests.integration.node.test_firmware import settled, want
from tests.models import livestock

from tinyfleet.fleet.adapters.encodings import Encodings
from tinyfleet.wire.blobs import cut
from tinyfleet.wire.enums import Encoding, Result, UpdateState
from tinyfleet.wire.image import read_image
from tinyfleet.wire.memory_map import MPS2_AN386
from tinyfleet.wire.messages import Birth, Status

pytestmark = [pytest.mark.qemu, pytest.mark.broker]


def compressed(made: Release) -> Release:
    transported = Encodings().compress(made.image)
    blob = cut(transported, encoding=Encoding.COMPRESSED, image_bytes=len(made.image))
    return replace(made, blob=blob)


def delta(made: Release, base: Release) -> Release:
    """As the manager makes it: from what the base's digest covers."""
    covered = base.image[: read_image(base.image).header.hashed_bytes]
    transported = Encodings().delta(made.image, covered)
    blob = cut(transported, encoding=Encoding.DELTA, image_bytes=len(made.image), base=base.digest)
    return replace(made, blob=blob)


def roll_out(manager: Any, made: Release, generation: int) -> Status:
    """The last status of the update."""
    manager.blob(made.blob)
    manager.want(made.want(generation))
    status: Status = manager.wait(
        Status, lambda s: s.generation == generation and s.state >= UpdateState.CONFIRMED
    )
    return status


def confirm(manager: Any, made: Release, generation: int) -> Status:
    status = roll_out(manager, made, generation)
    assert (status.state, status.result) == (UpdateState.CONFIRMED, Result.SUCCESS), status
    return status


@pytest.fixture(scope="module")
def next_one(workshop: Any) -> Release:
    """The second model with one more golden vector."""
    return release(workshop.sign(livestock("v2", vectors=215), "2.0.1"), "2.0.1")


def test_birth_says_what_the_node_decodes(node: Any, manager: Any) -> None:
    birth = manager.wait(Birth)
    assert birth.decodes == 0b111
    assert birth.staging_bytes == MPS2_AN386["staging"].size_bytes


def test_a_compressed_model_and_then_a_delta_are_installed(
    node: Any, manager: Any, second: Release, next_one: Release
) -> None:
    small = compressed(second)
    cost = confirm(manager, small, 1).transfer
    assert node.read("model_a", len(second.image)) == second.image
    smaller = delta(next_one, second)
    less = confirm(manager, smaller, 2).transfer
    assert node.read("model_b", len(next_one.image)) == next_one.image
    assert cost is not None and less is not None
    print(
        f"{len(second.image)} bytes: {cost.mqtt_rx_bytes} compressed; "
        f"{len(next_one.image)} bytes: {less.mqtt_rx_bytes} as a delta"
    )
    assert cost.mqtt_rx_bytes < len(second.image)
    assert less.mqtt_rx_bytes < len(next_one.image) / 10
    birth = manager.wait(Birth, lambda b: b.generation == 2 and b.state is UpdateState.CONFIRMED)
    assert birth.model is not None and birth.model.image == next_one.digest


def test_a_delta_of_another_base_is_refused_with_the_manifest_alone_on_air(
    node: Any, manager: Any, first: Release, second: Release, next_one: Release
) -> None:
    confirm(manager, first, 1)
    status = roll_out(manager, delta(next_one, second), 2)
    assert (status.state, status.result) == (UpdateState.FAILED, Result.BASE_MISMATCH)
    assert status.offset_bytes == 0
    assert status.transfer is not None and status.transfer.mqtt_rx_bytes < 1500
    birth = manager.wait(Birth, lambda b: b.generation == 2)
    assert (birth.result, birth.model.image) == (Result.BASE_MISMATCH, first.digest)
    confirm(manager, compressed(next_one), 3)  # what its manager then asks for


def test_a_firmware_comes_as_a_delta(
    node: Any, manager: Any, first: Release, workshop: Any, node_binary: bytes
) -> None:
    confirm(manager, first, 1)
    running = release(node.firmware, "0.1.0")
    newer = release(workshop.sign_firmware(node_binary + bytes(64), "0.2.0"), "0.2.0")
    small = delta(newer, running)
    assert len(small.blob.transported) < 2000
    manager.blob(small.blob)
    manager.want(want(2, firmware=small))
    birth = settled(manager, 2)
    assert (birth.state, birth.firmware.image) == (UpdateState.CONFIRMED, newer.digest)
    assert node.read("firmware_b", len(newer.image)) == newer.image


def test_power_that_goes_while_the_slot_is_written_costs_the_manifest(
    node: Any, manager: Any, second: Release
) -> None:
    """All sectors were there: after the restart the node asks for group 0 and nothing else."""
    small = compressed(second)
    manager.blob(small.blob)
    manager.want(small.want(1))
    whole = len(small.blob.transported)
    manager.wait(Status, lambda s: s.state is UpdateState.DOWNLOADING and s.offset_bytes == whole)
    node.emulator.kill()
    manager.forget()
    node.start()
    done = manager.wait(Status, lambda s: s.generation == 1 and s.state >= UpdateState.CONFIRMED)
    assert done.state is UpdateState.CONFIRMED
    assert node.read("model_a", len(second.image)) == second.image
