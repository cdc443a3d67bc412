"""Boards reserved and used, one program at a time.

with leases.use("microbit-1", "flash", wait_s=600) as lease:
    lease.check("program")
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial, reduce
from typing import Protocol, TypeVar

from tinyfleet.agent.core.duration import show_duration
from tinyfleet.agent.core.errors import BoardBusyError, LeaseError, StepFailed
from tinyfleet.agent.core.leases import (
    HOLDER_PATTERN,
    LONGEST_MS,
    Ask,
    BoardLease,
    Hold,
    Leases,
    Now,
    Request,
    end_use,
    join,
    leave,
    release,
    renew,
    take,
)
from tinyfleet.agent.core.tally import LEASE_WAIT_SECONDS
from tinyfleet.agent.services.ports import Clock, Counting

R = TypeVar("R")
LOG = logging.getLogger(__name__)
LOOK_S = 0.2
"""How often who waits looks whether it is his turn."""
BRIEF = "look"
BRIEF_S = 15.0
"""What the agent does by itself now and then, and how long at most: whoever wants the board meanwhile waits
for that, also where he would not wait for other people."""


class LeaseTable(Protocol):
    """The leases that all programs of the host share."""

    def change(self, step: Callable[[Leases, Now], tuple[Leases, R]]) -> R:
        """Raises LeaseError."""

    def look(self) -> tuple[Leases, Now]:
        """Raises LeaseError."""

    def process(self) -> str: ...

    def life(self) -> int | None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a board's lease. `until_unix_s`: of a reservation; `waiting`: who waits, in order."""

    board: str
    hold: Hold
    holder: str | None
    until_unix_s: int | None
    what: str | None
    waiting: tuple[str, ...]


class Lease:
    """A board that this program uses."""

    def __init__(self, board: str, table: LeaseTable) -> None:
        self.board = board
        self._table = table
        self._life = table.life()

    def check(self, step: str) -> None:
        """Raises StepFailed when this program stood still for so long that another may have the board."""
        if self._life is None or self._table.life() != self._life:
            raise StepFailed(
                self.board,
                step,
                "not begun: this program stood still for so long that its lease ended",
                "begin again; was it stopped (Ctrl-Z), or the host overloaded?",
            )


class BoardLeases:
    """For all threads of a program. `holder` names who uses boards, and whose reservations count; LeaseError
    when it is no name for that. `on_wait` is told once who has the board, when waiting begins. `hardware`
    locks a board for programs that do not share these leases, too, and answers what lets go of it, which may
    be called again; it raises BoardBusyError.
    """

    def __init__(
        self,
        table: LeaseTable,
        holder: str,
        counting: Counting,
        clock: Clock,
        pause: Callable[[float], object] = time.sleep,
        on_wait: Callable[[str], None] = lambda told: None,
        hardware: Callable[[str], Callable[[], None]] = lambda board: lambda: None,
    ) -> None:
        if re.fullmatch(HOLDER_PATTERN, holder) is None:
            raise LeaseError(
                f"{holder!r} is no name of a holder",
                "name one of up to 32 letters, digits and . _ - @ / + : with --as or $TINYFLEET_HOLDER",
            )
        self.holder = holder
        self._table = table
        self._counting = counting
        self._clock = clock
        self._pause = pause
        self._on_wait = on_wait
        self._hardware = hardware
        self._here = threading.local()
        self._owing = threading.Lock()
        self._owed: list[tuple[Callable[[], bool], _Step]] = []

    @contextmanager
    def use(
        self, board: str, what: str, wait_s: float = 0.0, hangs: Callable[[], bool] = lambda: False
    ) -> Iterator[Lease]:
        """Has the board for itself as long as the context lasts; within it, the same thread may use it again.
        Where something `hangs` at its end, the board is kept until that is over.

        Raises BoardBusyError when another has it after `wait_s`; LeaseError.
        """
        mine: dict[str, Lease] = self._here.__dict__.setdefault("leases", {})
        if board in mine:
            yield mine[board]
            return
        request = Request(
            ask=Ask.USE, boards=(board,), holder=self.holder, process=self._table.process(), what=what
        )
        end_s = self._clock.monotonic_s() + wait_s
        self._have(request, wait_s)
        locks: list[Callable[[], None]] = []

        def end(leases: Leases) -> Leases:
            for let_go in locks:
                let_go()
            return end_use(leases, board, request.process)

        try:
            locks.append(self._lock(board, end_s))
            mine[board] = Lease(board, self._table)
            yield mine[board]
        finally:
            mine.pop(board, None)
            self._give_back(end, hangs)

    def reserve(self, boards: Sequence[str], for_s: float, wait_s: float = 0.0) -> Held:
        """The first of the boards that is to be had, for that time; one that is reserved by the holder
        already is his for `for_s` from now on. Raises BoardBusyError, LeaseError."""
        _check_length(for_s)
        request = Request(
            ask=Ask.RESERVE,
            boards=tuple(boards),
            holder=self.holder,
            process=self._table.process(),
            for_ms=int(for_s * 1000),
        )
        return self.of(self._have(request, wait_s))

    def renew(self, board: str, for_s: float) -> Held:
        """For `for_s` from now on. Raises BoardBusyError when the holder has no reservation of it."""
        _check_length(for_s)
        for_ms = int(for_s * 1000)
        done = self._table.change(lambda leases, now: renew(leases, board, self.holder, for_ms, now))
        if not done:
            raise BoardBusyError(
                f"{self.holder} has no reservation of {board} ({self._words(board)})",
                "say whose with --as, or reserve it: `tinyfleet bench reserve`",
            )
        return self.of(board)

    def release(self, board: str, *, force: bool = False) -> str:
        """Ends the reservation, of whomever with `force`; answers whose it was. Raises BoardBusyError."""

        def step(leases: Leases, now: Now) -> tuple[Leases, str | None]:
            reservation = leases.of(board).reservation
            whose = reservation.holder if force and reservation is not None else self.holder
            after, done = release(leases, board, whose)
            return after, whose if done else None

        whose = self._table.change(step)
        if whose is None:
            raise BoardBusyError(
                f"{self.holder} has no reservation of {board} ({self._words(board)})",
                "say whose with --as, or take it away with --force"
                if self.of(board).holder is not None
                else "there is nothing to release",
            )
        return whose

    def others(self, board: str) -> str | None:
        """Who else has the board, in words; None when nobody, or the holder."""
        leases, now = self._table.look()
        lease = leases.of(board)
        return None if lease.holder in (None, self.holder) else _words(board, lease, now)

    def of(self, board: str) -> Held:
        return self.all((board,))[0]

    def all(self, boards: Sequence[str]) -> list[Held]:
        with suppress(LeaseError):
            self._pay()
        leases, _ = self._table.look()
        return [_held(leases, board) for board in boards]

    def close(self) -> None:
        self._table.close()

    def _lock(self, board: str, end_s: float) -> Callable[[], None]:
        while True:
            try:
                return self._hardware(board)
            except BoardBusyError:
                if self._clock.monotonic_s() >= end_s:
                    raise
                self._pause(LOOK_S)

    def _have(self, request: Request, wait_s: float) -> str:
        """The board, once it is to be had. Raises BoardBusyError, LeaseError."""
        self._pay()
        began_s = self._clock.monotonic_s()
        ticket: int | None = None
        waits = False
        try:
            while True:
                waited_s = self._clock.monotonic_s() - began_s
                board, ticket = self._table.change(_try(request, ticket, waits=waited_s < wait_s))
                if board is not None:
                    self._counting.observe(LEASE_WAIT_SECONDS, waited_s, board=board)
                    return board
                soon = waited_s < BRIEF_S and self._is_soon(request.boards)
                if waited_s >= wait_s and not soon:
                    raise BoardBusyError(
                        self._told(request), "wait with `--wait 10m`; `tinyfleet bench list` shows all"
                    )
                if ticket is None and not soon:
                    raise LeaseError("the queue of this bench is full", "do programs wait without need?")
                if not waits and not soon:
                    self._on_wait(f"waiting: {self._told(request)}")
                    waits = True
                self._pause(LOOK_S if soon else min(LOOK_S, wait_s - waited_s))
        finally:
            if ticket is not None:
                self._give_back(partial(leave, ticket=ticket))

    def _is_soon(self, boards: Sequence[str]) -> bool:
        """Whether what stood against one of them is over in a moment, or already."""
        leases, _ = self._table.look()
        for board in boards:
            lease = leases.of(board)
            if lease.reservation is not None and lease.reservation.holder != self.holder:
                continue
            if lease.use is None and not leases.waiting(board):
                return True
            if lease.use is not None and lease.use.what == BRIEF:
                return True
        return False

    def _give_back(self, step: _Step, hangs: Callable[[], bool] = lambda: False) -> None:
        """Now, or as soon as it can be written: a full disk must not keep a board from the others, nor hide
        what went wrong on the board."""
        with self._owing:
            self._owed.append((hangs, step))
        try:
            self._pay()
        except LeaseError as error:
            LOG.warning("given back later: %s", error)

    def _pay(self) -> None:
        with self._owing:
            due = [(hangs, step) for hangs, step in self._owed if not hangs()]
            if due:
                self._table.change(
                    lambda leases, _: (reduce(lambda left, one: one[1](left), due, leases), None)
                )
                self._owed = [each for each in self._owed if each not in due]

    def _told(self, request: Request) -> str:
        """Who has the boards, and how many others wait."""
        leases, now = self._table.look()
        told = []
        for board in request.boards:
            others = sum(each.request.process != request.process for each in leases.waiting(board))
            waiting = f", {others} in the queue" if others else ""
            told.append(_words(board, leases.of(board), now) + waiting)
        return "; ".join(told)

    def _words(self, board: str) -> str:
        leases, now = self._table.look()
        return _words(board, leases.of(board), now)


def _check_length(for_s: float) -> None:
    if not 1 <= for_s <= LONGEST_MS / 1000:
        raise LeaseError(
            f"a reservation for {show_duration(for_s)}",
            "it is for 1 s to 24 h; `tinyfleet bench renew` extends it",
        )


def _try(request: Request, ticket: int | None, *, waits: bool) -> Callable[[Leases, Now], _Tried]:
    """Takes a board, or a place in the queue; anew, where this program stood still and lost its place."""

    def step(leases: Leases, now: Now) -> _Tried:
        kept = any(each.number == ticket for each in leases.queue)
        after, board = take(leases, request, now, ticket if kept else None)
        if board is not None:
            return after, (board, None)
        if kept or not waits:
            return after, (None, ticket if kept else None)
        after, number = join(after, request, now)
        return after, (None, number)

    return step


_Step = Callable[[Leases], Leases]
_Tried = tuple[Leases, tuple[str | None, int | None]]


def _held(leases: Leases, board: str) -> Held:
    lease = leases.of(board)
    return Held(
        board=board,
        hold=lease.hold,
        holder=lease.holder,
        until_unix_s=None if lease.reservation is None else lease.reservation.until_unix_s,
        what=None if lease.use is None else lease.use.what,
        waiting=tuple(ticket.request.holder for ticket in leases.waiting(board)),
    )


def _words(board: str, lease: BoardLease, now: Now) -> str:
    told = []
    if lease.reservation is not None:
        at = time.strftime("%H:%M:%S", time.localtime(lease.reservation.until_unix_s))
        left = show_duration((lease.reservation.until_ms - now.boot_ms) / 1000)
        told.append(f"reserved by {lease.reservation.holder} until {at}, {left} from now")
    if lease.use is not None:
        since = show_duration((now.boot_ms - lease.use.begun_ms) / 1000)
        pid = lease.use.process.partition("-")[0]
        told.append(f"in use by {lease.use.holder} ({lease.use.what}, process {pid}, for {since})")
    return f"{board} is {' and '.join(told) or 'free'}"
