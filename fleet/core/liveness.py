"""Is a device there? `conn` is evidence, not state: this table turns evidence and silence into a state.

A cut link after ASLEEP leaves a retained LOST, a broker restart makes every node LOST, and a broker's `kill
-9` leaves ONLINE for ever. So: LOST after ASLEEP of the same connection is ASLEEP; nobody is ONLINE past
the silence allowed to it; LOSTs within two keep-alives of a broker restart are held back.
"""

from __future__ import annotations

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
    after which the device was heard all the same.
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


def word_of(evidence: Evidence, now_s: float) -> Word:
    if evidence.conn is None or evidence.outlived:
        return Word.NONE
    if evidence.conn is ConnState.LOST:
        held = evidence.held_until_s is not None and now_s < evidence.held_until_s
        return Word.HELD if held else Word.LOST
    return Word.ONLINE if evidence.conn is ConnState.ONLINE else Word.ASLEEP


def allowed_silence_s(evidence: Evidence) -> float:
    """How long this device may be quiet: keep-alives or report periods, whichever is longer, or its
    announced sleep.
    """
    awake_s = max(KEEPALIVES_SILENT * evidence.keepalive_s, PERIODS_SILENT * evidence.period_s)
    if evidence.conn is ConnState.ASLEEP and evidence.next_wake_s is not None:
        return evidence.next_wake_s + awake_s
    return awake_s


def silence_of(evidence: Evidence, now_s: float) -> Silence:
    if evidence.heard_s is None:
        return Silence.NEVER
    quiet_s = now_s - evidence.heard_s
    allowed_s = allowed_silence_s(evidence)
    if quiet_s <= allowed_s:
        return Silence.FRESH
    return Silence.OVERDUE if quiet_s <= GONE_FACTOR * allowed_s else Silence.GONE


def state_of(evidence: Evidence, now_s: float) -> DeviceState:
    return TABLE[word_of(evidence, now_s), silence_of(evidence, now_s)]
