"""Golden sets over a console that answers, is silent, refuses, or talks nonsense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.agent.fakes import FakeClock, FakeConsole, reply

from tinyfleet.agent.adapters.run_store import RunStore
from tinyfleet.agent.core.bench_run import RunResult
from tinyfleet.agent.core.errors import BoardSaidNo, ConsoleError, PlanError
from tinyfleet.agent.core.faults import speaks_of_board
from tinyfleet.agent.core.golden import GoldenSet, top_class
from tinyfleet.agent.services.runner import Runner
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import CoreVariant, FrameType, Result, Timing
from tinyfleet.wire.frame import Frame, encode_frame
from tinyfleet.wire.messages import Hello

MODEL = bytes(range(32))
WINDOWS = tuple(bytes([i]) * 8 for i in range(6))
EXPECTED = tuple(bytes([i, 5, 0xFF]) for i in range(6))
GOLDEN = GoldenSet(WINDOWS, labels=(1, 1, 1, 1, 1, 1), expected=EXPECTED)
HELLO = Hello(
    app="bench",
    device_type="microbit",
    model=MODEL,
    version="1.0.0",
    input_bytes=8,
    output_bytes=3,
    golden=4,
    arena_bytes=9000,
    abi=1,
    core=CoreVariant.PORTABLE,
)


def board(request: Frame) -> bytes:
    """Answers as the bench app does: output (first input byte, 5, -1) after 1000 us and more."""
    if request.type == FrameType.HELLO:
        return b"hello from the board\n" + reply(request, encode(HELLO))
    stored = request.type == FrameType.GOLDEN
    first = int.from_bytes(request.body, "little") if stored else request.body[0]
    return reply(request, (1000 + first).to_bytes(4, "little") + bytes([first, 5, 0xFF]))


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("b1")
    yield worker
    worker.close()


def run(
    worker: BoardWorker, answer: Callable[[Frame], bytes] = board, **options: object
) -> tuple[RunResult, FakeConsole]:
    clock = FakeClock()
    console = FakeConsole(clock, answer)
    golden = options.pop("golden", GOLDEN)
    try:
        runner = Runner(console, clock)
        result = runner.run(worker, "c", 115_200, golden, emulated=True, **options)  # type: ignore[arg-type]
    finally:
        assert console.closed
    return result, console


def test_stored_windows_go_by_index_and_the_rest_is_streamed(worker: BoardWorker) -> None:
    lines: list[str] = []
    result, console = run(worker, kept=WINDOWS[:4], model=MODEL, on_line=lines.append)
    kinds = [request.type for request in console.requests]
    assert kinds == [FrameType.HELLO, *[FrameType.GOLDEN] * 4, *[FrameType.INFER] * 2]
    assert console.requests[-1].body == WINDOWS[5]
    assert lines == ["hello from the board"]
    assert (result.windows, result.stored, result.different, result.exact) == (6, 4, 0, True)
    # Window 5's output (5, 5, -1) ties: the first class counts.
    assert (result.labelled, result.correct) == (6, 5)
    assert (result.latency_min_us, result.latency_median_us, result.latency_max_us) == (1000, 1002, 1005)
    assert (result.emulated, result.timing) == (True, Timing.INSTRUCTIONS)
    message = result.to_message()
    assert (message.model, message.correct, message.finished) == (MODEL, 5, 1_700_000_000)
    assert "energy" not in str(result.to_json())


@pytest.mark.parametrize(
    "change", [('"windows": 6', '"windows": "6"'), ('"version": "', '"version": "' + "v" * 99)]
)
def test_a_kept_run_that_cannot_be_told_is_none(
    worker: BoardWorker, tmp_path: Path, change: tuple[str, str]
) -> None:
    """One message tells of all boards: it is not to fail for one."""
    result, _ = run(worker, model=MODEL)
    store = RunStore(tmp_path)
    store.keep(result)
    assert store.last(result.board) == result.to_message()
    path = tmp_path / f"{result.board}.json"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    assert store.last(result.board) is None


def test_never_more_stored_than_the_board_says(worker: BoardWorker) -> None:
    _, console = run(worker, kept=WINDOWS)
    assert [request.type for request in console.requests].count(FrameType.GOLDEN) == 4


def test_one_other_byte_is_a_difference(worker: BoardWorker) -> None:
    def answer(request: Frame) -> bytes:
        if request.type == FrameType.INFER and request.body[0] == 3:
            return reply(request, bytes(4) + bytes([3, 5, 0xFE]))
        return board(request)

    result, _ = run(worker, answer)
    assert (result.compared, result.different, result.exact) == (6, 1, False)
    assert result.differences[0].window == 3
    assert result.to_json()["differences"] == [{"window": 3, "expected": "0305ff", "got": "0305fe"}]


def test_a_silent_board(worker: BoardWorker) -> None:
    with pytest.raises(ConsoleError, match="b1: hello: no answer within 2 s; is the bench firmware"):
        run(worker, lambda request: b"just text\n")


def test_a_board_that_wakes_late_is_asked_again(worker: BoardWorker) -> None:
    asked = []

    def answer(request: Frame) -> bytes:
        asked.append(request)
        return b"" if len(asked) < 3 else board(request)

    assert run(worker, answer)[0].exact


def test_an_answer_to_an_older_request_is_passed_over(worker: BoardWorker) -> None:
    def answer(request: Frame) -> bytes:
        late = encode_frame(Frame(0x82, (request.seq - 1) & 0xFF, bytes(7)))
        return late + board(request)

    assert run(worker, answer)[0].exact


def test_a_refusal_is_told_with_its_result(worker: BoardWorker) -> None:
    def answer(request: Frame) -> bytes:
        if request.type == FrameType.HELLO:
            return board(request)
        body = bytes([Result.GOLDEN_FAILED]) + b"a golden vector gave another output"
        return encode_frame(Frame(FrameType.ERROR, request.seq, body))

    with pytest.raises(BoardSaidNo, match="infer refused: GOLDEN_FAILED: a golden vector") as told:
        run(worker, answer)
    assert told.value.result == Result.GOLDEN_FAILED


@pytest.mark.parametrize(
    ("body", "complaint"),
    [(b"", "answer of 0 bytes"), (bytes(4), "answer of 4 bytes")],
)
def test_answers_that_are_too_short(worker: BoardWorker, body: bytes, complaint: str) -> None:
    with pytest.raises(ConsoleError, match=complaint):
        run(worker, lambda r: board(r) if r.type == FrameType.HELLO else reply(r, body))


def test_nonsense_for_hello(worker: BoardWorker) -> None:
    with pytest.raises(ConsoleError, match="an answer that is no hello"):
        run(worker, lambda request: reply(request, b"\xff\xff"))


def test_broken_frames_are_named(worker: BoardWorker) -> None:
    def answer(request: Frame) -> bytes:
        frame = bytearray(board(request))
        frame[-3] ^= 1
        return bytes(frame)

    with pytest.raises(ConsoleError, match="a broken frame came: frame CRC"):
        run(worker, answer)


def test_another_model_or_size_is_refused_before_anything_runs(worker: BoardWorker) -> None:
    with pytest.raises(PlanError, match=r"b1: hello: the board has model image 000102.*, expected ffff"):
        run(worker, model=b"\xff" * 32)
    with pytest.raises(PlanError, match="takes 8 bytes, the golden set's windows 9") as caught:
        run(worker, golden=GoldenSet((bytes(9),)))
    assert not speaks_of_board(caught.value), "it is well: no ladder is climbed for a forgotten flash"


def test_windows_of_several_steps_and_wider_outputs(worker: BoardWorker) -> None:
    result, _ = run(worker, golden=GoldenSet((bytes(16),)))
    assert result.windows == 1, "two steps of a model that keeps state"
    wide = GoldenSet((b"a",), value_bytes=2)
    assert wide.values(b"\xff\x00\x01\xff") == [255, -255]
    assert wide.first(1) == wide


def test_a_set_that_knows_nothing_gives_latencies_only(worker: BoardWorker) -> None:
    result, _ = run(worker, golden=GoldenSet(WINDOWS))
    assert (result.labelled, result.compared, result.accuracy, result.exact) == (0, 0, None, False)


def test_golden_sets_add_up() -> None:
    with pytest.raises(PlanError, match=r"windows of \[1, 2\] bytes"):
        GoldenSet((b"a", b"bc"))
    with pytest.raises(PlanError, match="1 labels for 2 windows"):
        GoldenSet((b"a", b"b"), labels=(1,))
    with pytest.raises(PlanError):
        GoldenSet(())
    assert GOLDEN.first(2).expected == EXPECTED[:2]
    assert top_class([-5, 3, 3]) == 1
