"""Who may touch which board of a bench: reservations for a time, uses that live as long as their program, and
the queue of those who wait.

A *reservation* has a holder, a name that people and programs give themselves, and an end; it outlives the
program that made it. A *use* is one operation of one running program (a flash, a run); it ends with the
program, however that ends. One board has at most one of each, and a use beside a reservation is its holder's:
two programs never touch one board, not even two of one holder.

Everything here is a value: `Leases` in, `Leases` out. Time and who is alive are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Final

QUEUE_MAX: Final = 256
LONGEST_MS: Final = 24 * 3600 * 1000
"""Of a reservation; and from its beginning, with renewals, while others wait for the board."""
SILENT_MS: Final = 60_000
"""A program that has not said for so long that it runs (stopped, or starved) has lost what it held."""


HOLDER_PATTERN: Final = r"[A-Za-z0-9._@/+:-]{1,32}"


class Hold(Enum):
    """What a board is held by."""

    FREE = "FREE"
    USED = "USED"
    RESERVED = "RESERVED"
    RESERVED_USED = "RESERVED_USED"


class Ask(Enum):
    """What may happen to a board: the first four somebody asks for; END and EXPIRE are what time brings."""

    USE = "USE"
    RESERVE = "RESERVE"
    RENEW = "RENEW"
    RELEASE = "RELEASE"
    END = "END"
    EXPIRE = "EXPIRE"


class No(Enum):
    """WAIT: another has it, but not for ever. REFUSED: what was asked for is not there."""

    WAIT = "WAIT"
    REFUSED = "REFUSED"


_EITHER: Final = (True, False)
TRANSITIONS: Final[Mapping[tuple[Hold, Ask, bool], Hold | No]] = MappingProxyType(
    {
        # A free board belongs to nobody, so whoever asks is not its holder.
        **{(Hold.FREE, Ask.USE, mine): Hold.USED for mine in _EITHER},
        **{(Hold.FREE, Ask.RESERVE, mine): Hold.RESERVED for mine in _EITHER},
        **{(Hold.FREE, ask, mine): No.REFUSED for ask in (Ask.RENEW, Ask.RELEASE) for mine in _EITHER},
        **{(Hold.FREE, ask, mine): Hold.FREE for ask in (Ask.END, Ask.EXPIRE) for mine in _EITHER},
        # Of a board that is used without a reservation, the user is the holder.
        **{(Hold.USED, Ask.USE, mine): No.WAIT for mine in _EITHER},
        (Hold.USED, Ask.RESERVE, True): Hold.RESERVED_USED,
        (Hold.USED, Ask.RESERVE, False): No.WAIT,
        **{(Hold.USED, ask, mine): No.REFUSED for ask in (Ask.RENEW, Ask.RELEASE) for mine in _EITHER},
        **{(Hold.USED, Ask.END, mine): Hold.FREE for mine in _EITHER},
        **{(Hold.USED, Ask.EXPIRE, mine): Hold.USED for mine in _EITHER},
        (Hold.RESERVED, Ask.USE, True): Hold.RESERVED_USED,
        (Hold.RESERVED, Ask.USE, False): No.WAIT,
        (Hold.RESERVED, Ask.RESERVE, True): Hold.RESERVED,
        (Hold.RESERVED, Ask.RESERVE, False): No.WAIT,
        (Hold.RESERVED, Ask.RENEW, True): Hold.RESERVED,
        (Hold.RESERVED, Ask.RENEW, False): No.REFUSED,
        (Hold.RESERVED, Ask.RELEASE, True): Hold.FREE,
        (Hold.RESERVED, Ask.RELEASE, False): No.REFUSED,
        **{(Hold.RESERVED, Ask.END, mine): Hold.RESERVED for mine in _EITHER},
        **{(Hold.RESERVED, Ask.EXPIRE, mine): Hold.FREE for mine in _EITHER},
        # What runs when a reservation ends, runs to its end: a board half programmed helps nobody.
        **{(Hold.RESERVED_USED, Ask.USE, mine): No.WAIT for mine in _EITHER},
        (Hold.RESERVED_USED, Ask.RESERVE, True): Hold.RESERVED_USED,
        (Hold.RESERVED_USED, Ask.RESERVE, False): No.WAIT,
        (Hold.RESERVED_USED, Ask.RENEW, True): Hold.RESERVED_USED,
        (Hold.RESERVED_USED, Ask.RENEW, False): No.REFUSED,
        (Hold.RESERVED_USED, Ask.RELEASE, True): Hold.USED,
        (Hold.RESERVED_USED, Ask.RELEASE, False): No.REFUSED,
        **{(Hold.RESERVED_USED, Ask.END, mine): Hold.RESERVED for mine in _EITHER},
        **{(Hold.RESERVED_USED, Ask.EXPIRE, mine): Hold.USED for mine in _EITHER},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """`boot` names this start of the host. `boot_ms` counts from there on, also while the host is suspended;
    `run_ms` does not then. Neither knows of a clock that is set. `unix_s` is for people, and across boots."""

    boot: str
    boot_ms: int
    run_ms: int
    unix_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    holder: str
    begun_ms: int
    until_ms: int
    until_unix_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """`process`: a running program's token."""

    holder: str
    what: str
    process: str
    begun_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardLease:
    reservation: Reservation | None = None
    use: Use | None = None

    @property
    def hold(self) -> Hold:
        if self.reservation is None:
            return Hold.FREE if self.use is None else Hold.USED
        return Hold.RESERVED if self.use is None else Hold.RESERVED_USED

    @property
    def holder(self) -> str | None:
        if self.reservation is not None:
            return self.reservation.holder
        return None if self.use is None else self.use.holder


FREE: Final = BoardLease()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """USE or RESERVE of the first board of `boards` that is to be had. `what`: of a use; `for_ms`: of a
    reservation. `process` is the program that asks, and waits."""

    ask: Ask
    boards: tuple[str, ...]
    holder: str
    process: str
    what: str = ""
    for_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A place in the queue; the lowest number is first."""

    number: int
    request: Request
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    boot: str = ""
    boards: Mapping[str, BoardLease] = field(default_factory=dict)
    queue: tuple[Ticket, ...] = ()
    next_ticket: int = 1

    def of(self, board: str) -> BoardLease:
        return self.boards.get(board, FREE)

    def waiting(self, board: str) -> tuple[Ticket, ...]:
        """Who waits for the board, the first one first."""
        return tuple(ticket for ticket in self.queue if board in ticket.request.boards)

    def with_board(self, board: str, lease: BoardLease) -> Leases:
        kept = {name: each for name, each in self.boards.items() if name != board}
        return replace(self, boards=kept if lease == FREE else {**kept, board: lease})


def answer(lease: BoardLease, ask: Ask, holder: str) -> Hold | No:
    return TRANSITIONS[lease.hold, ask, holder == lease.holder]


def settle(leases: Leases, now: Now, beats: Mapping[str, int]) -> Leases:
    """What is left at `now`. `beats`: when each living program last said that it runs, in `run_ms`."""
    leases = _after_boot(leases, now)

    def lives(process: str) -> bool:
        beat_ms = beats.get(process)
        return beat_ms is not None and now.run_ms - beat_ms < SILENT_MS

    boards = {}
    for name, lease in leases.boards.items():
        if lease.reservation is not None and lease.reservation.until_ms <= now.boot_ms:
            lease = replace(lease, reservation=None)
        if lease.use is not None and not lives(lease.use.process):
            lease = replace(lease, use=None)
        if lease != FREE:
            boards[name] = lease
    queue = tuple(ticket for ticket in leases.queue if lives(ticket.request.process))
    if boards == leases.boards and queue == leases.queue:
        return leases
    return replace(leases, boards=boards, queue=queue)


def _after_boot(leases: Leases, now: Now) -> Leases:
    """The counters begin anew with the host, so reservations of before go by the clock on the wall; one that
    is wrong does not make them longer than they were, or may be."""
    if leases.boot == now.boot:
        return leases
    boards = {}
    for name, lease in leases.boards.items():
        old = lease.reservation
        if old is None:
            continue
        # With renewals it may be days since it began.
        longest_ms = min(old.until_ms - old.begun_ms, LONGEST_MS)
        left_ms = min((old.until_unix_s - now.unix_s) * 1000, longest_ms)
        if left_ms > 0:
            new = replace(old, begun_ms=now.boot_ms, until_ms=now.boot_ms + left_ms)
            boards[name] = BoardLease(reservation=new)
    return replace(leases, boot=now.boot, boards=boards, queue=())


def take(leases: Leases, request: Request, now: Now, ticket: int | None = None) -> tuple[Leases, str | None]:
    """The board that the request gets now, and its ticket is spent; None: it has to wait. Nobody passes one
    who was there before and could have the board."""
    for board in request.boards:
        lease = leases.of(board)
        if isinstance(answer(lease, request.ask, request.holder), No):
            continue
        renews = request.ask is Ask.RESERVE and _holds(lease, request.holder)
        if not renews and any(_goes_first(other, lease, ticket) for other in leases.waiting(board)):
            continue
        if request.ask is Ask.USE:
            use = Use(holder=request.holder, what=request.what, process=request.process, begun_ms=now.boot_ms)
            after = replace(lease, use=use)
        else:
            after = replace(lease, reservation=_reserved(leases, board, request.holder, request.for_ms, now))
        return leave(leases.with_board(board, after), ticket), board
    return leases, None


def _goes_first(other: Ticket, lease: BoardLease, ticket: int | None) -> bool:
    """Whether `other` came before and is not kept from the board by a reservation that is not its own: the
    holder of a reservation need not wait for those who wait for its end."""
    if ticket is not None and other.number >= ticket:
        return False
    return lease.reservation is None or lease.reservation.holder == other.request.holder


def _holds(lease: BoardLease, holder: str) -> bool:
    return lease.reservation is not None and lease.reservation.holder == holder


def join(leases: Leases, request: Request, now: Now) -> tuple[Leases, int | None]:
    """A ticket at the queue's end; None: the queue is full."""
    if len(leases.queue) >= QUEUE_MAX:
        return leases, None
    number = leases.next_ticket
    ticket = Ticket(number=number, request=request, since_ms=now.boot_ms)
    return replace(leases, queue=(*leases.queue, ticket), next_ticket=number + 1), number


def leave(leases: Leases, ticket: int | None) -> Leases:
    """Gives the place up; none, or one that is gone, changes nothing."""
    return replace(leases, queue=tuple(each for each in leases.queue if each.number != ticket))


def renew(leases: Leases, board: str, holder: str, for_ms: int, now: Now) -> tuple[Leases, bool]:
    """For `for_ms` from now on; False: `holder` has no reservation of the board."""
    lease = leases.of(board)
    if isinstance(answer(lease, Ask.RENEW, holder), No):
        return leases, False
    reservation = _reserved(leases, board, holder, for_ms, now)
    return leases.with_board(board, replace(lease, reservation=reservation)), True


def _reserved(leases: Leases, board: str, holder: str, for_ms: int, now: Now) -> Reservation:
    if not 0 < for_ms <= LONGEST_MS:
        raise ValueError(f"{for_ms} ms, expected 1 to {LONGEST_MS}")
    before = leases.of(board).reservation
    begun_ms = now.boot_ms if before is None else before.begun_ms
    until_ms = now.boot_ms + for_ms
    if before is not None and any(each.request.holder != holder for each in leases.waiting(board)):
        # Who renews for ever would have the others wait for ever.
        until_ms = min(until_ms, max(before.until_ms, begun_ms + LONGEST_MS))
    left_s = -(-(until_ms - now.boot_ms) // 1000)
    return Reservation(holder=holder, begun_ms=begun_ms, until_ms=until_ms, until_unix_s=now.unix_s + left_s)


def release(leases: Leases, board: str, holder: str) -> tuple[Leases, bool]:
    """Ends the reservation; False: `holder` has none of the board. A use of it goes on to its end."""
    lease = leases.of(board)
    if isinstance(answer(lease, Ask.RELEASE, holder), No):
        return leases, False
    return leases.with_board(board, replace(lease, reservation=None)), True


def end_use(leases: Leases, board: str, process: str) -> Leases:
    """The program is done with the board; nothing happens when it has none (any more)."""
    lease = leases.of(board)
    if lease.use is None or lease.use.process != process:
        return leases
    return leases.with_board(board, replace(lease, use=None))
