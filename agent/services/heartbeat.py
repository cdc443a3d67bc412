"""Asks a board whether it lives: by its console first, by its probe where that does not settle it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from tinyfleet.agent.core.errors import AgentError, BoardBusyError, BoardSaidNo, ConsoleError
from tinyfleet.agent.core.faults import is_host_trouble
from tinyfleet.agent.core.pulse import Beat, ConsoleSeen, CoreSeen, Fault, Verdict, judge
from tinyfleet.agent.services.console_client import HELLO_TIMEOUT_S, ConsoleClient
from tinyfleet.agent.services.ports import Clock, Consoles
from tinyfleet.agent.services.worker import BoardWorker

ATTEMPTS: Final = 3
"""HELLOs: a board that was just reset takes a moment."""
_OPEN_TIMEOUT_S: Final = 10.0
_LOOK_TIMEOUT_S: Final = 15.0
_MARGIN_S: Final = 5.0


class Cores(Protocol):
    """Cores behind their probes; each call opens the probe and closes it again."""

    def look(self, unique_id: str, part: str | None) -> CoreSeen:
        """Without halting the core. Raises StepFailed for what CoreSeen has no word for."""

    def reset(self, unique_id: str, part: str | None, *, under_connect: bool) -> None:
        """Resets the core and lets it run; `under_connect`: connected while its reset line is held. Raises
        NoSuchBoardError, BoardBusyError, StepFailed."""


@dataclass(frozen=True, slots=True)
class Bedside:
    """A board as the heartbeat reaches it. `console`: its address; `part`: its chip, by pyOCD's name. The
    probe's calls go through `worker` like all others; the console has a worker of its own, so that a call
    that hangs in the probe does not make the board look dumb."""

    board: str
    console: str | None
    baud: int
    probe: str | None
    part: str | None
    worker: BoardWorker
    ear: BoardWorker


class _HostTrouble(Exception):
    pass


class Heartbeat:
    """Raises nothing of the board's: what cannot be asked is a verdict, too."""

    def __init__(self, consoles: Consoles, cores: Cores, clock: Clock) -> None:
        self._consoles = consoles
        self._cores = cores
        self._clock = clock

    def ask(
        self, bed: Bedside, expects: Beat | None, *, needs_probe: bool = False, reprogrammed: bool = False
    ) -> Verdict:
        try:
            return judge(
                expects,
                self._listen(bed, asking=expects in (None, Beat.HELLO)),
                lambda: self._look(bed),
                needs_probe=needs_probe,
                reprogrammed=reprogrammed,
            )
        except _HostTrouble as trouble:
            return Verdict(None, Fault.HOST, str(trouble))

    def _listen(self, bed: Bedside, *, asking: bool) -> ConsoleSeen:
        """`asking`: by HELLO; not of firmware that is known not to understand it, whose console is no place
        for frames."""
        if bed.console is None:
            return ConsoleSeen.NONE
        lines: list[str] = []
        try:
            port = bed.ear.call("open console", _OPEN_TIMEOUT_S, self._consoles.open, bed.console, bed.baud)
        except BoardBusyError as error:
            self._host(error)
            # One of our own calls that hangs is no other program.
            return ConsoleSeen.GONE if bed.ear.hangs() else ConsoleSeen.IN_USE
        except AgentError as error:
            self._host(error)
            return ConsoleSeen.GONE
        client = ConsoleClient(bed.board, port, self._clock, lines.append, bed.baud)
        try:
            if asking:
                bed.ear.call(
                    "heartbeat",
                    ATTEMPTS * HELLO_TIMEOUT_S + _MARGIN_S,
                    lambda: client.hello(attempts=ATTEMPTS),
                )
                return ConsoleSeen.HELLO
            bed.ear.call("heartbeat", HELLO_TIMEOUT_S + _MARGIN_S, client.listen, HELLO_TIMEOUT_S)
            return ConsoleSeen.LINE if any(line.strip() for line in lines) else ConsoleSeen.SILENT
        except BoardSaidNo:
            return ConsoleSeen.HELLO  # no is an answer
        except ConsoleError as error:
            self._host(error)
            if any(line.strip() for line in lines):
                return ConsoleSeen.LINE
            return ConsoleSeen.SILENT if error.step == "hello" else ConsoleSeen.GONE
        except AgentError as error:
            self._host(error)
            return ConsoleSeen.GONE
        finally:
            try:
                bed.ear.finish("close console", _OPEN_TIMEOUT_S, client.close)
            except AgentError as error:
                self._host(error)

    def _look(self, bed: Bedside) -> CoreSeen:
        if bed.probe is None:
            return CoreSeen.NONE
        try:
            return bed.worker.call("look at the core", _LOOK_TIMEOUT_S, self._cores.look, bed.probe, bed.part)
        except BoardBusyError as error:
            self._host(error)
            # One of our own calls that hangs is no debugger somewhere else.
            return CoreSeen.FAILED if bed.worker.hangs() else CoreSeen.IN_USE
        except AgentError as error:
            self._host(error)
            return CoreSeen.FAILED

    @staticmethod
    def _host(error: AgentError) -> None:
        if is_host_trouble(error):
            raise _HostTrouble(str(error)) from error
