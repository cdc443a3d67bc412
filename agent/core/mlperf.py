"""MLPerf Tiny's serial protocol from the host's side: bytes in, replies out; commands as the public runner
sends them.

Sources: mlcommons/tiny `benchmark/api/internally_implemented.cpp`, `benchmark/runner/*.py`. What firmwares in
the field do beyond: results that end in a comma or come in several lines, lines that end in `\\n` or `\\r`
alone, text of their own before a reply on its line, and refusals that are no `e-[…]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LINE_MAX_BYTES: Final = 8192
LINES_MAX: Final = 20_000
"""Of one reply: `db print` tells 8 bytes a line."""
CHUNK_BYTES: Final = 31
"""Of input in a command, whose buffer has 80 characters."""
CHUNK_BYTES_ENERGY: Final = 26

_TOKEN = re.compile(
    r"m-(?:ready$|lap-us-|results-\[|init-done|load-done|timestamp-mode-|warmup-|infer-|name-dut-\[|profile-\["
    r"|model-\[|buffer-|\[)|e-\["
)
_BRACKETS = re.compile(r"\[(.*)\]", re.DOTALL)
_EXPECTING = re.compile(r"m-\[Expecting (\d+) bytes\]")


@dataclass(frozen=True, slots=True)
class Reply:
    """All that came until `m-ready`. `lines` are MLPerf's, `text` what else was said.

    `results` is None where there were none, or something else than numbers stood in them: then `nonsense`
    says what. `mode` is "performance" or "energy" where the firmware told of its start.
    """

    lines: tuple[str, ...]
    text: tuple[str, ...]
    errors: tuple[str, ...] = ()
    laps_us: tuple[int, ...] = ()
    results: tuple[float, ...] | None = None
    nonsense: str | None = None
    expecting: int | None = None
    loaded: bool = False
    name: str | None = None
    profile: str | None = None
    model: str | None = None
    mode: str | None = None

    def said(self) -> str:
        """In one line, for a message."""
        return " | ".join((*self.text, *self.lines))[-200:] or "nothing"


class ReplyParser:
    """Cuts what a board says into replies. Keeps at most a line of LINE_MAX_BYTES and LINES_MAX lines."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._lines: list[str] = []
        self._text: list[str] = []
        self._open: str | None = None

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completed. Never raises."""
        replies = []
        for byte in data:
            if byte in b"\r\n":
                reply = self._line()
                if reply is not None:
                    replies.append(reply)
            else:
                self._held.append(byte)
                if len(self._held) >= LINE_MAX_BYTES:
                    self._line()
        return replies

    def unfinished(self) -> str:
        """What came since the last reply, in one line, for a message."""
        parts = (*self._text, *self._lines, self._open or "", self._held.decode(errors="replace"))
        return " | ".join(part for part in parts if part)[-200:] or "nothing"

    def _line(self) -> Reply | None:
        line = self._held.decode("utf-8", errors="replace").strip()
        self._held.clear()
        if self._open is not None and line != "m-ready":
            # Results that go on in the next line.
            line, self._open = self._open + line, None
        found = _TOKEN.search(line)
        if found is None:
            if line and len(self._text) < LINES_MAX:
                self._text.append(line)
            return None
        if found.start() > 0:
            self._text.append(line[: found.start()])
        line = line[found.start() :]
        if line == "m-ready":
            return self._whole()
        if line.startswith("m-results-[") and "]" not in line and len(line) < LINE_MAX_BYTES:
            self._open = line
        elif len(self._lines) < LINES_MAX:
            self._lines.append(line)
        return None

    def _whole(self) -> Reply:
        if self._open is not None:
            self._lines.append(self._open)
        lines, text = tuple(self._lines), tuple(self._text)
        self._lines, self._text, self._open = [], [], None
        return read_reply(lines, text)


def read_reply(lines: tuple[str, ...], text: tuple[str, ...]) -> Reply:
    """Of the lines before `m-ready`; the last of several where one is expected."""
    results: tuple[float, ...] | None = None
    nonsense: str | None = None
    found: dict[str, str] = {}
    for line in lines:
        if line.startswith("m-results-["):
            try:
                results, nonsense = _numbers(line), None
            except ValueError as error:
                results, nonsense = None, str(error)
        for start in ("m-name-dut-[", "m-profile-[", "m-model-["):
            if line.startswith(start):
                found[start] = _inside(line)
    laps = tuple(int(line[9:]) for line in lines if re.fullmatch(r"m-lap-us-\d{1,20}", line))
    expecting = [int(match[1]) for line in lines if (match := _EXPECTING.match(line))]
    modes = [line.removeprefix("m-timestamp-mode-") for line in lines if line.startswith("m-timestamp-mode-")]
    return Reply(
        lines=lines,
        text=text,
        errors=tuple(_inside(line) for line in lines if line.startswith("e-[")),
        laps_us=laps,
        results=results,
        nonsense=nonsense,
        expecting=expecting[-1] if expecting else None,
        loaded="m-load-done" in lines,
        name=found.get("m-name-dut-["),
        profile=found.get("m-profile-["),
        model=found.get("m-model-["),
        mode=modes[-1] if modes else None,
    )


def command(*words: object) -> bytes:
    """As it goes over the line: no line's end, `%` behind it."""
    return " ".join(map(str, words)).encode() + b"%"


def load_commands(data: bytes, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The commands that bring an input, each to be sent once the one before was answered."""
    yield command("db load", len(data))
    for at in range(0, len(data), chunk_bytes):
        yield command("db", data[at : at + chunk_bytes].hex())


def _inside(line: str) -> str:
    found = _BRACKETS.search(line)
    return found[1] if found is not None else line.partition("[")[2]


def _numbers(line: str) -> tuple[float, ...]:
    """ValueError for anything else between the brackets, or no closing one."""
    found = _BRACKETS.search(line)
    if found is None:
        raise ValueError(f"results without an end: {line[:80]}")
    parts = [part.strip() for part in found[1].split(",")]
    if parts and not parts[-1]:
        parts.pop()  # the reference firmware of VWW ends its list in a comma
    if not parts:
        raise ValueError("results without a value")
    try:
        return tuple(float(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"results that are no numbers: {line[:80]}") from error
