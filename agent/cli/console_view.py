"""A console on the screen: shown, typed to, and found again when its hub goes away."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import select
import sys
from collections.abc import Callable
from typing import Any, Final

from tinyfleet.agent.adapters.bench_consoles import BenchConsoles
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.console_link import WatchedConsole
from tinyfleet.agent.cli.common import until_stopped
from tinyfleet.agent.cli.terminal import Keys, Screen
from tinyfleet.agent.core.console_line import ConsoleLine, printable
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.console_queues import LostLines, PortState, WatchEvent
from tinyfleet.agent.services.console_watch import ConsoleExpecter

_WAIT_S: Final = 0.5


class View:
    """`others` says who else has the board: then nothing is typed to it."""

    def __init__(
        self,
        consoles: BenchConsoles,
        board: str,
        *,
        times: bool,
        as_json: bool,
        others: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._others = others
        self._consoles = consoles
        self._board = board
        self._times = times
        self._as_json = as_json
        self._raw = False
        self._holder: str | None = None
        self._screen = Screen(sys.stdout, sys.stderr)

    def expect(self, pattern: re.Pattern[str], timeout_s: float) -> None:
        """Shows the line. Raises StepTimeout, AgentError."""
        with contextlib.closing(self._consoles.watch(self._board)) as watched:
            self.show(ConsoleExpecter(self._board, watched, SystemClock()).expect(pattern, timeout_s))

    def follow(self, *, interactive: bool) -> None:
        """Until Ctrl-], Ctrl-C where that is no key, SIGTERM, or the reader of our output ends."""
        self._raw = interactive
        keys = Keys() if interactive else None
        with until_stopped() as stop, keys or contextlib.nullcontext(), contextlib.suppress(BrokenPipeError):
            if interactive:
                self._screen.note(f"{self._board}: Ctrl-] ends")
            trouble = ""
            while not stop.is_set():
                try:
                    with contextlib.closing(self._consoles.watch(self._board)) as watched:
                        trouble = ""
                        while not stop.is_set():
                            if not self._once(watched, keys):
                                return
                except AgentError as error:
                    # Whoever served it ended: from then on we do, or somebody else does again.
                    if str(error) != trouble:
                        trouble = str(error)
                        self._screen.note(trouble)
                    stop.wait(_WAIT_S)

    def _once(self, watched: WatchedConsole, keys: Keys | None) -> bool:
        """Shows what came and sends what was typed; False when the person ended it."""
        waited: list[WatchedConsole | Keys] = [watched] if keys is None else [watched, keys]
        ready = select.select(waited, [], [], _WAIT_S)[0]
        if keys is not None and keys in ready:
            typed = keys.read()
            if typed is None:
                self._screen.note("ended")
                return False
            if self._holder is not None:
                self._screen.note(f"held by {self._holder}: keys go nowhere until that ends")
            others = self._others()
            if others is None:
                watched.write(typed)
            else:
                self._screen.note(f"{others}: keys go nowhere")
        while (event := watched.next(0)) is not None:
            self._take(event)
        return True

    def _take(self, event: WatchEvent) -> None:
        if isinstance(event, ConsoleLine):
            self.show(event)
        elif isinstance(event, PortState):
            self._state(event)
        elif isinstance(event, LostLines):
            if self._as_json:
                self._print({"lost_lines": event.count})
            else:
                self._screen.note(
                    f"{event.count} lines were lost here: they came faster than they were shown"
                )
        elif self._raw and not self._times:
            self._screen.unfinished(event.text)

    def show(self, line: ConsoleLine) -> None:
        if self._as_json:
            self._print({"wall_s": line.wall_s, "monotonic_s": line.monotonic_s, "text": line.text})
            return
        when = datetime.datetime.fromtimestamp(line.wall_s).astimezone()
        head = f"{when:%H:%M:%S}.{when.microsecond // 1000:03d} " if self._times else ""
        # A person at a terminal gets colours as the board sends them; a file gets text.
        self._screen.line(line.text if self._raw else printable(line.text), head)

    def _state(self, state: PortState) -> None:
        self._holder = state.holder
        if self._as_json:
            self._print({"up": state.up, "trouble": state.trouble, "holder": state.holder})
        elif not state.up:
            self._screen.note(f"{state.trouble}; waiting for it")
        elif state.holder is not None:
            self._screen.note(f"held by {state.holder}")
        else:
            self._screen.note("connected")

    def _print(self, value: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()
