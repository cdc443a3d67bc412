"""Is a device there? `conn` is evidence, not state: this table turns evidence and silence into a state.

A cut link after ASLEEP leaves a retained LOST, a broker restart makes every node LOST, and a broker's `kill
-9` leaves ONLINE for ever. So: LOST after ASLEEP of the same connection is ASLEEP; nobody is ONLINE past
the silence allowed to it; LOSTs within two keep-alives of a broker restart are held back.

A device that sleeps is judged by the wake-ups it missed: none is ASLEEP, some are LATE, several LOST. What
cut one of its connections says nothing about the next wake.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from tinyfleet.fleet.core.order import Order, newer
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Conn

KEEPALIVES_SILENT: Final = 1.5
PERIODS_SILENT: Final = 2.5
GONE_FACTOR: Final = 4.0
RESTART_KEEPALIVES: Final = 2.0
WAKES_MISSED: Final = 3
"""A device that sleeps is LOST once it missed so many wake-ups in a row."""


class DeviceState(Enum):
    """What the fleet shows. UNKNOWN: never heard of."""

    ONLINE = "ONLINE"
    ASLEEP = "ASLEEP"
    LATE = "LATE"
    LOST = "LOST"
    UNKNOWN = "UNKNOWN"


class Word(Enum):
    """What the device, or its will, last said about its connection."""

    NONE = "NONE"
    ONLINE = "ONLINE"
    ASLEEP = "ASLEEP"
    LOST = "LOST"
    HELD = "HELD"
    """LOST so soon after a broker restart that it says nothing about the device."""


class Silence(Enum):
    """How long the device has been quiet, against what is allowed to it."""

    NEVER = "NEVER"
    FRESH = "FRESH"
    OVERDUE = "OVERDUE"
    GONE = "GONE"


TABLE: Final[Mapping[tuple[Word, Silence], DeviceState]] = {
    (Word.NONE, Silence.NEVER): DeviceState.UNKNOWN,
    (Word.NONE, Silence.FRESH): DeviceState.ONLINE,
    (Word.NONE, Silence.OVERDUE): DeviceState.LATE,
    (Word.NONE, Silence.GONE): DeviceState.LOST,
    (Word.ONLINE, Silence.NEVER): DeviceState.UNKNOWN,
    (Word.ONLINE, Silence.FRESH): DeviceState.ONLINE,
    (Word.ONLINE, Silence.OVERDUE): DeviceState.LATE,
    (Word.ONLINE, Silence.GONE): DeviceState.LOST,
    (Word.ASLEEP, Silence.NEVER): DeviceState.UNKNOWN,
    (Word.ASLEEP, Silence.FRESH): DeviceState.ASLEEP,
    (Word.ASLEEP, Silence.OVERDUE): DeviceState.LATE,
    (Word.ASLEEP, Silence.GONE): DeviceState.LOST,
    (Word.LOST, Silence.NEVER): DeviceState.LOST,
    (Word.LOST, Silence.FRESH): DeviceState.LOST,
    (Word.LOST, Silence.OVERDUE): DeviceState.LOST,
    (Word.LOST, Silence.GONE): DeviceState.LOST,
    (Word.HELD, Silence.NEVER): DeviceState.UNKNOWN,
    (Word.HELD, Silence.FRESH): DeviceState.ONLINE,
    (Word.HELD, Silence.OVERDUE): DeviceState.LATE,
    (Word.HELD, Silence.GONE): DeviceState.LOST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a device's connection. Times are the manager's, in seconds.

    `heard_s` is the last message the device itself sent, so a will does not count. `outlived` marks a LOST
    after which the device was heard all the same. `wake_s` is how often it wakes, by its birth; None: it
    does not sleep.
    """

    period_s: int
    keepalive_s: int
    conn: ConnState | None = None
    order: Order | None = None
    conn_at_s: float = 0.0
    next_wake_s: int | None = None
    heard_s: float | None = None
    held_until_s: float | None = None
    outlived: bool = False
    wake_s: int | None = None


def fold_conn(evidence: Evidence, conn: Conn, now_s: float, restarted_s: float | None = None) -> Evidence:
    """Takes a `conn` in. `restarted_s` is when the broker was last lost from sight. Old news changes
    nothing.
    """
    order = (conn.boot, conn.conn)
    if order != evidence.order and not newer(order, evidence.order):
        return evidence
    if order == evidence.order:
        if conn.state is evidence.conn and conn.next_wake_s == evidence.next_wake_s:
            return evidence
        if conn.state is ConnState.LOST and evidence.conn is ConnState.ASLEEP:
            return evidence
        if evidence.conn is ConnState.LOST:
            return evidence  # a connection that ended does not come back: the broker repeats itself
    lost = conn.state is ConnState.LOST
    held = None
    if lost and restarted_s is not None:
        until = restarted_s + RESTART_KEEPALIVES * evidence.keepalive_s
        held = until if now_s < until else None
    return replace(
        evidence,
        conn=conn.state,
        order=order,
        conn_at_s=now_s,
        next_wake_s=conn.next_wake_s,
        heard_s=evidence.heard_s if lost else now_s,
        held_until_s=held,
        outlived=False,
    )


def fold_heard(evidence: Evidence, now_s: float) -> Evidence:
    """Takes in that the device itself said something new."""
    return replace(evidence, heard_s=now_s, outlived=evidence.conn is ConnState.LOST)


def next_wake_at_s(evidence: Evidence) -> float | None:
    """When a device that sleeps was or is to be heard next; None: it does not sleep, or was never heard.

    After an ASLEEP as it said, else one period after it was heard: that wake ended without a word.
    """
    if evidence.conn is ConnState.ASLEEP and evidence.next_wake_s is not None:
        return evidence.conn_at_s + evidence.next_wake_s
    if evidence.wake_s is None or evidence.heard_s is None:
        return None
    return evidence.heard_s + evidence.wake_s


def _awake_s(evidence: Evidence) -> float:
    """How long after its wake a device may take to be heard."""
    return KEEPALIVES_SILENT * evidence.keepalive_s


def missed_wakes(evidence: Evidence, now_s: float) -> int:
    """Wake-ups in a row that a device that sleeps has missed; 0 for one that does not."""
    due_s = next_wake_at_s(evidence)
    if due_s is None or now_s <= due_s + _awake_s(evidence):
        return 0
    period_s = evidence.wake_s or evidence.next_wake_s or 1
    return math.ceil((now_s - due_s - _awake_s(evidence)) / period_s)


def missed_all_at_s(evidence: Evidence, wakes: int) -> float | None:
    """When a device that sleeps will have missed so many wake-ups; None: it does not sleep."""
    due_s = next_wake_at_s(evidence)
    if due_s is None:
        return None
    return due_s + _awake_s(evidence) + (wakes - 1) * (evidence.wake_s or evidence.next_wake_s or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """`timeout_s` is how long a device may take that does not sleep, `missed_wakes` how many wake-ups in a
    row one that sleeps may miss."""

    timeout_s: float
    missed_wakes: int

    def deadline_s(self, evidence: Evidence, now_s: float) -> float:
        """Of what is asked of the device now."""
        asleep_s = missed_all_at_s(evidence, self.missed_wakes)
        return now_s + self.timeout_s if asleep_s is None else asleep_s

    def extended_s(self, evidence: Evidence | None, begun_s: float, deadline_s: float | None) -> float:
        """By what is known of the device now: it may have woken since, or be told to sleep or not to."""
        asleep_s = None if evidence is None else missed_all_at_s(evidence, self.missed_wakes)
        return max(deadline_s or 0.0, begun_s + self.timeout_s) if asleep_s is None else asleep_s


def _dozed_off(evidence: Evidence, now_s: float) -> bool:
    """A device that sleeps said something else than ASLEEP last, and then nothing for a while."""
    if evidence.wake_s is None or evidence.heard_s is None or evidence.conn is ConnState.ASLEEP:
        return False
    return evidence.conn is ConnState.LOST or now_s - evidence.heard_s > _awake_s(evidence)


def word_of(evidence: Evidence, now_s: float) -> Word:
    if _dozed_off(evidence, now_s):
        return Word.ASLEEP
    if evidence.conn is None or evidence.outlived:
        return Word.NONE
    if evidence.conn is ConnState.LOST:
        held = evidence.held_until_s is not None and now_s < evidence.held_until_s
        return Word.HELD if held else Word.LOST
    return Word.ONLINE if evidence.conn is ConnState.ONLINE else Word.ASLEEP


def allowed_silence_s(evidence: Evidence) -> float:
    """How long a device that does not sleep may be quiet: keep-alives or report periods, whichever is
    longer.
    """
    return max(KEEPALIVES_SILENT * evidence.keepalive_s, PERIODS_SILENT * evidence.period_s)


def silence_of(evidence: Evidence, now_s: float) -> Silence:
    if evidence.heard_s is None:
        return Silence.NEVER
    if next_wake_at_s(evidence) is not None:
        missed = missed_wakes(evidence, now_s)
        if missed == 0:
            return Silence.FRESH
        return Silence.OVERDUE if missed < WAKES_MISSED else Silence.GONE
    quiet_s = now_s - evidence.heard_s
    allowed_s = allowed_silence_s(evidence)
    if quiet_s <= allowed_s:
        return Silence.FRESH
    return Silence.OVERDUE if quiet_s <= GONE_FACTOR * allowed_s else Silence.GONE


def state_of(evidence: Evidence, now_s: float) -> DeviceState:
    return TABLE[word_of(evidence, now_s), silence_of(evidence, now_s)]
