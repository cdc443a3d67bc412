"""Signed images by SMP: what runs is left, what is sent is found again by its digest, tried and confirmed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from tests.unit.agent.fakes import FakeClock, FakeNode

from tinyfleet.agent.core.errors import BoardSaidNo, StepFailed, StepTimeout
from tinyfleet.agent.core.signed_image import SignedImage
from tinyfleet.agent.core.ways import SmpPlan
from tinyfleet.agent.services.flasher import FlashReport
from tinyfleet.agent.services.smp_flasher import SmpFlasher
from tinyfleet.agent.services.worker import BoardWorker


def image(number: int, data: bytes) -> SignedImage:
    return SignedImage(number, data, hashlib.sha256(data).digest(), "1.0.0")


FIRMWARE, MODEL = image(0, b"firmware"), image(1, b"model")
BOTH = SmpPlan((FIRMWARE, MODEL))


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("b1")
    yield worker
    worker.close()


def flash(worker: BoardWorker, node: FakeNode, plan: SmpPlan = BOTH, timeout_s: float = 600) -> FlashReport:
    clock = FakeClock()

    def pause(seconds: float) -> None:
        clock.now_s += seconds

    flasher = SmpFlasher(node, clock, pause)
    return flasher.flash(worker, "udp://n:1337", 115_200, plan, timeout_s=timeout_s)


def test_firmware_first_with_a_reset_then_the_model_and_a_second_time_nothing(worker: BoardWorker) -> None:
    node = FakeNode()
    report = flash(worker, node)
    assert (report.units, report.written, report.unit, report.compared) == (2, 2, "images", True)
    assert node.done == [
        *("open udp://n:1337", "upload 0", "test 0", "reset", "upload 1", "test 1", "close"),
    ]
    assert node.active == {0: b"firmware", 1: b"model"}
    node.done.clear()
    assert flash(worker, node).written == 0
    assert node.done == ["open udp://n:1337", "close"]


def test_what_was_sent_before_is_only_tried(worker: BoardWorker) -> None:
    node = FakeNode()
    node.sent[1] = MODEL.data
    assert flash(worker, node, SmpPlan((MODEL,))).written == 1
    assert node.done == ["open udp://n:1337", "test 1", "close"]


def test_an_image_that_is_not_found_again_is_not_tried(worker: BoardWorker) -> None:
    node = FakeNode()
    node.keeps = False
    with pytest.raises(StepFailed, match="b1: read back: the node holds no firmware with digest"):
        flash(worker, node)
    assert node.done == ["open udp://n:1337", "upload 0", "close"]


def test_a_node_that_goes_back_is_told(worker: BoardWorker) -> None:
    node = FakeNode(verdict=False)
    with pytest.raises(StepFailed, match=r"b1: trial: the node went back from the firmware 1\.0\.0"):
        flash(worker, node)
    assert node.done[-1] == "close"


def test_a_node_that_stays_silent_is_given_up(worker: BoardWorker) -> None:
    node = FakeNode(silent=10_000)
    with pytest.raises(StepTimeout, match=r"not confirmed after 120 s: .*no answer by SMP"):
        flash(worker, node)
    node = FakeNode(silent=10_000)
    with pytest.raises(StepTimeout, match=r"not confirmed after 30 s"):
        flash(worker, node, timeout_s=30)


def test_what_the_node_refuses_is_its_word(worker: BoardWorker) -> None:
    node = FakeNode()
    node.refuses = "the node refused by SMP: rc 11, signed by a key that is not in the trust record"
    with pytest.raises(BoardSaidNo, match="not in the trust record"):
        flash(worker, node)
    assert node.done == ["open udp://n:1337", "close"]
