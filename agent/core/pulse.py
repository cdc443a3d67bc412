"""Whether a board lives, from what its console and its probe show; and if not, what of it is dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Beat(Enum):
    """Kinds of heartbeat. A board that has answered HELLO since it was programmed is held to that."""

    CORE = "CORE"
    LINE = "LINE"
    HELLO = "HELLO"

    @property
    def rank(self) -> int:
        return list(Beat).index(self)

    @property
    def words(self) -> str:
        return _BEATS[self]


_BEATS = {
    Beat.HELLO: "it answered HELLO on its console",
    Beat.LINE: "a fresh line came on its console",
    Beat.CORE: "its core runs, by its probe",
}


class Fault(Enum):
    """What is out of order: a board is only called broken when it is the board."""

    BOARD = "BOARD"
    PROBE = "PROBE"
    CONSOLE = "CONSOLE"
    METER = "METER"
    HOST = "HOST"

    @property
    def words(self) -> str:
        return _FAULTS[self]


_FAULTS = {
    Fault.BOARD: "board dead",
    Fault.PROBE: "probe dead",
    Fault.CONSOLE: "console dead",
    Fault.METER: "meter dead",
    Fault.HOST: "this host is in trouble",
}


class ConsoleSeen(Enum):
    HELLO = "HELLO"
    LINE = "LINE"
    SILENT = "SILENT"
    GONE = "GONE"
    """It cannot be opened, or it broke off."""
    IN_USE = "IN_USE"
    NONE = "NONE"
    """The board has none."""


class CoreSeen(Enum):
    RUNNING = "RUNNING"
    HALTED = "HALTED"
    LOCKED_UP = "LOCKED_UP"
    FAILED = "FAILED"
    """Its probe is there and does not reach the core."""
    GONE = "GONE"
    """The host does not see the probe."""
    IN_USE = "IN_USE"
    NONE = "NONE"
    """The board has no probe."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`beat`: it lives. Else `fault` says what is out of order, or, when that is None, it cannot be judged
    now."""

    beat: Beat | None
    fault: Fault | None
    cause: str


def judge(
    expects: Beat | None,
    console: ConsoleSeen,
    ask_core: Callable[[], CoreSeen],
    *,
    needs_probe: bool = False,
    reprogrammed: bool = False,
) -> Verdict:
    """`ask_core` is called only if the console does not settle it. Only HELLO is answered when asked: nobody
    knows how often other firmware writes lines, so that its silence says nothing while its core runs.
    `needs_probe`: its probe failed before, so
    that it must work, too. `reprogrammed`: a firmware known to answer was just written and read back."""
    beat = {ConsoleSeen.HELLO: Beat.HELLO, ConsoleSeen.LINE: Beat.LINE}.get(console)
    enough = beat is not None and (expects is None or beat.rank >= expects.rank)
    if enough and not needs_probe:
        return Verdict(beat, None, "" if beat is None else beat.words)
    core = ask_core()
    if enough and core in (CoreSeen.GONE, CoreSeen.FAILED):
        return Verdict(None, Fault.PROBE, f"it answers, but {_CORES[core]}")
    if enough:
        return Verdict(beat, None, "" if beat is None else beat.words)
    if core is CoreSeen.RUNNING and expects is not Beat.HELLO:
        return Verdict(Beat.CORE, None, Beat.CORE.words)
    return Verdict(None, _fault(console, core, reprogrammed), f"{_CONSOLES[console]}; {_CORES[core]}")


def _fault(console: ConsoleSeen, core: CoreSeen, reprogrammed: bool) -> Fault | None:
    """None: somebody uses what would tell."""
    if ConsoleSeen.IN_USE is console or core is CoreSeen.IN_USE:
        return None
    if core in (CoreSeen.LOCKED_UP, CoreSeen.HALTED):
        return Fault.BOARD
    if core is CoreSeen.RUNNING:
        # What runs was just read back and is known to speak: then nobody hears it.
        deaf = console is ConsoleSeen.GONE or (reprogrammed and console is ConsoleSeen.SILENT)
        return Fault.CONSOLE if deaf else Fault.BOARD
    if core is CoreSeen.GONE and console is not ConsoleSeen.GONE:
        return Fault.PROBE
    return Fault.BOARD


_CONSOLES = {
    ConsoleSeen.HELLO: "it answers HELLO",
    ConsoleSeen.LINE: "lines come, but it does not answer HELLO as before",
    ConsoleSeen.SILENT: "its console is silent",
    ConsoleSeen.GONE: "its console is gone",
    ConsoleSeen.IN_USE: "its console is in use",
    ConsoleSeen.NONE: "it has no console",
}
_CORES = {
    CoreSeen.RUNNING: "its core runs",
    CoreSeen.HALTED: "its core is halted",
    CoreSeen.LOCKED_UP: "its core is locked up",
    CoreSeen.FAILED: "its probe does not reach the core",
    CoreSeen.GONE: "its probe is gone",
    CoreSeen.IN_USE: "its probe is in use",
    CoreSeen.NONE: "it has no probe",
}
