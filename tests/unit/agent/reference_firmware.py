"""An imitation of mlcommons/tiny's reference firmware (`benchmark/api/internally_implemented.cpp`) as a
console, with what firmwares in the field do to those who talk to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.unit.agent.fakes import FakeClock

ROOM_BYTES = 3000


@dataclass
class Quirks:
    """`trailing_comma`: VWW's. `end`: of each line. `split`: results over several lines. `before`: text on
    the same line, before each reply. `deaf`: so many bytes are lost while it starts. `lose`: these bytes of
    what it is sent, by number, are lost. `silent_results`: only when asked for. `energy`: times go to a pin.
    """

    trailing_comma: bool = False
    end: str = "\r\n"
    split: bool = False
    before: str = ""
    deaf: int = 0
    lose: set[int] = field(default_factory=set)
    silent_results: bool = False
    energy: bool = False


class ReferenceFirmware:
    """`services.ports.Console`. `answer` gives the results of an input; an inference takes `infer_us` of the
    board's time, and a thousandth of that of the test's clock."""

    def __init__(
        self,
        clock: FakeClock,
        answer: Callable[[bytes], list[float]],
        *,
        model: str = "kws01",
        quirks: Quirks | None = None,
        infer_us: float = 1000.0,
        ticks_us: int = 0,
    ) -> None:
        self.commands: list[str] = []
        self.edges_us: list[float] = []
        self.closed = False
        self.quirks = quirks or Quirks()
        self._clock = clock
        self._answer = answer
        self._model = model
        self._infer_us = infer_us
        self._now_us = float(ticks_us)
        self._held = ""
        self._came = 0
        self._room = bytearray()
        self._wanted = 0
        self._taken = b""
        self._results: list[float] = []
        self._out = b""

    def open(self, address: str, baud: int) -> ReferenceFirmware:
        return self

    def read(self, timeout_s: float) -> bytes:
        if not self._out:
            self._clock.now_s += timeout_s
            return b""
        # In pieces, as they come over a line.
        data, self._out = self._out[:7], self._out[7:]
        return data

    def write(self, data: bytes) -> None:
        for byte in data.decode():
            self._came += 1
            if self._came <= self.quirks.deaf or self._came in self.quirks.lose:
                continue
            if byte == "%":
                command, self._held = self._held, ""
                self.commands.append(command)
                self._obey(command)
                self._say("m-ready")
            elif len(self._held) < 80:
                self._held += byte

    def set_baud(self, baud: int) -> None: ...

    def close(self) -> None:
        self.closed = True

    def _say(self, text: str) -> None:
        # m-ready ends as the rules have it; the rest as the firmware's author liked.
        end = "\r\n" if text == "m-ready" else self.quirks.end
        self._out += (self.quirks.before + text + end).encode()

    def _timestamp(self) -> None:
        if self.quirks.energy:
            self.edges_us.append(self._now_us)
        else:
            self._say(f"m-lap-us-{int(self._now_us) % 2**32}")

    def _obey(self, command: str) -> None:
        words = command.split()
        if words[0] == "name":
            self._say("m-name-dut-[imitation]")
        elif words[0] == "profile":
            self._say("m-profile-[ULPMark for tinyML Firmware V0.0.1]")
            self._say(f"m-model-[{self._model}]")
        elif words[0] == "timestamp":
            self._timestamp()
        elif words[0] == "results":
            self._tell()
        elif words[0] == "infer":
            self._infer(int(words[1]), int(words[2]) if len(words) > 2 else 10)
        elif words[0] == "db" and len(words) > 1:
            self._buffer(words[1:])
        else:
            self._say(f"e-[Unknown command: {words[0]}]")

    def _buffer(self, words: list[str]) -> None:
        if words[0] == "load":
            self._wanted = int(words[1])
            self._room.clear()
            if self._wanted > ROOM_BYTES:
                self._out += f"Supplied buffer size {self._wanted} exceeds maximum of {ROOM_BYTES}\n".encode()
            else:
                self._say(f"m-[Expecting {self._wanted} bytes]")
        elif len(words[0]) % 2:
            self._say("e-[Insufficent number of hex digits]")
        else:
            try:
                self._room += bytes.fromhex(words[0])
            except ValueError:
                self._say(f"e-[Invalid hex digit '{words[0][:2]}']")
            if len(self._room) >= self._wanted:
                self._say("m-load-done")

    def _infer(self, count: int, warmups: int) -> None:
        self._taken = bytes(self._room)
        self._say(f"m-warmup-start-{warmups}")
        self._now_us += warmups * self._infer_us
        self._say("m-warmup-done")
        self._say(f"m-infer-start-{count}")
        self._timestamp()
        self._now_us += count * self._infer_us
        self._clock.now_s += (count + warmups) * self._infer_us * 1e-9
        self._timestamp()
        self._say("m-infer-done")
        self._results = self._answer(self._taken)
        if not self.quirks.silent_results:
            self._tell()

    def _tell(self) -> None:
        values = [f"{value:.3f}" for value in self._results]
        comma = ("," + self.quirks.end) if self.quirks.split else ","
        self._say(f"m-results-[{comma.join(values)}{',' if self.quirks.trailing_comma else ''}]")
