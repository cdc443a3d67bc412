"""Asks a board by frames on its console (SPEC section 9); text lines beside them are handed on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.errors import BoardSaidNo, ConsoleError
from tinyfleet.agent.core.framed_run import FramedRun, pieces, word
from tinyfleet.agent.core.link import Answered, Event, Link, Refused, Request
from tinyfleet.agent.services.ports import Clock, Console
from tinyfleet.wire.codec import decode
from tinyfleet.wire.enums import FrameType, Result
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.frame import Broken, Frame, FrameDecoder, Line, encode_frame
from tinyfleet.wire.limits import FRAME_REPLY
from tinyfleet.wire.messages import Hello

HELLO_TIMEOUT_S = 2.0
HELLO_ATTEMPTS = 5
INFER_TIMEOUT_S = 30.0
_READ_S = 0.25
_WORD_BYTES = 4
_RESET = "reset the board: `tinyfleet bench flash` does"


class ConsoleClient:
    """`on_line` gets every text line. First `hello`; then as many requests are under way as a board takes."""

    def __init__(
        self,
        board: str,
        console: Console,
        clock: Clock,
        on_line: Callable[[str], None] = lambda line: None,
        baud: int = 115_200,
    ) -> None:
        self._board = board
        self._console = console
        self._clock = clock
        self._on_line = on_line
        self._baud = baud
        self._decoder = FrameDecoder()
        self._seq = 0
        self._broken = ""
        self._link = Link(None, baud, 0, clock.monotonic_s())
        self._many = False
        self._run = FramedRun((), 0, False)

    def hello(self, attempts: int = HELLO_ATTEMPTS) -> Hello:
        """What the board says of itself. Asked again while it is silent: it may just be starting."""
        for attempt in range(attempts):
            try:
                hello = decode(Hello, self._ask_hello())
                break
            except ConsoleError:
                if attempt == attempts - 1:
                    raise
            except WireError as error:
                raise self._failed(
                    "hello", f"an answer that is no hello: {error}", "update its firmware"
                ) from error
        self._many = hello.window_bytes is not None
        now_s = self._clock.monotonic_s()
        self._link = Link(hello.window_bytes, self._baud, (self._seq + 1) & 0xFF, now_s)
        return hello

    def listen(self, timeout_s: float) -> None:
        """For so long, without a word: `on_line` gets what comes."""
        end_s = self._clock.monotonic_s() + timeout_s
        while self._clock.monotonic_s() < end_s:
            for _ in self._frames(_READ_S):
                continue

    def select(self, digest: bytes) -> int:
        """How many windows the stored golden set with that digest has; 0: the board has no such set."""
        return int.from_bytes(self._one(FrameType.SELECT, digest)[:_WORD_BYTES], "little")

    def keep(self, windows: Sequence[bytes]) -> int:
        """Stores a golden set; what the board kept before goes where there is no room beside it. How many
        windows it keeps. Raises BoardSaidNo, ConsoleError."""
        data = b"".join(windows)
        digest = hashlib.sha256(data).digest()
        begin = digest + word(len(windows)) + word(len(windows[0]))
        try:
            self._one(FrameType.STORE, begin)
        except BoardSaidNo as error:
            if error.result != Result.NO_FLASH:
                raise
            self._one(FrameType.ERASE, b"")
            self._one(FrameType.STORE, begin)
        self._link.submit(pieces(FrameType.PUT, data))
        while not self._link.idle:
            self._events("put")
        return self.select(digest)

    def begin(self, windows: Sequence[bytes], stored: int) -> None:
        """Of these windows, the board keeps the first `stored`."""
        self._run = FramedRun(windows, stored, self._many)
        self._link.submit(self._run.requests())

    def advance(self) -> list[tuple[int, Answer]]:
        """Window and answer of those that were answered since, at least one; none when all are. Raises
        BoardSaidNo, ConsoleError."""
        answers: list[tuple[int, Answer]] = []
        while not answers and not self._run.done:
            for event in self._events("infer"):
                try:
                    answered, anew = self._run.take(event)
                except ValueError as error:
                    step = event.request.type.name.lower()
                    raise self._failed(step, str(error), _RESET) from error
                answers += answered
                self._link.submit(anew)
        return answers

    def close(self) -> None:
        self._console.close()

    def _one(self, kind: FrameType, body: bytes) -> bytes:
        """The one answer to a request. Carried out twice, these do no more than once."""
        request = Request(kind, body, None)
        self._link.submit([request])
        while True:
            for event in self._events(kind.name.lower()):
                if event.request is not request:
                    continue
                if isinstance(event, Answered):
                    return event.body
                self._link.submit([request])

    def _events(self, step: str) -> list[Event]:
        """What came, waiting for it; what is to be sent is sent. Raises BoardSaidNo at a refusal,
        ConsoleError once nothing has gone forward for INFER_TIMEOUT_S."""
        now_s = self._clock.monotonic_s()
        data = self._link.to_send(now_s)
        if data:
            self._console.write(data)
        events: list[Event] = []
        for frame in self._frames(min(_READ_S, self._link.wait_s(now_s))):
            events += self._link.receive(frame, self._clock.monotonic_s())
        for event in events:
            if isinstance(event, Refused):
                raise self._refusal(event.request.type, event.body)
        if not events and self._link.silent_s(self._clock.monotonic_s()) >= INFER_TIMEOUT_S:
            raise self._silent(step, INFER_TIMEOUT_S)
        return events

    def _ask_hello(self) -> bytes:
        self._seq = (self._seq + 1) & 0xFF
        self._console.write(encode_frame(Frame(FrameType.HELLO, self._seq, b"")))
        end_s = self._clock.monotonic_s() + HELLO_TIMEOUT_S
        while self._clock.monotonic_s() < end_s:
            for frame in self._frames(_READ_S):
                if frame.seq != self._seq:
                    continue  # the late answer to a request that was given up
                if frame.type == FrameType.ERROR:
                    raise self._refusal(FrameType.HELLO, frame.body)
                if frame.type != FrameType.HELLO | FRAME_REPLY:
                    raise self._failed("hello", f"an answer of type {frame.type:#x}", _RESET)
                return frame.body
        raise self._silent("hello", HELLO_TIMEOUT_S)

    def _frames(self, timeout_s: float) -> Iterable[Frame]:
        for item in self._decoder.feed(self._console.read(timeout_s)):
            if isinstance(item, Line):
                self._on_line(item.text)
            elif isinstance(item, Broken):
                self._broken = f"; a broken frame came: {item.error}"
            else:
                yield item

    def _refusal(self, kind: FrameType, body: bytes) -> BoardSaidNo | ConsoleError:
        if not body:
            return self._failed(kind.name.lower(), "an answer of another type", _RESET)
        name = Result(body[0]).name if body[0] in set(Result) else str(body[0])
        text = body[1:].decode("utf-8", errors="replace")
        what = f"{kind.name.lower()} refused: {name}: {text}"
        return BoardSaidNo(self._board, what, body[0], _advice(body[0]))

    def _silent(self, step: str, timeout_s: float) -> ConsoleError:
        cause = f"no answer within {timeout_s:g} s{self._broken}"
        return self._failed(step, cause, "is the bench firmware on the board?")

    def _failed(self, step: str, cause: str, hint: str) -> ConsoleError:
        return ConsoleError(self._board, step, cause, hint)


def _advice(code: int) -> str:
    if code == Result.SIGNATURE:
        return "a bench board takes unsigned images only: program it with `tinyfleet bench flash --model`"
    if code in (Result.ARENA_TOO_SMALL, Result.OP_MISSING):
        return "choose a smaller model, or one with the ops this firmware has"
    return "program the model again: `tinyfleet bench flash --model`"
