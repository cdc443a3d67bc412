"""Asks a board by frames on its console (SPEC section 9); text lines beside them are handed on."""

from __future__ import annotations

from collections.abc import Callable

from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.errors import BoardSaidNo, ConsoleError
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
_DURATION_BYTES = 4
_RESET = "reset the board: `tinyfleet bench flash` does"


class ConsoleClient:
    """One request at a time. `on_line` gets every text line."""

    def __init__(
        self, board: str, console: Console, clock: Clock, on_line: Callable[[str], None] = lambda line: None
    ) -> None:
        self._board = board
        self._console = console
        self._clock = clock
        self._on_line = on_line
        self._decoder = FrameDecoder()
        self._seq = 0

    def hello(self) -> Hello:
        """What the board says of itself. Asked again while it is silent: it may just be starting."""
        for attempt in range(HELLO_ATTEMPTS):
            try:
                body = self._ask(FrameType.HELLO, b"", HELLO_TIMEOUT_S)
                return decode(Hello, body)
            except ConsoleError:
                if attempt == HELLO_ATTEMPTS - 1:
                    raise
            except WireError as error:
                raise self._failed(
                    "hello", f"an answer that is no hello: {error}", "update its firmware"
                ) from error
        raise AssertionError("unreachable")

    def infer(self, window: bytes) -> Answer:
        """Runs the model on these input bytes. Raises BoardSaidNo, ConsoleError."""
        return self._answer("infer", self._ask(FrameType.INFER, window, INFER_TIMEOUT_S))

    def infer_stored(self, index: int) -> Answer:
        """Runs the model on a window the board keeps in flash."""
        return self._answer(
            "golden", self._ask(FrameType.GOLDEN, index.to_bytes(2, "little"), INFER_TIMEOUT_S)
        )

    def close(self) -> None:
        self._console.close()

    def _answer(self, step: str, body: bytes) -> Answer:
        if len(body) <= _DURATION_BYTES:
            raise self._failed(step, f"an answer of {len(body)} bytes, expected a time and an output", _RESET)
        return Answer(body[_DURATION_BYTES:], int.from_bytes(body[:_DURATION_BYTES], "little"))

    def _ask(self, kind: FrameType, body: bytes, timeout_s: float) -> bytes:
        self._seq = (self._seq + 1) & 0xFF
        self._console.write(encode_frame(Frame(kind, self._seq, body)))
        end_s = self._clock.monotonic_s() + timeout_s
        broken = ""
        while self._clock.monotonic_s() < end_s:
            for item in self._decoder.feed(self._console.read(_READ_S)):
                if isinstance(item, Line):
                    self._on_line(item.text)
                elif isinstance(item, Broken):
                    broken = f"; a broken frame came: {item.error}"
                elif item.seq == self._seq:
                    return self._reply(kind, item)
                # Another number: the late answer to a request that was given up.
        raise self._failed(
            kind.name.lower(),
            f"no answer within {timeout_s:g} s{broken}",
            "is the bench firmware on the board?",
        )

    def _reply(self, kind: FrameType, frame: Frame) -> bytes:
        if frame.type == FrameType.ERROR:
            code = frame.body[0] if frame.body else 0
            name = Result(code).name if code in set(Result) else str(code)
            text = frame.body[1:].decode("utf-8", errors="replace")
            raise BoardSaidNo(
                self._board, f"{kind.name.lower()} refused: {name}: {text}", code, _advice(code)
            )
        if frame.type != kind | FRAME_REPLY:
            raise self._failed(kind.name.lower(), f"an answer of type {frame.type:#x}", _RESET)
        return frame.body

    def _failed(self, step: str, cause: str, hint: str) -> ConsoleError:
        return ConsoleError(self._board, step, cause, hint)


def _advice(code: int) -> str:
    if code == Result.SIGNATURE:
        return "a bench board takes unsigned images only: program it with `tinyfleet bench flash --model`"
    if code in (Result.ARENA_TOO_SMALL, Result.OP_MISSING):
        return "choose a smaller model, or one with the ops this firmware has"
    return "program the model again: `tinyfleet bench flash --model`"
