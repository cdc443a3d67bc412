"""Signed images by SMP: what runs is left, what is sent is found again by its digest, tried and confirmed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models import livestock
from tests.unit.agent.fakes import FakeClock, FakeNode

from tinyfleet.agent.adapters.part_files import Files, load_for
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.bench_image import wrap_model
from tinyfleet.agent.core.errors import (
    BoardSaidNo,
    ConsoleError,
    NoSuchBoardError,
    PlanError,
    StepFailed,
    StepTimeout,
)
from tinyfleet.agent.core.signed_image import SignedImage
from tinyfleet.agent.core.ways import SmpPlan
from tinyfleet.agent.services.flasher import FlashReport
from tinyfleet.agent.services.smp_flasher import SmpFlasher
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.image import read_image


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


def test_firmware_that_waits_for_a_word_is_confirmed_once_it_runs(worker: BoardWorker) -> None:
    node = FakeNode()
    node.waits_for_a_word = True
    assert flash(worker, node, SmpPlan((FIRMWARE,), confirm=True)).written == 1
    assert node.done == ["open udp://n:1337", "upload 0", "test 0", "reset", "confirm", "close"]


def test_a_console_that_goes_away_with_the_reset_is_waited_for(worker: BoardWorker) -> None:
    """A board whose USB is its own."""
    node = FakeNode()
    node.away = [
        ConsoleError("b1", "console read", "it was pulled out", "plug it in"),
        NoSuchBoardError("no console b1", "plug it in"),
    ]
    assert flash(worker, node, SmpPlan((FIRMWARE,))).written == 1
    assert node.away == [] and node.active == {0: b"firmware"}


def test_a_node_whose_broker_is_to_hear_it_is_not_told(worker: BoardWorker) -> None:
    node = FakeNode()
    node.waits_for_a_word = True
    with pytest.raises(StepTimeout, match="it is on trial"):
        flash(worker, node, SmpPlan((FIRMWARE,)))
    assert "confirm" not in node.done


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


def test_which_images_go_to_whom(tmp_path: Path) -> None:
    """wrap_model makes an image without a signature."""
    path, other = tmp_path / "app.img", tmp_path / "app.bin"
    path.write_bytes(wrap_model(livestock("v1", vectors=1), "mps2-an386"))
    other.write_bytes(b"\0" * 64)
    zephyr = BoardSpec(name="z", device_type="nrf9160dk", smp="udp://z:1337")
    node = BoardSpec(name="n", device_type="mps2-an386", smp="udp://n:1337")
    plan = load_for(zephyr, Files(firmware=path)).plan
    assert isinstance(plan, SmpPlan) and plan.confirm
    assert [(i.number, i.digest) for i in plan.images] == [(0, read_image(path.read_bytes()).digest)]
    for spec, files, complaint in (
        (zephyr, Files(firmware=other), "app.bin: no MCUboot image"),
        (zephyr, Files(model=path), "the image is not signed"),
        (node, Files(model=path), "the image is not signed"),
        (node, Files(firmware=other), "app.bin: no signed image"),
        (node, Files(), "nothing to send to a mps2-an386"),
        (zephyr, Files(firmware=path, golden=other), "only a bench board, by its probe, keeps a golden set"),
    ):
        with pytest.raises(PlanError, match=complaint):
            load_for(spec, files)
