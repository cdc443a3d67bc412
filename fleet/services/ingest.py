"""Everything devices say, into the store and the rollouts.

A batch is one transaction; the caller acknowledges after it was stored. Nothing a device sends raises: what
cannot be read goes to the quarantine, counted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from tinyfleet.fleet.core.counters import CounterError, Verdict, advance, snapshot_of
from tinyfleet.fleet.core.device import Device, fold_birth
from tinyfleet.fleet.core.enrolment import Token
from tinyfleet.fleet.core.errors import Unavailable
from tinyfleet.fleet.core.liveness import fold_conn, fold_heard
from tinyfleet.fleet.core.release import Artifact
from tinyfleet.fleet.core.samples import SampleError
from tinyfleet.fleet.services.benches import take_bench
from tinyfleet.fleet.services.enrolments import keep_conn, register_born
from tinyfleet.fleet.services.ports import Clock, ModelKey, Store, Stored, Tx
from tinyfleet.fleet.services.rollouts import Rollouts
from tinyfleet.fleet.services.samples import SampleBounds, is_wanted, take_sample
from tinyfleet.fleet.services.shadows import Shadows
from tinyfleet.wire.codec import decode
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import Bench, Birth, Conn, Event, Sample, Status, Tele
from tinyfleet.wire.topics import TopicKind, Topics

log = logging.getLogger(__name__)
CLOCK_SKEW_S: Final = 60.0
UNKNOWN_MODEL: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as the broker gave it. `retained`: it was kept there, so it may be old."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(slots=True)
class IngestCounts:
    """Since the manager started. Only the ingest thread adds."""

    messages: int = 0
    rejected: int = 0
    late: int = 0
    clock_skew: int = 0
    duplicate: int = 0
    series_dropped: int = 0
    samples: int = 0
    """Parts of captured windows."""

    def add(self, other: IngestCounts) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class Rejected(Exception):
    """A message that goes to the quarantine; the text is the reason."""


class Ingest:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        rollouts: Rollouts,
        shadows: Shadows,
        topics: Topics,
        series_max: int,
        samples: SampleBounds,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rollouts = rollouts
        self._shadows = shadows
        self._topics = topics
        self._series_max = series_max
        self._samples = samples
        self._restarted_s: float | None = None
        self.counts = IngestCounts()

    def broker_lost(self) -> None:
        """The broker went away: the LOSTs it hands out next are its own doing."""
        self._restarted_s = self._clock()

    def handle(self, batch: Sequence[Incoming]) -> None:
        """Stores a batch. When it returns, everything in it is stored, or quarantined for good.

        Raises Unavailable when the database cannot store: then nothing may be acknowledged.
        """
        try:
            self._handle(batch)
        except Unavailable:
            raise
        except Exception:
            if len(batch) == 1:
                log.exception("cannot take in a message on %s", batch[0].topic)
                self._set_aside(batch[0])
                return
            for incoming in batch:
                self.handle([incoming])

    def _handle(self, batch: Sequence[Incoming]) -> None:
        counts = IngestCounts()
        now_s = self._clock()
        with self._store.write() as tx:
            before = tx.identity.seq()
            pending = tx.tokens.pending()
            for incoming in batch:
                counts.messages += 1
                try:
                    self._one(tx, incoming, now_s, counts, pending)
                except (WireError, CounterError, SampleError, Rejected) as error:
                    counts.rejected += 1
                    self._quarantine(tx, incoming, str(error), now_s)
            publish = tx.identity.seq() != before
        self.counts.add(counts)
        if publish:
            self._rollouts.wake()

    def _set_aside(self, incoming: Incoming) -> None:
        with self._store.write() as tx:
            reason = "the manager failed on it; its log says how"
            self._quarantine(tx, incoming, reason, self._clock())
        self.counts.add(IngestCounts(messages=1, rejected=1))

    @staticmethod
    def _quarantine(tx: Tx, incoming: Incoming, reason: str, now_s: float) -> None:
        """For a look. But raw windows are kept where their bounds hold, or nowhere."""
        raw = incoming.topic.endswith(f"/{TopicKind.SAMPLE}")
        tx.quarantine.add(incoming.topic, b"" if raw else incoming.payload, reason, now_s)

    def _one(
        self,
        tx: Tx,
        incoming: Incoming,
        now_s: float,
        counts: IngestCounts,
        pending: dict[str, Token],
    ) -> None:
        topic = self._topics.parse(incoming.topic)
        if topic.device is None:
            raise Rejected("not a device's topic")
        if topic.kind is TopicKind.BENCH:
            agent = tx.agents.get(topic.device)
            if agent is None:
                raise Rejected(f"agent {topic.device} is not registered")
            if incoming.payload:
                bench = decode(Bench, incoming.payload)
                counts.duplicate += not take_bench(tx, agent, bench, now_s)
            return
        if topic.device in pending:
            device = self._pending(tx, topic.kind, incoming.payload, now_s, pending, topic.device)
            if device is None:
                return
        else:
            device = tx.devices.get(topic.device)
        if device is None:
            raise Rejected(f"device {topic.device} is not registered; provision it")
        if not incoming.payload and topic.kind in (TopicKind.BIRTH, TopicKind.CONN):
            return  # a retained message was cleared
        match topic.kind:
            case TopicKind.BIRTH:
                self._birth(tx, device, decode(Birth, incoming.payload), now_s, counts)
            case TopicKind.CONN:
                conn = decode(Conn, incoming.payload)
                evidence = fold_conn(device.evidence, conn, now_s, self._restarted_s)
                counts.duplicate += evidence is device.evidence
                tx.devices.put(replace(device, evidence=evidence))
            case TopicKind.STATUS:
                status = decode(Status, incoming.payload)
                heard = self._heard(tx, device, now_s)
                self._rollouts.take_status(tx, heard, status, now_s)
                self._shadows.take_status(tx, heard, status, now_s)
            case TopicKind.TELE:
                self._tele(tx, device, decode(Tele, incoming.payload), now_s, counts)
            case TopicKind.EVENT:
                event = decode(Event, incoming.payload)
                counts.duplicate += not tx.telemetry.add_event(device.id, event, now_s)
                self._heard(tx, device, now_s)
            case TopicKind.SAMPLE:
                if not is_wanted(device):
                    raise Rejected(f"device {device.id} was not asked for windows; nothing is kept")
                sample = decode(Sample, incoming.payload)
                counts.samples += 1
                counts.duplicate += not take_sample(tx, device, sample, self._samples, now_s)
                self._heard(tx, device, now_s)
            case _:
                raise Rejected(f"{topic.kind} is reserved")

    @staticmethod
    def _pending(
        tx: Tx, kind: TopicKind | None, payload: bytes, now_s: float, pending: dict[str, Token], name: str
    ) -> Device | None:
        """The device, once its birth shows that it was provisioned; None: a word of its connection."""
        if kind is TopicKind.CONN or not payload:
            if payload:
                pending[name] = keep_conn(tx, pending[name], payload)
            return None
        born = None
        if kind is TopicKind.BIRTH:
            born = register_born(tx, pending[name], decode(Birth, payload), now_s)
        if born is None:
            raise Rejected(f"device {name} is PENDING: its birth with what it was given is awaited")
        del pending[name]
        return born

    def _heard(self, tx: Tx, device: Device, now_s: float) -> Device:
        heard = replace(device, evidence=fold_heard(device.evidence, now_s))
        tx.devices.put(heard)
        return heard

    def _birth(self, tx: Tx, device: Device, birth: Birth, now_s: float, counts: IngestCounts) -> None:
        born = fold_birth(device, birth, now_s)
        if born is None:
            counts.duplicate += 1
            return
        heard = self._heard(tx, born, now_s)
        self._rollouts.take_birth(tx, heard, birth, now_s)
        self._shadows.take_birth(tx, heard, birth, now_s)

    def _tele(self, tx: Tx, device: Device, tele: Tele, now_s: float, counts: IngestCounts) -> None:
        stored = tx.telemetry.stored(device.id, tele.boot, tele.epoch)
        if stored is None and tx.telemetry.is_forgotten(device.id, tele.boot, tele.epoch):
            counts.late += 1
            return
        verdict, delta = advance(None if stored is None else stored.snapshot, tele)
        if delta is None:
            if verdict is Verdict.DUPLICATE:
                counts.duplicate += 1
            else:
                counts.late += 1
            return
        first_uptime_ms, first_s = (
            (tele.uptime_ms, now_s) if stored is None else (stored.first_uptime_ms, stored.first_s)
        )
        anchor = _waited(device, tele)
        if anchor is not None:
            # It came long after it was made: the device's clock is held against its birth instead.
            first_uptime_ms, first_s = anchor
        elif (tele.uptime_ms - first_uptime_ms) / 1000 > now_s - first_s + CLOCK_SKEW_S:
            counts.clock_skew += 1
        key, names = self._labels(tx, device, tele)
        counts.series_dropped += self._shadows.take_tele(tx, device, tele, self._series_max)
        counts.series_dropped += tx.telemetry.add(key, names, delta, self._series_max)
        kept = Stored(snapshot_of(tele), first_uptime_ms, first_s)
        tx.telemetry.put(device.id, tele, kept, now_s, fresh=stored is None)
        self._heard(tx, device, now_s)

    def _labels(self, tx: Tx, device: Device, tele: Tele) -> tuple[ModelKey, list[str]]:
        found = tx.releases.model_of(tele.model)
        name, version, labels = (UNKNOWN_MODEL, "", ()) if found is None else _names(found)
        timing = "unknown" if device.birth is None else device.birth.timing.name.lower()
        names = [labels[i] if i < len(labels) else str(i) for i in range(len(tele.classes))]
        return ModelKey(device.site, name, version, timing), names


def _waited(device: Device, tele: Tele) -> tuple[int, float] | None:
    """Uptime and time of the device's birth when the snapshot is older: it waited in the node's flash."""
    birth, born_s = device.birth, device.born_s
    if birth is None or born_s is None:
        return None
    older = tele.boot != birth.boot or tele.uptime_ms < birth.uptime_ms
    return (birth.uptime_ms, born_s) if older else None


def _names(found: tuple[str, Artifact]) -> tuple[str, str, tuple[str, ...]]:
    name, artifact = found
    return name, artifact.version, artifact.labels
