"""Many requests at once over a line that loses frames: each window is answered once, by the board as SPEC
section 9 says it is. First against a board in Python, then against the bench app itself, as a process."""

from __future__ import annotations

import hashlib
import itertools
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host_build import TIMEOUT_S as BUILD_TIMEOUT_S
from tests.host_build import build_host
from tests.integration.agent.emulated_bench import mlperf_model, plan_of
from tests.models import livestock
from tests.unit.agent.fakes import FakeClock

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.core.bench_image import wrap_model
from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.errors import BoardSaidNo, ConsoleError
from tinyfleet.agent.core.link import UNDER_WAY_MAX, Link, Lost, Request
from tinyfleet.agent.services.console_client import ConsoleClient
from tinyfleet.model.twin import Twin
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import CoreVariant, FrameType, Result
from tinyfleet.wire.frame import Frame, FrameDecoder, encode_frame
from tinyfleet.wire.messages import Hello

ROOT = Path(__file__).resolve().parents[3]
BENCH_HOST_ENERGY = ROOT / "build" / "firmware" / "host" / "tests" / "bench_host_energy"
BENCH_HOST = ROOT / "build" / "firmware" / "host" / "tests" / "bench_host"
WINDOW_BYTES = 600

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_S + 120)


def output_of(window: bytes) -> bytes:
    return bytes([sum(window) & 0xFF, window[0], len(window) & 0xFF])


class Board:
    """Carries requests out in order. `loses(frame)` says which frames never arrive, on either way."""

    def __init__(
        self, clock: FakeClock, stored: list[bytes], loses: Callable[[Frame], bool], many: bool = True
    ) -> None:
        self._clock, self._stored, self._loses, self._many = clock, stored, loses, many
        self._decoder = FrameDecoder()
        self._expected: int | None = None
        self._behind = 128
        self._loaded = b""
        self._waiting: list[bytes] = []
        self.carried_out = 0
        self.under_way = 0
        self.most_under_way = 0

    def read(self, timeout_s: float) -> bytes:
        if not self._waiting:
            self._clock.now_s += timeout_s
            return b""
        self._clock.now_s += 0.001
        self.under_way = 0
        return self._waiting.pop(0)

    def close(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.under_way += len(data)
        self.most_under_way = max(self.most_under_way, self.under_way)
        for item in self._decoder.feed(data):
            assert isinstance(item, Frame)
            if not self._loses(item):
                self._take(item)

    def _say(self, kind: int, seq: int, body: bytes) -> None:
        frame = Frame(kind, seq, body)
        if not self._loses(frame):
            self._waiting.append(encode_frame(frame))

    def _take(self, frame: Frame) -> None:
        if self._many and frame.type != FrameType.HELLO and self._expected not in (None, frame.seq):
            assert self._expected is not None
            ahead = (frame.seq - self._expected) % 256
            if ahead >= 128 or ahead <= self._behind:
                self._say(FrameType.EXPECT | 0x80, frame.seq, bytes([self._expected]))
            self._behind = ahead if ahead < 128 else self._behind
            return
        self._expected, self._behind = (frame.seq + 1) % 256, 128
        self.carried_out += 1
        self._carry_out(frame)

    def _carry_out(self, frame: Frame) -> None:
        reply, body = frame.type | 0x80, frame.body
        number = int.from_bytes(body[:4], "little")
        if frame.type == FrameType.HELLO:
            self._say(reply, frame.seq, encode(self.hello()))
        elif frame.type == FrameType.INFER:
            self._say(reply, frame.seq, bytes(4) + output_of(body))
        elif frame.type == FrameType.GOLDEN:
            self._say(reply, frame.seq, bytes(4) + output_of(self._stored[number]))
        elif frame.type == FrameType.LOAD:
            self._loaded = (self._loaded if number else b"") + body[4:]
            assert len(self._loaded) == number + len(body) - 4, "a piece out of order was carried out"
            self._say(reply, frame.seq, len(self._loaded).to_bytes(4, "little"))
        elif frame.type == FrameType.RUN:
            self._say(reply, frame.seq, bytes(8) + output_of(self._loaded))
        elif frame.type == FrameType.SWEEP:
            for i in range(number, number + int.from_bytes(body[4:], "little")):
                self._say(reply, frame.seq, i.to_bytes(4, "little") + bytes(4) + output_of(self._stored[i]))

    def hello(self) -> Hello:
        many = {"window_bytes": 2048, "golden_bytes": 0} if self._many else {}
        return Hello(
            app="bench",
            device_type="t",
            input_bytes=WINDOW_BYTES,
            output_bytes=3,
            golden=len(self._stored),
            arena_bytes=1,
            abi=1,
            core=CoreVariant.PORTABLE,
            **many,
        )


def run_all(client: ConsoleClient, windows: list[bytes], stored: int) -> list[Answer]:
    client.hello()
    client.begin(windows, stored)
    answers: dict[int, Answer] = {}
    while len(answers) < len(windows):
        came = client.advance()
        assert not answers.keys() & dict(came).keys(), "a window was answered twice"
        answers.update(came)
    return [answers[i] for i in range(len(windows))]


def windows_of(size: int, count: int) -> list[bytes]:
    rng = np.random.default_rng([size, count])
    return [rng.bytes(size) for _ in range(count)]


@settings(max_examples=60, deadline=None)
@given(
    size=st.sampled_from([8, 600, 1024, 1025, 3072]),
    count=st.integers(1, 40),
    share=st.floats(0, 1),
    losses=st.sets(st.integers(0, 90), max_size=8),
    many=st.booleans(),
)
def test_every_window_is_answered_whatever_is_lost(
    size: int, count: int, share: float, losses: set[int], many: bool
) -> None:
    if not many:
        size = min(size, 1024)
    windows = windows_of(size, count)
    numbers = itertools.count()
    clock = FakeClock()

    def loses(frame: Frame) -> bool:
        return frame.type & 0x7F != FrameType.HELLO and next(numbers) in losses

    board = Board(clock, windows, loses, many)
    client = ConsoleClient("b", board, clock)
    answers = run_all(client, windows, round(share * count))
    assert [answer.output for answer in answers] == [output_of(window) for window in windows]


def test_the_line_is_kept_busy_and_the_board_not_overrun() -> None:
    clock = FakeClock()
    windows = windows_of(200, 50)
    board = Board(clock, windows, lambda frame: False)
    run_all(ConsoleClient("b", board, clock), windows, 0)
    assert 1500 < board.most_under_way <= 2048
    assert board.carried_out == 1 + 50


def test_a_lost_frame_costs_what_was_under_way_and_no_time() -> None:
    clock = FakeClock()
    windows = windows_of(200, 50)
    lost = iter([False] * 21 + [True])
    board = Board(clock, windows, lambda frame: frame.type == FrameType.INFER and next(lost, False))
    run_all(ConsoleClient("b", board, clock), windows, 0)
    assert board.carried_out == 1 + 50
    assert clock.now_s < 100.4, "no time-out was waited for"


def test_a_board_that_falls_silent_is_given_up() -> None:
    clock = FakeClock()
    windows = windows_of(8, 5)
    board = Board(clock, windows, lambda frame: frame.type & 0x7F != FrameType.HELLO)
    with pytest.raises(ConsoleError, match="infer: no answer within 30 s"):
        run_all(ConsoleClient("b", board, clock), windows, 0)
    assert clock.now_s < 140


def test_numbers_wrap_and_stay_below_half_the_circle() -> None:
    link = Link(1 << 20, 115_200, 250, 0.0)
    link.submit(Request(FrameType.INFER, b"x", i) for i in range(300))
    sent = [item for item in FrameDecoder().feed(link.to_send(0.0)) if isinstance(item, Frame)]
    assert len(sent) == UNDER_WAY_MAX
    assert [frame.seq for frame in sent[:8]] == [250, 251, 252, 253, 254, 255, 0, 1]
    # An answer to the third says that those of the first two were lost.
    events = link.receive(Frame(0x82, 252, b"answer"), 0.1)
    assert [type(event).__name__ for event in events] == ["Lost", "Lost", "Answered"]
    assert isinstance(events[1], Lost) and events[1].request.key == 1
    assert link.receive(Frame(0x82, 252, b"again"), 0.1) == []
    # What the board waits for is sent again, and all behind it; what it had before is done.
    assert [e.request.key for e in link.receive(Frame(0x8C, 2, bytes([255])), 0.2)] == [3, 4]
    again = [item for item in FrameDecoder().feed(link.to_send(0.2)) if isinstance(item, Frame)]
    assert [frame.seq for frame in again[:3]] == [255, 0, 1]
    assert link.receive(Frame(0x8C, 253, bytes([9])), 0.2) == [], "of a request long done"


# ---- the bench app as a process ----


class Process:
    """The bench app; `spoil` changes what goes over the line, on either way. `edges`: a file for those of the
    build for a meter."""

    def __init__(
        self,
        image: Path,
        flash: Path,
        spoil: Callable[[bytes], bytes] = lambda data: data,
        edges: Path | None = None,
    ) -> None:
        self._spoil = spoil
        with (edges or Path(os.devnull)).open("wb") as told:
            self._child = subprocess.Popen(
                [str(BENCH_HOST if edges is None else BENCH_HOST_ENERGY), str(image), str(flash)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told if edges is not None else None,
                bufsize=0,
            )

    def read(self, timeout_s: float) -> bytes:
        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], timeout_s)
        if not ready:
            return b""
        data = self._child.stdout.read(4096)
        assert data, "the bench app ended"
        return self._spoil(data)

    def write(self, data: bytes) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(self._spoil(data))

    def close(self) -> None:
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.close()
        assert self._child.wait(10) == 0
        self._child.stdout.close()


@pytest.fixture(scope="module")
def payload() -> bytes:
    return livestock("v1", vectors=2)


@pytest.fixture(scope="module")
def bench_host() -> None:
    """Builds it with the firmware's host tests, whose libraries it shares."""
    build_host("bench_host", "bench_host_energy")


@pytest.fixture
def files(tmp_path: Path, payload: bytes, bench_host: None) -> Iterator[tuple[Path, Path]]:
    image, flash = tmp_path / "model.img", tmp_path / "flash.bin"
    image.write_bytes(wrap_model(payload, "bench-host"))
    flash.write_bytes(b"\xff" * 96 * 1024)
    yield image, flash


def inputs(count: int, seed: int = 1) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-128, 128, 384).astype(np.int8).tobytes() for _ in range(count)]


def expected(payload: bytes, windows: list[bytes]) -> list[bytes]:
    twin = Twin(payload)
    return [twin.run(window).tobytes() for window in windows]


@pytest.mark.parametrize("seed", range(2))
def test_the_bench_app_over_a_line_that_loses_bytes(
    files: tuple[Path, Path], payload: bytes, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def spoil(data: bytes) -> bytes:
        """One byte in ten thousand is lost, one changed, once the two have met."""
        out = bytearray()
        for byte in data:
            what = rng.random() if spoiling else 1.0
            if what >= 0.0001:
                out.append(byte ^ (0x10 if what < 0.0002 else 0))
        return bytes(out)

    spoiling = False
    console = Process(*files, spoil)
    client = ConsoleClient("b", console, SystemClock())
    windows = inputs(120)
    client.hello()
    spoiling = True
    assert client.keep(windows[:60]) == 60
    client.begin(windows, 60)
    answers: dict[int, Answer] = {}
    while len(answers) < len(windows):
        answers.update(client.advance())
    spoiling = False
    console.close()
    assert [answers[i].output for i in range(120)] == expected(payload, windows)


def test_the_build_for_a_meter_marks_each_inference(
    files: tuple[Path, Path], payload: bytes, tmp_path: Path
) -> None:
    """However its window comes: swept from flash, in a frame."""
    edges = tmp_path / "edges"
    console = Process(*files, edges=edges)
    client = ConsoleClient("b", console, SystemClock())
    client.hello()
    windows = inputs(12)
    assert client.keep(windows[:8]) == 8
    assert edges.read_text() == "edge\n", "MLPerf's protocol tells of the start, too"
    client.begin(windows, 8)
    answers: dict[int, Answer] = {}
    while len(answers) < len(windows):
        answers.update(client.advance())
    console.close()
    assert edges.read_text() == "edge\n" * (1 + 2 * 12)
    assert [answers[i].output for i in range(12)] == expected(payload, windows)


def test_golden_sets_stay_and_make_room(files: tuple[Path, Path], payload: bytes) -> None:
    first, second, large = inputs(40, 1), inputs(41, 2), inputs(240, 3)
    digests = [hashlib.sha256(b"".join(windows)).digest() for windows in (first, second, large)]
    console = Process(*files)
    client = ConsoleClient("b", console, SystemClock())
    assert client.hello().golden == 0
    assert [client.select(digest) for digest in digests] == [0, 0, 0]
    assert client.keep(first) == 40
    assert client.keep(second) == 41
    console.close()

    console = Process(*files)
    client = ConsoleClient("b", console, SystemClock())
    hello = client.hello()
    assert (hello.golden, hello.golden_set) == (40, digests[0])
    assert hello.golden_bytes is not None and hello.golden_bytes < 96 * 1024 - 81 * 384
    assert [client.select(digest) for digest in digests] == [40, 41, 0]
    client.begin(second, 41)
    answers: dict[int, Answer] = {}
    while len(answers) < 41:
        answers.update(client.advance())
    assert [answers[i].output for i in range(41)] == expected(payload, second)
    # There is no room beside the others: they go.
    assert client.keep(large) == 240
    assert [client.select(digest) for digest in digests] == [0, 0, 240]
    with pytest.raises(BoardSaidNo, match="no room for this golden set") as told:
        client.keep(inputs(300, 4))
    assert told.value.result == Result.NO_FLASH
    console.close()


def test_inputs_larger_than_a_frame(tmp_path: Path, bench_host: None) -> None:
    plan = plan_of(mlperf_model("ic01"), "bench-host")
    image, flash = tmp_path / "model.img", tmp_path / "flash.bin"
    image.write_bytes(wrap_model(plan, "bench-host"))
    flash.write_bytes(b"\xff" * 96 * 1024)
    rng = np.random.default_rng(5)
    windows = [rng.integers(-128, 128, 3072).astype(np.int8).tobytes() for _ in range(4)]
    console = Process(image, flash)
    client = ConsoleClient("b", console, SystemClock())
    answers = run_all(client, windows, 0)
    console.close()
    twin = Twin(plan)
    assert [answer.output for answer in answers] == [twin.run(w).tobytes() for w in windows]


def test_one_protocol_never_answers_with_the_others_memory(files: tuple[Path, Path], payload: bytes) -> None:
    """A frame's inference leaves no MLPerf results behind; MLPerf's input ends what RUN is doing."""
    console = Process(*files)
    window = inputs(1)[0]
    said = bytearray()

    def ask(data: bytes, end: bytes, count: int = 1) -> bytes:
        """What was said up to `end`, `count` times."""
        console.write(data)
        limit_s = time.monotonic() + 20
        while said.count(end) < count and time.monotonic() < limit_s:
            said.extend(console.read(0.5))
        assert said.count(end) >= count, bytes(said[-200:])
        answer = bytes(said)
        said.clear()
        return answer

    ask(b"", b"m-ready\r\n")
    pieces = b"".join(b"db %s%%" % window[at : at + 32].hex().encode() for at in range(0, 384, 32))
    assert b"m-results-[" in ask(b"db load 384%" + pieces + b"infer 1 0%", b"m-ready\r\n", 14)
    infer = encode_frame(Frame(FrameType.INFER, 2, window))
    assert b"e-[No inference yet]" in ask(infer + b"results%", b"m-ready\r\n")
    load = encode_frame(Frame(FrameType.LOAD, 3, bytes(4) + window))
    run = encode_frame(Frame(FrameType.RUN, 4, (2**31).to_bytes(4, "little")))
    results = ask(load + run + b"db load 384%", b"m-[Expecting 384 bytes]")
    # The run has ended: another request is answered, and no result comes any more.
    results += ask(encode_frame(Frame(FrameType.GOLDEN, 5, b"\0\0")), b"no stored window")
    frames = [item for item in FrameDecoder().feed(results) if isinstance(item, Frame)]
    assert (frames[-1].type, frames[-1].seq) == (FrameType.ERROR, 5)
    outputs = {frame.body[8:] for frame in frames if frame.type == FrameType.RUN | 0x80}
    assert outputs <= set(expected(payload, [window]))
    console.close()
