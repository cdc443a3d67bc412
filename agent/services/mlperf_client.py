"""Asks any firmware that speaks MLPerf Tiny's serial protocol; what is lost on the line is sent again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tinyfleet.agent.core.errors import ConsoleError, StepFailed
from tinyfleet.agent.core.mlperf import (
    CHUNK_BYTES,
    CHUNK_BYTES_ENERGY,
    Reply,
    ReplyParser,
    command,
    load_commands,
)
from tinyfleet.agent.services.ports import Clock, Console

REPLY_TIMEOUT_S: Final = 5.0
"""As the public runner waits."""
SETTLE_S: Final = 2.0
"""For a first answer: opening its port resets many a board."""
START_ATTEMPTS: Final = 8
LOAD_ATTEMPTS: Final = 3
ASK_ATTEMPTS: Final = 3
_QUIET_S: Final = 0.2
_READ_S: Final = 0.25
_BITS_A_BYTE: Final = 10


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` of the device, `profile` of the firmware, `model` or benchmark that it runs (kws01, …)."""

    name: str
    profile: str
    model: str


@dataclass(frozen=True, slots=True)
class Inferred:
    """`duration_us` by the board's clock; None in energy mode, where its pin tells. `results` of the last."""

    inferences: int
    duration_us: int | None
    results: tuple[float, ...]


class MlperfClient:
    """`energy`: the firmware tells times on a pin. Every call raises ConsoleError when the board stays silent
    or talks nonsense, StepFailed with its own words when it refuses."""

    def __init__(
        self,
        board: str,
        console: Console,
        clock: Clock,
        baud: int,
        *,
        energy: bool = False,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._board = board
        self._console = console
        self._clock = clock
        self._byte_s = _BITS_A_BYTE / baud
        self._energy = energy
        self._on_line = on_line
        self._parser = ReplyParser()
        self._replies: list[Reply] = []

    def start(self) -> Identity:
        """Who it is, once it answers: it may just be starting, or have half a command from before."""
        for _ in range(START_ATTEMPTS):
            with contextlib.suppress(ConsoleError):
                name = self._named()
                break
        else:
            raise self._silent("name", START_ATTEMPTS * SETTLE_S)
        reply = self._ask("profile", command("profile"))
        if reply.profile is None and reply.model is None:
            raise self._failed("profile", f"it said {reply.said()}", "is this MLPerf Tiny's firmware?")
        return Identity(name, reply.profile or "", reply.model or "")

    def load(self, data: bytes) -> None:
        """An input. A byte that the line lost costs another try."""
        for attempt in range(1, LOAD_ATTEMPTS + 1):
            try:
                self._load(data)
                return
            except (ConsoleError, StepFailed):
                if attempt == LOAD_ATTEMPTS:
                    raise
                # What is left of a command in its buffer goes with the next one.
                self._named()

    def infer(self, inferences: int, warmups: int, timeout_s: float) -> Inferred:
        """Of the input loaded last; it is taken once, whatever the number."""
        # The number of warm-ups always: firmwares do not agree on what goes without saying.
        reply = self._ask("infer", command("infer", inferences, warmups), timeout_s)
        if reply.results is None and reply.nonsense is None:
            reply = self._with_results(reply)
        if reply.results is None:
            cause = reply.nonsense or f"no results; it said {reply.said()}"
            raise self._failed("infer", cause, "is this MLPerf Tiny's firmware?")
        return Inferred(inferences, self._duration_us(reply), reply.results)

    def close(self) -> None:
        self._console.close()

    def _duration_us(self, reply: Reply) -> int | None:
        if self._energy:
            if reply.laps_us:
                raise self._failed(
                    "infer", "it tells times on the line, not on its pin", "program its build for energy"
                )
            return None
        if len(reply.laps_us) != 2:
            cause = f"{len(reply.laps_us)} times, expected 2; it said {reply.said()}"
            raise self._failed("infer", cause, "an energy build tells none: use --mode energy")
        begin_us, end_us = reply.laps_us
        # A clock of 32 bits starts over after 71 minutes.
        duration_us = end_us - begin_us if end_us >= begin_us else end_us - begin_us + 2**32
        if not 0 < duration_us < 2**32:
            raise self._failed("infer", f"times {begin_us} and {end_us} us", "its clock stands still?")
        return duration_us

    def _with_results(self, reply: Reply) -> Reply:
        """Asked for, where `infer` did not tell them."""
        results = self._ask("results", command("results"))
        return Reply(
            *(reply.lines + results.lines, reply.text, reply.errors, reply.laps_us),
            *(results.results, results.nonsense),
        )

    def _load(self, data: bytes) -> None:
        size = CHUNK_BYTES_ENERGY if self._energy else CHUNK_BYTES
        commands = load_commands(data, size)
        reply = self._ask("db load", next(commands))
        if reply.expecting != len(data):
            # The reference says `Supplied buffer size … exceeds maximum` where it has no room, and no e-[.
            raise self._failed(
                "db load", f"it does not take {len(data)} bytes: {reply.said()}", "see its help"
            )
        for piece in commands:
            reply = self._ask("db", piece)
        if not reply.loaded:
            raise self._failed(
                "db", "the last byte came, and it waits for more", "bytes were lost on the line"
            )

    def _named(self) -> str:
        """Its name. Answers to what was asked before are passed over. ConsoleError when none came."""
        self._replies.clear()
        self._write(command("name"))
        end_s = self._clock.monotonic_s() + SETTLE_S
        name, again = None, ASK_ATTEMPTS
        while name is None:
            reply = self._next(end_s)
            if reply is None:
                raise self._silent("name", SETTLE_S)
            name = reply.name
            if name is None and again > 0:
                # It was an older answer, or the name went behind a command whose end was lost.
                self._write(command("name"))
                again -= 1
        while self._next(self._clock.monotonic_s() + _QUIET_S) is not None:
            pass
        return name

    def _ask(self, step: str, said: bytes, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        self._replies.clear()
        self._write(said)
        line_s = len(said) * self._byte_s
        reply = self._next(self._clock.monotonic_s() + timeout_s + line_s)
        if reply is None:
            raise self._silent(step, timeout_s)
        if reply.errors:
            raise StepFailed(
                *(self._board, step, f"the board says: {'; '.join(reply.errors)}"),
                "its `help` tells what it takes; is the input of this model's size?",
            )
        return reply

    def _next(self, end_s: float) -> Reply | None:
        while not self._replies:
            left_s = end_s - self._clock.monotonic_s()
            if left_s <= 0:
                return None
            for reply in self._parser.feed(self._console.read(min(left_s, _READ_S))):
                for line in reply.text:
                    self._on_line(line)
                self._replies.append(reply)
        return self._replies.pop(0)

    def _write(self, data: bytes) -> None:
        self._console.write(data)

    def _silent(self, step: str, timeout_s: float) -> ConsoleError:
        cause = f"no m-ready within {timeout_s:g} s; it said {self._parser.unfinished()}"
        return self._failed(step, cause, "is MLPerf Tiny's firmware on the board, at this baud rate?")

    def _failed(self, step: str, cause: str, hint: str) -> ConsoleError:
        return ConsoleError(self._board, step, cause, hint)
