"""A board's console for many: one thread reads it, always; who is slow loses lines, never the firmware.

Everybody may watch. One at a time may hold it for a binary protocol; then nobody else writes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tinyfleet.agent.core.console_line import NOTE, ConsoleLine, LineStream
from tinyfleet.agent.core.errors import AgentError, BoardBusyError, NoSuchBoardError
from tinyfleet.agent.services.console_queues import Hold, PortState, Unfinished, Watch
from tinyfleet.agent.services.ports import Console, Consoles

LOG = logging.getLogger(__name__)
READ_S: Final = 0.5
QUIET_S: Final = 0.03
"""A line without an end is shown after that: a prompt has none."""
RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 2.0
WATCHES_MAX: Final = 32
TAIL_LINES: Final = 200
END_S: Final = 5.0
HOLD_WAIT_S: Final = 5.0


class ConsoleClock(Protocol):
    def monotonic_s(self) -> float: ...

    def wall_s(self) -> float:
        """Since 1970, in fractions of a second."""


@dataclass(slots=True)
class HubCounts:
    """Since the hub began. `opened`: how often the port was (again); `errors`: how often it went away or
    could not be opened for another reason than being absent."""

    bytes_in: int = 0
    lines: int = 0
    broken_frames: int = 0
    opened: int = 0
    errors: int = 0
    lost_lines: int = 0
    lost_bytes: int = 0


class ConsoleHub:
    """`find` answers the port's address now (an emulated board's changes when it restarts), raising
    AgentError while there is none. `keep` takes every line, and must not wait."""

    def __init__(
        self,
        board: str,
        find: Callable[[], str],
        baud: int,
        consoles: Consoles,
        clock: ConsoleClock,
        keep: Callable[[ConsoleLine], None] = lambda line: None,
    ) -> None:
        self.board = board
        self._find = find
        self._baud = baud
        self._consoles = consoles
        self._clock = clock
        self._keep = keep
        self._counts = HubCounts()
        self._stream = LineStream()
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._port: Console | None = None
        self._trouble = "not opened yet"
        self._holder: Hold | None = None
        self._is_lent = False
        self._rests = False
        self._watches: list[Watch] = []
        self._tail: list[ConsoleLine] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"console-{board}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Begins to close, and does not wait for it."""
        self._ending.set()

    def close(self) -> None:
        """Ends the thread and closes the port; holder and watches are told."""
        self.end()
        if self._thread.ident is not None:
            self._thread.join(END_S)

    @property
    def counts(self) -> HubCounts:
        with self._changed:
            lost = self._counts.lost_lines + sum(watch.lost_lines for watch in self._watches)
            return replace(self._counts, broken_frames=self._stream.broken, lost_lines=lost)

    @property
    def state(self) -> PortState:
        with self._changed:
            return self._state()

    def watch(self, tail: int = 0) -> Watch:
        """From now on, after the last `tail` lines (at most TAIL_LINES). Raises BoardBusyError."""
        with self._changed:
            if len(self._watches) >= WATCHES_MAX:
                raise BoardBusyError(
                    f"the console of {self.board} is watched by {WATCHES_MAX} already", "end some of them"
                )
            watch = Watch(self._left)
            watch.put(self._state())
            for line in self._tail[-tail:] if tail > 0 else ():
                watch.put(line)
            self._watches.append(watch)
            return watch

    def write(self, data: bytes) -> None:
        """What a person types. Raises BoardBusyError while the console is held, ConsoleError."""
        with self._writing:
            with self._changed:
                if self._holder is not None:
                    raise self._busy(self._holder)
                port = self._up()
            port.write(data)

    def hold(
        self, who: str, baud: int | None = None, *, mlperf: bool = False, timeout_s: float = HOLD_WAIT_S
    ) -> Hold:
        """The console for one binary protocol, until it is closed; `baud` of the line meanwhile. An absent
        port is waited for so long. Raises BoardBusyError, NoSuchBoardError."""
        with self._changed:
            if self._holder is not None:
                raise self._busy(self._holder)
            self._changed.wait_for(lambda: self._port is not None or self._ending.is_set(), timeout_s)
            if self._holder is not None:
                raise self._busy(self._holder)
            self._up()
            hold = Hold(self.board, who, baud or self._baud, self._send, self._release)
            self._holder = hold
        try:
            self._line_is(hold.baud)
        except AgentError:
            self._release(hold)
            raise
        with self._changed:
            self._stream.mlperf = mlperf
            self._tell(self._state())
        return hold

    def lend(self, who: str) -> Hold:
        """The port itself, for a program that opens it: closed here until the hold is. Raises
        BoardBusyError."""
        with self._changed:
            if self._holder is not None:
                raise self._busy(self._holder)
            hold = self._holder = Hold(self.board, who, self._baud, self._send, self._release)
            self._is_lent = True
            if self._changed.wait_for(lambda: self._rests, HOLD_WAIT_S):
                return hold
        self._release(hold)
        raise BoardBusyError(f"the console of {self.board} is not let go of", "try again")

    def _send(self, hold: Hold, data: bytes) -> None:
        with self._writing:
            with self._changed:
                if self._holder is not hold:
                    raise NoSuchBoardError(
                        f"the console of {self.board} is not held any more", "open it again"
                    )
                port = self._up()
            port.write(data)

    def _release(self, hold: Hold) -> None:
        with self._changed:
            if self._holder is not hold:
                return
            self._counts.lost_bytes += hold.lost_bytes
        # The line's own rate is back before anybody else may write.
        with contextlib.suppress(AgentError):
            self._line_is(self._baud)
        with self._changed:
            self._holder = None
            self._is_lent = False
            self._stream.mlperf = False
            self._tell(self._state())
            self._changed.notify_all()

    def _line_is(self, baud: int) -> None:
        with self._writing:
            with self._changed:
                port = self._port
            if port is not None:
                port.set_baud(baud)

    def _left(self, watch: Watch) -> None:
        with self._changed:
            if watch in self._watches:
                self._watches.remove(watch)
                self._counts.lost_lines += watch.lost_lines

    def _up(self) -> Console:
        if self._port is None:
            raise NoSuchBoardError(
                f"the console of {self.board} is not there: {self._trouble}", "is the board plugged in?"
            )
        return self._port

    def _busy(self, holder: Hold) -> BoardBusyError:
        return BoardBusyError(
            f"the console of {self.board} is held by {holder.who}", "wait for its end, or end it"
        )

    def _state(self) -> PortState:
        holder = None if self._holder is None else self._holder.who
        return PortState(self._port is not None, "" if self._port else self._trouble, holder)

    def _tell(self, event: ConsoleLine | Unfinished | PortState) -> None:
        for watch in self._watches:
            watch.put(event)

    def _work(self) -> None:
        retry_s = RETRY_MIN_S
        while not self._ending.is_set():
            if self._is_lent:
                self._rest()
                continue
            try:
                port = self._consoles.open(self._find(), self._baud)
            except AgentError as error:
                self._is_down(error.what, counts=not isinstance(error, NoSuchBoardError | BoardBusyError))
            except Exception as error:
                # A driver's fault must not end the reading of this console for good.
                LOG.exception("the console of %s", self.board)
                self._is_down(repr(error), counts=True)
            else:
                retry_s = RETRY_MIN_S
                self._use(port)
                continue
            self._ending.wait(retry_s)
            retry_s = min(2 * retry_s, RETRY_MAX_S)
        self._is_down("the agent ended: nobody reads the console", counts=False)
        with self._changed:
            for watch in self._watches:
                watch.end()

    def _rest(self) -> None:
        """While the port is lent."""
        with self._changed:
            self._is_down("lent" if self._holder is None else f"lent to {self._holder.who}", counts=False)
            self._rests = True
            self._changed.notify_all()
            while self._is_lent and not self._ending.is_set():
                self._changed.wait(READ_S)
            self._rests = False

    def _use(self, port: Console) -> None:
        self._is_up(port)
        try:
            self._read(port)
        except AgentError as error:
            self._is_down(error.what, counts=True)
        except Exception as error:
            LOG.exception("the console of %s", self.board)
            self._is_down(repr(error), counts=True)
        finally:
            # A write may be under way in another thread; the port's number must not be another's by then.
            with self._writing:
                try:
                    port.close()
                except Exception:
                    LOG.exception("the console of %s", self.board)

    def _read(self, port: Console) -> None:
        awaits_quiet = False
        while not (self._ending.is_set() or self._is_lent):
            data = port.read(QUIET_S if awaits_quiet else READ_S)
            if data:
                self._take(data)
            elif awaits_quiet:
                with self._changed:
                    text = self._stream.unfinished()
                    if text is not None:
                        self._tell(Unfinished(text))
            awaits_quiet = bool(data)

    def _take(self, data: bytes) -> None:
        now_s, wall_s = self._clock.monotonic_s(), self._clock.wall_s()
        with self._changed:
            if self._holder is not None:
                # First of all: a protocol waits for it.
                self._holder.put(data)
            self._counts.bytes_in += len(data)
            self._say(self._stream.feed(data, now_s, wall_s))

    def _say(self, lines: list[ConsoleLine]) -> None:
        for line in lines:
            self._keep(line)
            self._tell(line)
        self._counts.lines += len(lines)
        self._tail = (self._tail + lines)[-TAIL_LINES:]

    def _is_up(self, port: Console) -> None:
        with self._changed:
            self._port = port
            self._counts.opened += 1
            again = self._counts.opened > 1
            self._note("the console is there again" if again else "the console is open")
            self._tell(self._state())
            self._changed.notify_all()

    def _is_down(self, trouble: str, *, counts: bool) -> None:
        with self._changed:
            was_up, self._port = self._port is not None, None
            self._trouble = trouble
            self._counts.errors += counts
            if was_up:
                self._say(self._stream.end(self._clock.monotonic_s(), self._clock.wall_s()))
                self._note(trouble)
                self._tell(self._state())
            if self._holder is not None and not self._is_lent:
                self._holder.breaks(trouble)
            self._changed.notify_all()

    def _note(self, text: str) -> None:
        """Beside what the board said, so that a reader of the log knows why it was silent."""
        self._keep(ConsoleLine(self._clock.monotonic_s(), self._clock.wall_s(), NOTE + text))
