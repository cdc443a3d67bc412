"""Watches over boards, and brings those back that hang. core/recovery.py decides; here it is done.

Each board is attended to in a thread of its own, so that none waits for another; while it is touched, this
program has its lease. Nothing of a neighbour is ever touched.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from tinyfleet.agent.core.errors import AgentError, BoardBusyError, QuarantinedError
from tinyfleet.agent.core.faults import fault_beside, is_host_trouble, speaks_of_board
from tinyfleet.agent.core.pulse import Beat, Fault, Verdict
from tinyfleet.agent.core.recovery import Condition, Event, Finding, Limits, Patient, is_rested, loaded, step
from tinyfleet.agent.core.tally import RECOVERIES
from tinyfleet.agent.services.heartbeat import Bedside, Heartbeat
from tinyfleet.agent.services.ladder import Ladder
from tinyfleet.agent.services.ports import Clock, Counting

LOG = logging.getLogger(__name__)
HELD_S: Final = 5.0
"""After a board could not be had, or not be judged."""
LEARN_S: Final = 10.0
"""After it was programmed; whoever did that mostly wants to use it first."""
CORE_FACTOR: Final = 10
_OUTCOMES: Final = {Event.BEAT: "OK", Event.SILENT: "FAILED"}
END_S: Final = 10.0
HOLDER: Final = "recovery"
"""Who has a board's lease while it is asked for its heartbeat, or brought back."""
ASKED_S: Final = 15.0
"""How long others wait for that at least; asking a board that lives takes far less."""


class Records(Protocol):
    """Never raises: what cannot be written is kept in memory."""

    def load(self, board: str) -> Patient: ...

    def change(self, board: str, change: Callable[[Patient], Patient]) -> Patient:
        """Under a lock that all programs of the bench respect."""

    def unsaved(self, board: str) -> str | None:
        """Why what is known of the board ends with this program."""

    def append(self, board: str, entry: Mapping[str, Any]) -> None: ...

    def history(self, board: str, last: int) -> list[dict[str, Any]]: ...


class Held(Protocol):
    def check(self, step: str) -> None:
        """Raises StepFailed when the board is not ours any more."""


class BoardUse(Protocol):
    def use(
        self, board: str, what: str, wait_s: float = 0.0, hangs: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[Held]:
        """Raises BoardBusyError while another has it, LeaseError."""


@dataclass(frozen=True, slots=True)
class Ward:
    """One board, and what reaches it."""

    bed: Bedside
    ladder: Ladder


Told = Callable[[str, Event, Patient, Finding], None]
"""Called with board, event, what it is now, and what was found."""


class Recovery:
    def __init__(
        self,
        wards: Mapping[str, Ward],
        heartbeat: Heartbeat,
        records: Records,
        leases: BoardUse,
        clock: Clock,
        counting: Counting,
        limits: Limits,
        told: Told = lambda board, event, patient, found: None,
    ) -> None:
        self._wards = wards
        self._heartbeat = heartbeat
        self._records = records
        self._leases = leases
        self._clock = clock
        self._counting = counting
        self.limits = limits
        self._told = told
        self._stopping = threading.Event()
        self._attending: dict[str, threading.Thread] = {}
        self._next_s: dict[str, float] = {}
        self._trouble: dict[str, str] = {}
        self._lock = threading.Lock()

    # What others tell of a board.

    def admit(self, board: str) -> None:
        """Raises QuarantinedError."""
        patient = self._records.load(board)
        if patient.state is Condition.QUARANTINED:
            raise QuarantinedError(
                f"{board} is in quarantine: {patient.reason}",
                f"see `tinyfleet bench history {board}`; mended: `tinyfleet bench unquarantine {board}`",
            )

    def wait_s(self, holder: str | None) -> float:
        """How long to wait at least for a board that `holder` has: a heartbeat is over at once."""
        return ASKED_S if holder == HOLDER else 0.0

    def failed(self, board: str, error: Exception, *, by_probe: bool) -> None:
        """A run or flash failed. A board that never was alive is left alone: it may be blank."""
        patient = self._records.load(board)
        if speaks_of_board(error) and patient.should_live:
            self._event(board, Event.CALLED, Finding(cause=str(error), by_probe=by_probe))
            return
        beside = fault_beside(error)
        if beside is not None:
            self._note(board, beside, str(error))

    def answered(self, board: str) -> None:
        """A run succeeded, so it answers HELLO."""
        self._next_s[board] = self._clock.monotonic_s() + self.limits.beat_every_s
        self._event(board, Event.BEAT, Finding(beat=Beat.HELLO, cause=Beat.HELLO.words))

    def programmed(self, board: str) -> None:
        """What it answered before says nothing any more; it is asked anew in a while."""
        self._next_s[board] = self._clock.monotonic_s() + LEARN_S
        self._event(board, Event.PROGRAMMED, Finding())

    def died(self, board: str, cause: str) -> None:
        """An emulated board's QEMU ended. It is written down also of a board that never was alive."""
        if self._records.load(board).should_live:
            self._event(board, Event.CALLED, Finding(cause=cause))
        else:
            self._note(board, Fault.BOARD, cause)

    # What people ask for.

    def quarantine(self, board: str, reason: str) -> Patient:
        return self._event(board, Event.BANISHED, Finding(cause=reason))

    def pardon(self, board: str) -> Patient:
        return self._event(board, Event.PARDONED, Finding())

    def recover(self, board: str, leases: BoardUse | None = None) -> Patient:
        """One climb, here and now, with whose `leases` it is. Raises BoardBusyError while somebody else has
        it, QuarantinedError."""
        self.admit(board)
        with self._had(board, leases or self._leases, ASKED_S):
            self._settled(board)
            self._event(board, Event.RESTED, Finding(cause="somebody asked for it"))
            self._event(board, Event.CALLED, Finding(cause="somebody asked for it"))
            return self._bring_back(board)

    def check_saved(self, board: str) -> None:
        """For programs that end at once. Raises AgentError when what they changed ends with them."""
        why = self._records.unsaved(board)
        if why is not None:
            raise AgentError(
                f"{board}: nothing was changed, as it cannot be written: {why}",
                "is the state folder yours, and is there room?",
            )

    def patient(self, board: str) -> Patient:
        """As the records say, in whatever program it is climbing."""
        return self._records.load(board)

    def history(self, board: str, last: int) -> list[dict[str, Any]]:
        return self._records.history(board, last)

    # What is done by itself.

    def watch(self) -> None:
        """Begins what is due and returns at once."""
        for board in self._wards:
            if self._stopping.is_set():
                return
            if self._due(board):
                self._attend(board)

    def close(self) -> None:
        """Ends what is under way after its present step."""
        self._stopping.set()
        for thread in list(self._attending.values()):
            thread.join(END_S)
        for ward in self._wards.values():
            ward.bed.ear.close()

    def _due(self, board: str) -> bool:
        with self._lock:
            thread = self._attending.get(board)
            if thread is not None and thread.is_alive():
                return False
        now_s, unix_s = self._clock.monotonic_s(), float(self._clock.unix_s())
        patient = loaded(self._records.load(board))
        if patient.state is Condition.QUARANTINED:
            return False
        if patient.state in (Condition.PAUSED, Condition.WEDGED) and not patient.should_live:
            # Somebody asked for a climb of a board that never lived; that one was all.
            return False
        if patient.state is Condition.PAUSED:
            return is_rested(patient, unix_s)
        waits = now_s < self._next_s.setdefault(board, now_s)
        if patient.state is Condition.WEDGED:
            return not waits
        if patient.should_live:
            return not waits
        return not patient.asked and not waits

    def _attend(self, board: str) -> None:
        thread = threading.Thread(target=self._attended, args=(board,), name=f"recovery-{board}", daemon=True)
        with self._lock:
            self._attending[board] = thread
        thread.start()

    def _attended(self, board: str) -> None:
        try:
            if self._wards[board].bed.worker.hangs():
                # Its lease is kept for that call of our own, so nobody else is there; nor would anybody ever
                # be again, were it waited for.
                self._visit(board)
                return
            with self._had(board, self._leases):
                self._visit(board)
            self._trouble.pop(board, None)
        except BoardBusyError:
            self._next_s[board] = self._clock.monotonic_s() + HELD_S
        except AgentError as error:
            self._next_s[board] = self._clock.monotonic_s() + HELD_S
            if self._trouble.get(board) != str(error):
                LOG.warning("%s: recovery: trying again: %s", board, error)
            self._trouble[board] = str(error)
        except Exception:
            # A mistake of ours with one board must not end the watch over it.
            LOG.exception("%s: recovery", board)
            self._next_s[board] = self._clock.monotonic_s() + HELD_S

    @contextmanager
    def _had(self, board: str, leases: BoardUse, wait_s: float = 0.0) -> Iterator[None]:
        """The board is ours alone; what touches it asks first whether it still is."""
        worker = self._wards[board].bed.worker
        with leases.use(board, "recovery", wait_s, worker.hangs) as lease, worker.guarded(lease.check):
            yield

    def _visit(self, board: str) -> None:
        """With the lease. Asks an ALIVE or UNKNOWN board for its heartbeat; climbs for others."""
        patient = self._settled(board)
        if patient.state is Condition.PAUSED:
            patient = self._event(board, Event.RESTED, Finding())
        if patient.state is not Condition.WEDGED:
            verdict = self._ask(board, patient)
            patient = self._judged(board, patient, verdict)
            if patient.state is not Condition.WEDGED:
                return
        self._bring_back(board)

    def _settled(self, board: str) -> Patient:
        """The lease is ours, so nobody else climbs: a rung in the records was left when its program ended."""
        return self._records.change(board, loaded)

    def _judged(self, board: str, patient: Patient, verdict: Verdict) -> Patient:
        every_s = self.limits.beat_every_s * (1 if patient.expects is Beat.HELLO else CORE_FACTOR)
        self._next_s[board] = self._clock.monotonic_s() + every_s
        if verdict.beat is not None:
            return self._event(board, Event.BEAT, Finding(verdict.beat, cause=verdict.cause))
        if verdict.fault in (None, Fault.HOST) or self._wards[board].ladder.is_unplugged():
            self._next_s[board] = self._clock.monotonic_s() + HELD_S
            return patient
        if not patient.should_live:
            # Blank, or halted by whoever programmed it: it was looked at, and is not held to anything.
            return self._records.change(board, _looked_at)
        return self._event(board, Event.SILENT, Finding(fault=verdict.fault, cause=verdict.cause))

    def _bring_back(self, board: str) -> Patient:
        """With the lease, from WEDGED: first whether it came back by itself, then the ladder."""
        patient = self._records.load(board)
        if patient.state is not Condition.WEDGED:
            return patient
        verdict = self._ask(board, patient)
        if verdict.beat is not None:
            return self._event(board, Event.BEAT, Finding(verdict.beat, cause=verdict.cause))
        if verdict.fault in (None, Fault.HOST) or self._wards[board].ladder.is_unplugged():
            self._next_s[board] = self._clock.monotonic_s() + HELD_S
            return self._event(board, Event.HELD, Finding(fault=verdict.fault, cause=verdict.cause))
        patient = self._event(board, Event.GRANTED, Finding(fault=verdict.fault, cause=verdict.cause))
        worker = self._wards[board].bed.worker
        hung = worker.hangs()
        while patient.climbing and not self._stopping.is_set():
            if hung and not worker.hangs():
                # Its lease went with the call: from here on it has to be asked for.
                return self._event(
                    board, Event.HELD, Finding(cause="the call that hung in its probe has ended")
                )
            patient = self._climb(board, patient)
        return patient

    def _climb(self, board: str, patient: Patient) -> Patient:
        rung = patient.state
        failure: str | None = None
        try:
            climbed = self._wards[board].ladder.climb(rung)
        except AgentError as error:
            failure = str(error)
            if is_host_trouble(error):
                return self._event(board, Event.HELD, Finding(fault=Fault.HOST, cause=failure))
        else:
            if not climbed.done:
                return self._event(board, Event.SKIPPED, Finding(cause=climbed.said))
        reprogrammed = rung is Condition.REFLASH and failure is None
        verdict = self._ask(board, patient, reprogrammed=reprogrammed)
        if verdict.beat is not None:
            return self._event(board, Event.BEAT, Finding(verdict.beat, cause=verdict.cause))
        if verdict.fault in (None, Fault.HOST):
            return self._event(board, Event.HELD, Finding(fault=verdict.fault, cause=verdict.cause))
        cause = verdict.cause if failure is None else f"{failure} ({verdict.cause})"
        return self._event(board, Event.SILENT, Finding(fault=verdict.fault, cause=cause))

    def _ask(self, board: str, patient: Patient, *, reprogrammed: bool = False) -> Verdict:
        return self._heartbeat.ask(
            self._wards[board].bed,
            patient.expects,
            needs_probe=patient.needs_probe,
            reprogrammed=reprogrammed,
        )

    def _event(self, board: str, event: Event, found: Finding) -> Patient:
        now_s = float(self._clock.unix_s())
        seen: list[Patient] = []

        def change(before: Patient) -> Patient:
            seen[:] = [before]
            return step(before, event, found, now_s, self.limits)

        after = self._records.change(board, change)
        before = seen[0]
        if before.climbing and after.state is not before.state:
            outcome = _OUTCOMES.get(event, event.name)
            self._counting.add(RECOVERIES, board=board, rung=before.state.name, outcome=outcome)
        if after.state is not before.state:
            self._write_down(board, event, before, after, found)
            self._told(board, event, after, found)
        return after

    def _write_down(self, board: str, event: Event, before: Patient, after: Patient, found: Finding) -> None:
        """Every stored event names its transition."""
        entry = {
            "at": self._clock.unix_s(),
            "event": event.name,
            "from": before.state.name,
            "to": after.state.name,
            "beat": None if found.beat is None else found.beat.name,
            "fault": None if found.fault is None else found.fault.name,
            "cause": found.cause,
        }
        self._records.append(board, {name: value for name, value in entry.items() if value is not None})

    def _note(self, board: str, fault: Fault, cause: str) -> None:
        """What is not the board's own: it is written down, and the board is left alone."""
        state = self._records.load(board).state.name
        entry = {"at": self._clock.unix_s(), "event": "NOTED", "from": state, "to": state}
        self._records.append(board, entry | {"fault": fault.name, "cause": cause})


def _looked_at(patient: Patient) -> Patient:
    return replace(patient, asked=True)
