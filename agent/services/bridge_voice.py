"""What is said of a bridged board, as a node would say it of itself."""

from __future__ import annotations

import logging
from collections import deque

from tinyfleet.agent.core.bridge import Record
from tinyfleet.agent.core.bridge_report import Place, Seen, birth, status
from tinyfleet.agent.services.bridge_ports import DeviceLink, Terms
from tinyfleet.agent.services.ports import Clock
from tinyfleet.wire.enums import EventKind
from tinyfleet.wire.messages import Event, Tele
from tinyfleet.wire.topics import TopicKind

LOG = logging.getLogger(__name__)
NOTES_MAX = 16
"""Events that wait for the broker; the oldest goes."""
TEXT_BYTES = 128


class Voice:
    """`up`: the broker is there. What cannot be said then is not kept, but for events: the next birth tells
    what counts."""

    def __init__(self, terms: Terms, place: Place, link: DeviceLink, clock: Clock) -> None:
        self.up = False
        self.period_s = terms.period_s
        self._terms = terms
        self._place = place
        self._link = link
        self._clock = clock
        self._begun_s = self._birth_s = clock.monotonic_s()
        self._births = self._statuses = self._events = 0
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)

    def status(self, record: Record, offset_bytes: int) -> None:
        if not self.up:
            return
        self._statuses += 1
        message = status(record, seq=self._statuses, offset_bytes=offset_bytes)
        self._link.publish(TopicKind.STATUS, message)

    def birth(self, record: Record, seen: Seen | None) -> None:
        if seen is None or not self.up:
            return
        self._births += 1
        self._birth_s = self._clock.monotonic_s()
        message = birth(
            record,
            seen,
            self._place,
            seq=self._births,
            period_s=self.period_s,
            uptime_ms=self.uptime_ms,
        )
        self._link.publish(TopicKind.BIRTH, message)

    def report(self, record: Record, seen: Seen | None, tele: Tele | None) -> float:
        """The counters; where nothing was counted, now and then that the device is there still. Seconds until
        the next report."""
        if tele is not None and seen is not None and tele.model == seen.runs:
            self._link.publish(TopicKind.TELE, tele)
        elif self._clock.monotonic_s() - self._birth_s >= self._terms.keepalive_s:
            self.birth(record, seen)
        return self.period_s

    def note(self, record: Record, text: str) -> None:
        """An event for people, as soon as there is somebody to tell."""
        LOG.warning("%s: %s", self._terms.device, text)
        self._notes.append(text)
        self.notes(record)

    def notes(self, record: Record) -> None:
        while self.up and self._notes:
            self._events += 1
            text = self._notes.popleft().encode()[:TEXT_BYTES].decode(errors="ignore")
            message = Event(
                boot=record.boot,
                seq=self._events,
                kind=EventKind.LOG,
                uptime_ms=self.uptime_ms,
                text=text,
            )
            self._link.publish(TopicKind.EVENT, message)

    @property
    def uptime_ms(self) -> int:
        return int((self._clock.monotonic_s() - self._begun_s) * 1000)
