"""A node without a network behind the bridge: what it says by SMP, and what its own trial ends with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.unit.agent.bridge_rig import Rig, app_of, digest_of, payload, signed, signed_app
from tests.unit.agent.fakes import FakeClock

from tinyfleet.agent.core.bridge import Failure
from tinyfleet.agent.core.bridge_check import SelfTest
from tinyfleet.agent.core.errors import BoardSaidNo, ConsoleError, StepTimeout
from tinyfleet.agent.services import bridge_node
from tinyfleet.agent.services.bridge_node import BridgedNode
from tinyfleet.agent.services.ports import Progress, SmpSession, SmpSlot
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.artifact import ABI
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result, UpdateState
from tinyfleet.wire.image import read_image
from tinyfleet.wire.messages import Hello

OLD, NEW = signed(payload("1")), signed(payload("2"), counter=3)
S = UpdateState


@dataclass
class FakeNode:
    """`ends`: state and result of the next trial, after `takes` questions."""

    ends: tuple[UpdateState, Result] = (S.CONFIRMED, Result.SUCCESS)
    takes: int = 2
    refuses: bool = False
    uploads: int = 0
    tests: int = 0
    closed: int = 0
    state: tuple[UpdateState, Result] = (S.IDLE, Result.INITIAL)
    held: list[SmpSlot] = field(default_factory=list)
    heard_by_smp: bool = True
    """Its golden vectors pass; its broker is nowhere."""
    silent: int = 0
    vectors_left: int = 3
    runtime: dict[str, int] = field(
        default_factory=lambda: {
            **{"abi": ABI, "core": 1, "timing": 1, "emulated": 1, "arena_bytes": 4096, "model_bytes": 8192},
            **{"firmware_bytes": 65536},
            **{f"ops_{i}": i for i in range(8)},
        }
    )
    _sent: bytes = b""
    _left: int = 0

    def __post_init__(self) -> None:
        firmware = SmpSlot(0, 0, b"\7" * 32, "0.2.1", True, False, True)
        self.held = [firmware, SmpSlot(1, 0, digest_of(OLD), "1.0.0", True, False, True)]

    def open(self, board: str, address: str, baud: int) -> SmpSession:
        assert address == "one"
        return self

    def slots(self) -> tuple[SmpSlot, ...]:
        self._there()
        return tuple(self.held)

    def _there(self) -> None:
        if self.silent:
            self.silent -= 1
            raise StepTimeout("one", "statistics", "no answer by SMP", "does the node run?")

    def upload(self, image: bytes, number: int, progress: Progress) -> None:
        if self.refuses:
            raise BoardSaidNo("one", "upload: the node refused by SMP: rc 11", Result.UPDATE_FAILED, "see")
        self.uploads += 1
        version = str(read_image(image).header.version)
        self.held.append(SmpSlot(number, 1, digest_of(image), version, False, False, False))

    def test(self, digest: bytes) -> None:
        self.tests += 1
        self.state, self._left, self._sent = (S.TRIAL, Result.INITIAL), self.takes, digest
        self.held[-1] = replace(self.held[-1], pending=True)

    def reset(self) -> None:
        """The firmware that is pending starts, and is on trial."""
        new = self.held[-1]
        assert new.image == 0 and new.pending, "a model needs no reset"
        self.silent = 4
        self.held[0] = replace(self.held[0], active=False)
        self.held[-1] = replace(new, active=True, pending=False)
        if self.ends[0] is not S.CONFIRMED:
            self._back()

    def _back(self) -> None:
        self.held[0] = replace(self.held[0], active=True)
        self.held.pop()
        self.state = self.ends

    def confirm(self, digest: bytes) -> None:
        assert digest == self.held[-1].digest and self.held[-1].active
        self.vectors_left -= 1
        if self.vectors_left or not self.heard_by_smp:
            raise BoardSaidNo("one", "confirm: rc 32", Result.UPDATE_FAILED, "wait")
        self.held[0], self.state = replace(self.held.pop(), confirmed=True), self.ends

    def statistics(self, group: str) -> dict[str, int]:
        self._there()
        if group == "runtime":
            return self.runtime
        if self.state[0] is S.TRIAL and self.held[-1].image == 1:
            self._left -= 1
            if self._left == 0:
                self.state = self.ends
                if self.ends[0] is S.CONFIRMED:
                    self.held[1:] = [replace(self.held[-1], active=True, pending=False, confirmed=True)]
                else:
                    self.held.pop()
        return {
            "update_state": self.state[0],
            "update_result": self.state[1],
            "security_counter": 2,
            "firmware_counter": 4,
        }

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def board(node: FakeNode) -> Iterator[BridgedNode]:
    clock = FakeClock()

    def pause(seconds: float) -> None:
        clock.now_s += seconds

    worker = BoardWorker("one")
    yield BridgedNode(*(worker, node, clock, pause), address="one", baud=1, device_type="microbit")
    worker.close()


def never(hello: Hello) -> SelfTest | Failure:
    raise AssertionError("a node asks its vectors itself")


def test_what_it_says_is_told_as_a_hello(board: BridgedNode, node: FakeNode) -> None:
    hello = board.hello()
    assert (hello.app, hello.device_type, hello.model) == ("node 0.2.1", "microbit", digest_of(OLD))
    assert (hello.arena_bytes, hello.core, hello.emulated, hello.abi) == (4096, CoreVariant.DSP, True, ABI)
    assert hello.ops == b"".join(i.to_bytes(4, "little") for i in range(8))
    assert (board.model().counter, board.model_bytes) == (2, 8192)
    node.held.pop()
    assert (board.hello().model, board.hello().input_bytes) == (None, 0)
    assert node.closed == 4
    del node.runtime["ops_3"]
    with pytest.raises(ConsoleError, match="flash a node firmware of this version"):
        board.hello()


def test_an_image_is_sent_once_and_tried_once(board: BridgedNode, node: FakeNode) -> None:
    board.program(NEW)
    board.program(NEW)
    assert (node.uploads, node.tests) == (1, 1), "an agent that was killed meanwhile finds it on trial"
    hello, failure = board.test(never)
    assert (hello.model, failure) == (digest_of(NEW), None)
    board.program(NEW)
    assert (node.uploads, node.tests) == (1, 1)


def test_what_its_trial_ends_with_is_the_result(board: BridgedNode, node: FakeNode) -> None:
    node.ends = (S.REVERTED, Result.GOLDEN_FAILED)
    board.program(NEW)
    hello, failure = board.test(never)
    assert failure is not None and failure.result is Result.GOLDEN_FAILED
    assert hello.model == digest_of(OLD)


def test_a_trial_without_an_end_is_asked_about_again(board: BridgedNode, node: FakeNode) -> None:
    node.takes = 10_000
    board.program(NEW)
    with pytest.raises(StepTimeout, match="no end within"):
        board.test(never)


def test_numbers_of_another_version_are_an_error(board: BridgedNode, node: FakeNode) -> None:
    node.state = (S.SHADOW, 200)  # type: ignore[assignment]
    with pytest.raises(ConsoleError, match="another version"):
        board.test(never)


def begun(folder: Path, board: BridgedNode) -> Rig:
    rig = Rig(folder)
    rig.board = board  # type: ignore[assignment]
    rig.begin()
    return rig


@pytest.mark.parametrize("ends", [(S.CONFIRMED, Result.SUCCESS), (S.REVERTED, Result.OP_MISSING)])
def test_a_rollout_over_it(
    board: BridgedNode, node: FakeNode, tmp_path: Path, ends: tuple[UpdateState, Result]
) -> None:
    rig = begun(tmp_path, board)
    node.ends = ends
    rig.send(rig.broker.offer(1, NEW))
    last = rig.broker.statuses[-1]
    assert (last.state, last.result) == ends
    birth = rig.broker.births[-1]
    assert birth.model is not None
    assert birth.model.image == digest_of(NEW if ends[0] is S.CONFIRMED else OLD)
    assert rig.record.counter == (3 if ends[0] is S.CONFIRMED else 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["record.json"]


FIRMWARE = signed_app(app_of("0.3.0"), counter=5)


@pytest.mark.parametrize("ends", [(S.CONFIRMED, Result.SUCCESS), (S.REVERTED, Result.BOOT_FAILED)])
def test_a_firmware_rollout_over_it(
    board: BridgedNode, node: FakeNode, tmp_path: Path, ends: tuple[UpdateState, Result]
) -> None:
    """Its broker never answers: that it is heard by SMP stands for that, once its vectors have passed."""
    rig = begun(tmp_path, board)
    before = rig.broker.births[-1]
    assert (before.firmware.version, before.firmware.image) == ("0.2.1", b"\7" * 32)
    assert (before.firmware.security_counter, before.firmware.slot) == (4, 0)
    rooms = [slot for slot in before.slots if slot.kind is ArtifactKind.FIRMWARE]
    assert [(slot.index, slot.size_bytes) for slot in rooms] == [(0, 65536), (1, 65536)]
    node.ends = ends
    rig.send(rig.broker.offer_firmware(1, FIRMWARE))
    last = rig.broker.statuses[-1]
    assert (last.state, last.result) == ends
    assert (node.uploads, node.tests) == (1, 1)
    birth = rig.broker.births[-1]
    passed = ends[0] is S.CONFIRMED
    assert birth.firmware.image == (digest_of(FIRMWARE) if passed else b"\7" * 32)
    assert birth.firmware.version == ("0.3.0" if passed else "0.2.1")
    assert rig.record.firmware_counter == (5 if passed else 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["record.json"]


def test_an_agent_that_was_killed_in_a_firmwares_trial_finds_it(board: BridgedNode, node: FakeNode) -> None:
    board.program_firmware(FIRMWARE)
    node.silent = 0
    board.program_firmware(FIRMWARE)
    assert (node.uploads, node.tests) == (1, 1), "neither sent nor reset again"
    hello, failure = board.test_firmware(digest_of(FIRMWARE), never)
    assert (hello.app, failure) == ("node 0.3.0", None)
    board.program_firmware(FIRMWARE)
    assert board.test_firmware(digest_of(FIRMWARE), never)[1] is None


def test_a_firmware_that_never_passes_has_no_end(board: BridgedNode, node: FakeNode) -> None:
    node.heard_by_smp = False
    board.program_firmware(FIRMWARE)
    with pytest.raises(StepTimeout, match="it is on trial"):
        board.test_firmware(digest_of(FIRMWARE), never)


def test_firmware_of_before_does_not_say_that_it_takes_another(
    board: BridgedNode, node: FakeNode, tmp_path: Path
) -> None:
    del node.runtime["firmware_bytes"]
    rig = begun(tmp_path, board)
    assert [slot.kind for slot in rig.broker.births[-1].slots] == [ArtifactKind.MODEL]
    rig.send(rig.broker.offer_firmware(1, FIRMWARE))
    assert (rig.told, rig.broker.statuses[-1].result) == ([S.FAILED], Result.UNSUPPORTED_TYPE)


def test_what_it_refuses_is_no_failure_on_the_way(board: BridgedNode, node: FakeNode, tmp_path: Path) -> None:
    rig = begun(tmp_path, board)
    node.refuses = True
    rig.send(rig.broker.offer(1, NEW))
    assert rig.broker.statuses[-1].state is S.REVERTED
    assert "rc 11" in (rig.broker.statuses[-1].detail or "")
    assert bridge_node.MODEL == 1
