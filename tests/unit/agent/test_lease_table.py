"""The table of leases: every pair of it, and whatever order things come in, never two on one board."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tinyfleet.agent.core.leases import (
    LONGEST_MS,
    QUEUE_MAX,
    SILENT_MS,
    TRANSITIONS,
    Ask,
    Hold,
    Leases,
    No,
    Now,
    Request,
    end_use,
    join,
    leave,
    release,
    renew,
    settle,
    take,
)

NOW = Now(boot="b", boot_ms=1_000_000, run_ms=1_000_000, unix_s=1_700_000_000)
ALIVE = {"p1": NOW.run_ms, "p2": NOW.run_ms}
MIN_MS = 60_000


def later(now: Now, ms: int) -> Now:
    return replace(now, boot_ms=now.boot_ms + ms, run_ms=now.run_ms + ms, unix_s=now.unix_s + ms // 1000)


def use(holder: str = "ann", process: str = "p1", boards: tuple[str, ...] = ("b1",)) -> Request:
    return Request(ask=Ask.USE, boards=boards, holder=holder, process=process, what="flash")


def reserve(holder: str = "ann", for_ms: int = MIN_MS, boards: tuple[str, ...] = ("b1",)) -> Request:
    return Request(ask=Ask.RESERVE, boards=boards, holder=holder, process="p1", for_ms=for_ms)


def held(hold: Hold) -> Leases:
    """A bench whose b1 is ann's in that way."""
    leases = Leases(boot="b")
    if hold in (Hold.RESERVED, Hold.RESERVED_USED):
        leases, _ = take(leases, reserve(), NOW)
    if hold in (Hold.USED, Hold.RESERVED_USED):
        leases, _ = take(leases, use(), NOW)
    assert leases.of("b1").hold is hold
    return leases


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == set(itertools.product(Hold, Ask, (True, False)))


@pytest.mark.parametrize(("hold", "ask", "mine"), TRANSITIONS, ids=str)
def test_what_happens_is_what_the_table_says(hold: Hold, ask: Ask, mine: bool) -> None:
    leases, says = held(hold), TRANSITIONS[hold, ask, mine]
    holder = "ann" if mine else "bob"
    done: object
    match ask:
        case Ask.USE:
            after, done = take(leases, use(holder, "p2"), NOW)
        case Ask.RESERVE:
            after, done = take(leases, reserve(holder), NOW)
        case Ask.RENEW:
            after, done = renew(leases, "b1", holder, MIN_MS, NOW)
        case Ask.RELEASE:
            after, done = release(leases, "b1", holder)
        case Ask.END:
            after, done = end_use(leases, "b1", "p1"), True
        case Ask.EXPIRE:
            now = later(NOW, MIN_MS)
            after, done = settle(leases, now, {"p1": now.run_ms}), True
    if isinstance(says, No):
        assert (after, bool(done)) == (leases, False)
    else:
        assert (after.of("b1").hold, bool(done)) == (says, True)


def test_a_use_ends_with_its_program_and_a_reservation_does_not() -> None:
    leases = held(Hold.RESERVED_USED)
    assert settle(leases, NOW, ALIVE) == leases
    assert settle(leases, NOW, {}).of("b1").hold is Hold.RESERVED
    silent = later(NOW, SILENT_MS)
    long = replace(leases, boards={"b1": replace(leases.of("b1"), reservation=None)})
    assert settle(long, later(NOW, SILENT_MS - 1), ALIVE) == long
    assert settle(long, silent, ALIVE).of("b1").hold is Hold.FREE, "stopped: it may hang for ever"


def test_a_suspended_host_ends_reservations_but_no_running_program() -> None:
    leases = held(Hold.RESERVED_USED)
    woken = replace(NOW, boot_ms=NOW.boot_ms + 8 * 3600_000, unix_s=NOW.unix_s + 8 * 3600)
    assert settle(leases, woken, ALIVE).of("b1").hold is Hold.USED


def test_a_clock_that_is_set_changes_nothing() -> None:
    leases = held(Hold.RESERVED_USED)
    for jump_s in (-10 * 365 * 86_400, 10 * 365 * 86_400):
        assert settle(leases, replace(NOW, unix_s=NOW.unix_s + jump_s), ALIVE) == leases


@pytest.mark.parametrize(
    ("unix_after_s", "left_ms"), [(20, 40_000), (60, None), (4000, None), (-4000, MIN_MS)]
)
def test_a_reservation_outlives_a_start_of_the_host(unix_after_s: int, left_ms: int | None) -> None:
    """By the clock on the wall; one that went back makes it no longer than it was."""
    leases, _ = join(held(Hold.RESERVED_USED), use("bob", "p2"), NOW)
    new = Now(boot="c", boot_ms=5, run_ms=5, unix_s=NOW.unix_s + unix_after_s)
    after = settle(leases, new, {"p1": 5, "p2": 5})
    assert after.queue == ()
    reservation = after.of("b1").reservation
    assert (None if reservation is None else reservation.until_ms - new.boot_ms) == left_ms
    assert after.of("b1").use is None


def test_a_wrong_clock_after_a_start_makes_no_reservation_longer_than_any_may_be() -> None:
    """It was renewed for days, and the host has no battery for its clock."""
    now = NOW
    leases, _ = take(Leases(boot="b"), reserve("ann", for_ms=LONGEST_MS), now)
    for _ in range(3):
        now = later(now, LONGEST_MS - 1)
        leases, done = renew(settle(leases, now, {}), "b1", "ann", LONGEST_MS, now)
        assert done
    new = Now(boot="c", boot_ms=5, run_ms=5, unix_s=0)
    reservation = settle(leases, new, {}).of("b1").reservation
    assert reservation is not None and reservation.until_ms - new.boot_ms <= LONGEST_MS


def test_first_come_first_served_and_the_dead_make_room() -> None:
    leases = held(Hold.USED)
    leases, first = join(leases, use("bob", "p2"), NOW)
    leases, second = join(leases, reserve("cid"), NOW)
    free = end_use(leases, "b1", "p1")
    assert take(free, use("eve", "p1"), NOW)[1] is None, "without a ticket behind all that have one"
    assert take(free, reserve("cid"), NOW, second)[1] is None
    after, board = take(free, use("bob", "p2"), NOW, first)
    assert (board, [ticket.request.holder for ticket in after.queue]) == ("b1", ["cid"])
    without = settle(free, NOW, {"p1": NOW.run_ms})
    assert take(without, reserve("cid"), NOW, second)[1] == "b1", "bob's program died"


def test_the_holder_passes_those_who_wait_for_the_end_of_the_reservation() -> None:
    leases, _ = join(held(Hold.RESERVED), use("bob", "p2"), NOW)
    assert take(leases, use("ann"), NOW)[1] == "b1"
    leases, first = join(leases, use("ann", "p2"), NOW)
    assert take(leases, use("ann"), NOW)[1] is None, "among its own programs it is first come, first served"
    assert take(leases, use("ann", "p2"), NOW, first)[1] == "b1"


def test_one_with_a_label_takes_the_first_that_is_free_and_keeps_no_one_from_the_others() -> None:
    leases, _ = take(Leases(boot="b"), reserve("ann"), NOW)
    leases, _ = join(leases, use("bob", "p2", ("b1",)), NOW)
    _, board = take(leases, reserve("cid", boards=("b1", "b2")), NOW)
    assert board == "b2"
    leases, ticket = join(leases, reserve("cid", boards=("b1", "b2")), NOW)
    assert take(leases, use("dan", boards=("b2",)), NOW)[1] is None, "cid was there before"
    assert take(leases, use("dan", boards=("b3",)), NOW)[1] == "b3"
    assert leave(leases, ticket).waiting("b2") == ()


def test_renewing_for_ever_ends_where_others_wait() -> None:
    leases, now = held(Hold.RESERVED), NOW
    waits, _ = join(leases, use("bob", "p2"), now)
    for each in (leases, waits):
        now = NOW
        while now.boot_ms < NOW.boot_ms + 2 * LONGEST_MS:
            each, done = renew(each, "b1", "ann", MIN_MS, now)
            if not done:
                break
            now = later(now, MIN_MS - 1)
            each = settle(each, now, {"p2": now.run_ms})
        alone = each.queue == ()
        assert done is alone
        assert alone or now.boot_ms - NOW.boot_ms <= LONGEST_MS + MIN_MS


def test_the_queue_is_bounded() -> None:
    leases = held(Hold.USED)
    for _ in range(QUEUE_MAX):
        leases, ticket = join(leases, use("bob", "p2"), NOW)
        assert ticket is not None
    assert join(leases, use("bob", "p2"), NOW) == (leases, None)


def test_lengths_are_bounded() -> None:
    for for_ms in (0, -1, LONGEST_MS + 1):
        with pytest.raises(ValueError, match="ms, expected 1 to"):
            take(Leases(), reserve(for_ms=for_ms), NOW)


BOARDS = st.sampled_from([("b1",), ("b2",), ("b1", "b2"), ("b2", "b1"), ("b1", "b2", "b3")])
HOLDERS = st.sampled_from(["ann", "bob", "cid"])
NUMBERS = st.integers(0, 5)


class Runners(RuleBasedStateMachine):
    """Programs that come, wait, work, stop and are killed. What each believes to have is held against the
    others' belief."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.leases = Leases(boot="b")
        self.beats: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.at_work: dict[str, tuple[str, str]] = {}
        """Board: holder and program that work on it."""
        self.tickets: dict[str, tuple[int, Request]] = {}
        self.born = 0

    def settled(self) -> Leases:
        for process in set(self.beats) - self.stopped:
            self.beats[process] = self.now.run_ms
        self.leases = settle(self.leases, self.now, self.beats)
        return self.leases

    def asked(self, request: Request) -> None:
        ticket = self.tickets.get(request.process, (None, request))[0]
        before = self.settled()
        if ticket is not None and not any(each.number == ticket for each in before.queue):
            ticket = None
        after, board = take(before, request, self.now, ticket)
        if board is None:
            if ticket is None:
                after, number = join(after, request, self.now)
                assert number is not None
                self.tickets[request.process] = (number, request)
            self.leases = after
            return
        ahead = [
            each
            for each in before.waiting(board)
            if each.number < (ticket or before.next_ticket)
            and take(before, each.request, self.now, each.number)[1] == board
        ]
        renewed = request.ask is Ask.RESERVE and before.of(board).holder == request.holder
        assert renewed or not ahead, "passed somebody who could have had it"
        if request.ask is Ask.USE:
            assert board not in self.at_work or self.at_work[board][1] not in self.alive_at_work(board)
            self.at_work[board] = (request.holder, request.process)
        reservation = after.of(board).reservation
        assert reservation is None or reservation.holder == request.holder
        self.tickets.pop(request.process, None)
        self.leases = after

    def alive_at_work(self, board: str) -> set[str]:
        """Who may touch the board: the living, that have not stood still for too long."""
        at = self.at_work.get(board)
        if at is None or at[1] not in self.beats:
            return set()
        return {at[1]} if self.now.run_ms - self.beats[at[1]] < SILENT_MS else set()

    @rule(boards=BOARDS, holder=HOLDERS, ask=st.sampled_from([Ask.USE, Ask.RESERVE]))
    def come(self, boards: tuple[str, ...], holder: str, ask: Ask) -> None:
        process = f"p{self.born}"
        self.born += 1
        self.beats[process] = self.now.run_ms
        request = Request(
            ask=ask,
            boards=boards if ask is Ask.RESERVE else boards[:1],
            holder=holder,
            process=process,
            what="w",
            for_ms=MIN_MS,
        )
        self.asked(request)

    @precondition(lambda self: self.tickets)
    @rule(which=NUMBERS)
    def look_again(self, which: int) -> None:
        process = sorted(self.tickets)[which % len(self.tickets)]
        if process in self.beats and process not in self.stopped:
            self.asked(self.tickets[process][1])

    @precondition(lambda self: self.at_work)
    @rule(which=NUMBERS)
    def done(self, which: int) -> None:
        board = sorted(self.at_work)[which % len(self.at_work)]
        _, process = self.at_work.pop(board)
        self.leases = end_use(self.settled(), board, process)

    @precondition(lambda self: self.beats)
    @rule(which=NUMBERS, kill=st.booleans())
    def killed_or_stopped(self, which: int, kill: bool) -> None:
        process = sorted(self.beats)[which % len(self.beats)]
        if kill:
            del self.beats[process]
        else:
            self.stopped.add(process)

    @rule(holder=HOLDERS, board=st.sampled_from(["b1", "b2"]))
    def release(self, holder: str, board: str) -> None:
        self.leases, _ = release(self.settled(), board, holder)

    @rule(ms=st.sampled_from([1, 5000, SILENT_MS // 2, SILENT_MS, MIN_MS]))
    def time_goes(self, ms: int) -> None:
        self.now = later(self.now, ms)

    @rule()
    def host_starts(self) -> None:
        self.now = replace(self.now, boot=self.now.boot + "b", boot_ms=3, run_ms=3)
        self.beats.clear()
        self.stopped.clear()
        self.at_work.clear()
        self.tickets.clear()

    @invariant()
    def who_works_has_the_board(self) -> None:
        left = settle(self.leases, self.now, self.beats)
        for board, (holder, process) in self.at_work.items():
            if self.alive_at_work(board):
                use = left.of(board).use
                assert use is not None and (use.holder, use.process) == (holder, process)

    @invariant()
    def nothing_lasts_for_ever(self) -> None:
        end = later(self.now, LONGEST_MS)
        assert settle(self.leases, end, {}) == replace(self.leases, boards={}, queue=(), boot=end.boot)

    @invariant()
    def numbers_ascend(self) -> None:
        numbers = [ticket.number for ticket in self.leases.queue]
        assert numbers == sorted(set(numbers))


TestRunners = Runners.TestCase
TestRunners.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
