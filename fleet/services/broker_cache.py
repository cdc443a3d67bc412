"""What the broker should hold, and in which order to make it so.

The broker is a cache: `kill -9` of mosquitto 2.0.11 lost 101 of 101 retained messages. The journal at the
broker says up to which sequence number it has everything; what is newer is published again, all of it when
there is no journal.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tinyfleet.fleet.core.errors import FleetError
from tinyfleet.fleet.core.release import Transport
from tinyfleet.fleet.services.ports import Blobs, Retained, RetainedKind, Store, Tx
from tinyfleet.fleet.services.transfers import cut_transport
from tinyfleet.wire.blobs import chunk_topics
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import Journal
from tinyfleet.wire.topics import TopicKind, Topics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """One row to publish, all its messages retained. `messages` are cut when they are asked for."""

    row: Retained
    transport: Transport | None = None
    blob: bytes = b""


@dataclass(frozen=True, slots=True)
class Pass:
    """Work in the order to publish it, and the journal to publish when all of it was acknowledged."""

    work: tuple[Work, ...]
    journal: bytes


class BrokerCache:
    def __init__(self, store: Store, blobs: Blobs, topics: Topics) -> None:
        self._store = store
        self._blobs = blobs
        self._topics = topics

    def connected(self, journal: bytes | None) -> int:
        """Takes the journal found at the broker; returns how many rows must be published again."""
        held = _read(journal)
        with self._store.write() as tx:
            ours = held is not None and held.manager == tx.identity.manager()
            if held is None or not ours:
                return tx.retained.again(None)
            if held.seq > tx.identity.seq():
                # The database came back from a backup: its numbers must not repeat those the broker has seen.
                tx.identity.raise_seq(held.seq)
                return tx.retained.again(None)
            return tx.retained.again(held.seq)

    def next_pass(self) -> Pass | None:
        """What is to be published now; None when the broker has everything.

        Chunks come before the wants that name them, withdrawn chunks after the wants that no longer do.
        """
        with self._store.read() as tx:
            rows = tx.retained.pending()
            if not rows:
                return None
            work, unready = [], []
            for row in sorted(rows, key=_rank):
                try:
                    work.append(self._prepare(tx, row))
                except FleetError as error:
                    log.error("cannot publish %s %s: %s", row.kind.name, row.key, error)
                    unready.append(row.seq)
            if not work:
                return None
            last = min(unready) - 1 if unready else max(row.seq for row in rows)
            return Pass(tuple(work), encode(Journal(seq=last, manager=tx.identity.manager())))

    def messages(self, work: Work) -> list[tuple[str, bytes]]:
        """Topic and payload of each retained message of one row; a blob has at most 2 MiB."""
        row = work.row
        if row.kind is RetainedKind.WANT:
            return [(self._topics.device(row.key, TopicKind.WANT), row.payload)]
        if row.kind is RetainedKind.PAST:
            return [(self._topics.device(row.key, kind), b"") for kind in (TopicKind.BIRTH, TopicKind.CONN)]
        if work.transport is None:
            raise RuntimeError(f"blob {row.key} has no transport")
        chunks = chunk_topics(cut_transport(work.transport, work.blob), self._topics)
        return [(topic, data if row.live else b"") for topic, data in chunks]

    def done(self, work: Work) -> None:
        with self._store.write() as tx:
            tx.retained.done([work.row])

    def _prepare(self, tx: Tx, row: Retained) -> Work:
        if row.kind is not RetainedKind.BLOB:
            return Work(row)
        transport = tx.releases.transport(bytes.fromhex(row.key))
        if transport is None:
            raise FleetError("no artifact has this manifest; the database was changed by hand")
        return Work(row, transport, self._blobs.get(transport.blob))


def _read(journal: bytes | None) -> Journal | None:
    if not journal:
        return None
    try:
        return decode(Journal, journal)
    except WireError as error:
        log.warning("the journal at the broker cannot be read (%s): publishing everything again", error)
        return None


def _rank(row: Retained) -> tuple[int, int]:
    if row.kind is RetainedKind.PAST:
        return -1, row.seq
    if row.kind is RetainedKind.WANT:
        return 1, row.seq
    return (0 if row.live else 2), row.seq
