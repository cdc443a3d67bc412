"""The manager: the one place where adapters meet services.

`serve` runs one manager until SIGINT or SIGTERM. It may be killed at any time: what it did not finish is in
the database, and the next one begins with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import uvicorn

from tinyfleet import __version__
from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.adapters.blobs import BlobFolder
from tinyfleet.fleet.adapters.encodings import Encodings
from tinyfleet.fleet.adapters.mqtt.mosquitto import (
    PUBLISHER,
    READER,
    BrokerFiles,
    Listeners,
    MosquittoUsers,
)
from tinyfleet.fleet.adapters.mqtt.publisher import Publisher
from tinyfleet.fleet.adapters.mqtt.reader import Reader
from tinyfleet.fleet.adapters.prometheus import metrics
from tinyfleet.fleet.adapters.signer import ImgtoolSigner, verify_ecdsa
from tinyfleet.fleet.adapters.sql.store import SqlStore
from tinyfleet.fleet.api import app as api
from tinyfleet.fleet.api.schemas import Health
from tinyfleet.fleet.config import Settings
from tinyfleet.fleet.core import credentials
from tinyfleet.fleet.core.errors import BadInput, FleetError, Unavailable
from tinyfleet.fleet.core.fit import Answers, FirmwareOffer, InputKind, ModelNeeds, OpUse
from tinyfleet.fleet.core.liveness import Patience
from tinyfleet.fleet.core.release import Artifact
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.benches import Benches
from tinyfleet.fleet.services.broker_cache import BrokerCache
from tinyfleet.fleet.services.configurations import Configurations
from tinyfleet.fleet.services.contents import ModelFacts
from tinyfleet.fleet.services.enrolments import Enrolments
from tinyfleet.fleet.services.ingest import Ingest
from tinyfleet.fleet.services.live import Live
from tinyfleet.fleet.services.on_air import OnAir
from tinyfleet.fleet.services.registry import Connection, Registry
from tinyfleet.fleet.services.releases import Releases
from tinyfleet.fleet.services.rollouts import Rollouts
from tinyfleet.fleet.services.samples import SampleBounds, Samples
from tinyfleet.fleet.services.shadows import Shadows
from tinyfleet.fleet.services.transfers import Transfers
from tinyfleet.fleet.state import Lock, State, reached
from tinyfleet.wire.artifact import ABI, decode_artifact
from tinyfleet.wire.artifact_metadata import OutputKind
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.firmware import read_facts
from tinyfleet.wire.image import read_image
from tinyfleet.wire.topics import Topics

log = logging.getLogger(__name__)
TICK_S: Final = 1.0
DAY_S: Final = 86_400.0
QUARANTINE_SHOWN: Final = 100
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Manager:
    """What `build` joined: everything that must be started and stopped."""

    store: SqlStore
    rollouts: Rollouts
    shadows: Shadows
    samples: Samples
    enrolments: Enrolments
    access: Access
    reader: Reader
    publisher: Publisher
    server: uvicorn.Server

    def tick(self) -> None:
        """What is due by the clock alone: ends what took too long, forgets windows that are too old."""
        self.rollouts.tick()
        self.shadows.tick()
        self.samples.expire()
        self.enrolments.expire()


def read_model(payload: bytes) -> ModelFacts:
    """What a compiled model says of itself. Raises ArtifactError."""
    plan = decode_artifact(payload)
    meta = plan.metadata
    return ModelFacts(name=meta.name, version=meta.version, core=plan.core, abi=ABI, labels=meta.labels)


def needs_of(blobs: BlobFolder, artifact: Artifact) -> ModelNeeds:
    """What a stored model asks of a node. Raises NotFound, BadInput: its file is gone, damaged, or of a
    format that this manager no longer reads.
    """
    try:
        image = read_image(blobs.get(artifact.blob))
        plan = decode_artifact(image.payload)
    except WireError as error:
        raise BadInput(f"model {artifact.version} as stored: {error}; release it again") from error
    firmware = [need.version.release for need in image.dependencies if need.image_id == 0]
    meta = plan.metadata
    return ModelNeeds(
        firmware=max(firmware, default=None),
        image_bytes=artifact.size_bytes,
        core=plan.core,
        abi=ABI,
        arena_bytes=plan.arena_bytes,
        ops=tuple(OpUse(op.code, i, op.outputs[0]) for i, op in enumerate(plan.ops)),
        answers=Answers(
            InputKind(meta.sensor, meta.unit, meta.rate_mhz, meta.samples, meta.channels),
            meta.output_kind is OutputKind.CLASSES and len(meta.labels) > 1,
            meta.labels,
        ),
    )


def offer_of(blobs: BlobFolder, artifact: Artifact) -> FirmwareOffer:
    """What a stored firmware brings. Raises NotFound, BadInput as `needs_of`."""
    try:
        image = read_image(blobs.get(artifact.blob))
        facts = read_facts(image.payload)
    except WireError as error:
        raise BadInput(f"firmware {artifact.version} as stored: {error}; release it again") from error
    return FirmwareOffer(
        image=artifact.image,
        image_bytes=artifact.size_bytes,
        version=image.header.version.release,
        security_counter=artifact.security_counter,
        abi=facts.abi,
        ops=facts.ops,
        cores=facts.cores,
        slot=artifact.slot,
    )


def build(settings: Settings, state: State) -> Manager:
    """Joins the parts of one manager. Must run in the event loop that will run it."""
    secret, started_s = state.secret(), time.monotonic()
    topics = Topics(settings.prefix)
    store = SqlStore(state.database, settings.quarantine_rows)
    with store.read() as tx:
        manager = tx.identity.manager()
    blobs = BlobFolder(state.blobs)
    cache = BrokerCache(store, blobs, topics)
    publisher = Publisher(
        cache,
        topics,
        port=settings.admin_port,
        user=PUBLISHER,
        password=credentials.password(secret, PUBLISHER),
        client_id=f"{PUBLISHER}-{manager.hex()[:12]}",
        bytes_per_s=settings.publish_bytes_per_s,
    )
    listeners = Listeners(
        host=settings.host,
        port=settings.broker_port,
        tls_port=settings.tls_port,
        admin_port=settings.admin_port,
    )
    users = MosquittoUsers(BrokerFiles(folder=state.broker), state.broker_pid, listeners, secret)
    transfers = Transfers(blobs, Encodings(), time.monotonic)
    certificates = Authority(state.authority_key, secret)
    access = Access(store, users, secret, certificates)
    on_air = OnAir(settings.blob_budget_bytes)
    patience = Patience(timeout_s=settings.rollout_timeout_s, missed_wakes=settings.missed_wakes)
    rollouts = Rollouts(
        store,
        time.time,
        on_air,
        patience,
        settings.trial_inferences,
        functools.partial(needs_of, blobs),
        functools.partial(offer_of, blobs),
        transfers,
        publisher.wake,
    )
    bounds = SampleBounds(
        budget_bytes=settings.samples_budget_bytes, keep_s=settings.samples_keep_days * DAY_S
    )
    shadows = Shadows(
        store,
        time.time,
        on_air,
        patience,
        functools.partial(needs_of, blobs),
        transfers,
        publisher.wake,
    )
    ingest = Ingest(store, time.time, rollouts, shadows, topics, settings.series_max, bounds)
    reader = Reader(
        port=settings.admin_port,
        user=READER,
        password=credentials.password(secret, READER),
        client_id=f"{READER}-{manager.hex()[:12]}",
        filters=topics.up_filters,
        handle=ingest.handle,
        lost=ingest.broker_lost,
    )
    signer = ImgtoolSigner(state.signing_key)
    collector = metrics.FleetCollector(
        store,
        time.time,
        ingest.counts,
        lambda: {"reader": reader.connected, "publisher": publisher.connected},
        lambda: reader.broker_dropped,
        settings.samples_budget_bytes,
    )

    def health() -> Health:
        with store.read() as tx:
            pending = tx.retained.pending_count()
        ready = reader.connected and publisher.connected
        return Health(
            status="ok" if ready else "no broker",
            version=__version__,
            reader=reader.connected,
            publisher=publisher.connected,
            pending=pending,
            manager=manager.hex(),
            uptime_s=time.monotonic() - started_s,
        )

    def quarantine() -> list[dict[str, object]]:
        with store.read() as tx:
            return tx.quarantine.all(QUARANTINE_SHOWN)

    connection = Connection(
        host=settings.node_host,
        port=settings.broker_port,
        tls_port=settings.tls_port,
        prefix=settings.prefix,
        keepalive_s=settings.keepalive_s,
        period_s=settings.period_s,
        window_ms=settings.window_ms,
        sntp=settings.sntp or None,
    )
    releases = Releases(store, time.time, blobs, signer, verify_ecdsa, read_model)
    enrolments = Enrolments(
        store,
        time.time,
        access,
        certificates,
        trusted_keys=lambda: (signer.key_hash(),),
        connection=connection,
        firmware=releases.firmware_image,
        wake=publisher.wake,
    )
    services = api.Services(
        registry=Registry(
            store,
            time.time,
            rollouts,
            access,
            trusted_keys=lambda: (signer.key_hash(),),
            certificates=certificates,
        ),
        releases=releases,
        rollouts=rollouts,
        live=Live(store, publisher.wake),
        samples=Samples(store, time.time, bounds),
        shadows=shadows,
        benches=Benches(
            store,
            time.time,
            access,
            certificates,
            host=reached(settings.host),
            port=settings.broker_port,
            tls_port=settings.tls_port,
            prefix=settings.prefix,
        ),
        connection=connection,
        enrolments=enrolments,
        configurations=Configurations(store, time.time, rollouts, certificates),
        health=health,
        metrics=lambda: metrics.exposition(collector),
        metrics_type=metrics.CONTENT_TYPE,
        quarantine=quarantine,
    )
    hosts = (*LOOPBACK, settings.host) if settings.host in LOOPBACK else None
    server = _Server(
        uvicorn.Config(
            api.build(services, state.token(), hosts),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
        )
    )
    return Manager(store, rollouts, shadows, services.samples, enrolments, access, reader, publisher, server)


class _Server(uvicorn.Server):
    """uvicorn, leaving signals to us: it would raise them again after its own end, before ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, state: State) -> None:
    """Runs the manager until SIGINT or SIGTERM. Raises Unavailable, Conflict."""
    lock = Lock(state.run / "manager.lock", "a tinyfleet manager")
    lock.take()
    try:
        listening = _listen(settings.host, settings.api_port)
        try:
            manager = build(settings, state)
        except BaseException:
            listening.close()
            raise
    except BaseException:
        lock.give_back()
        raise
    stop = threading.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        manager.server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    manager.reader.start()
    tasks = [
        asyncio.create_task(manager.publisher.run(), name="publisher"),
        asyncio.create_task(asyncio.to_thread(_tick, manager, stop), name="tick"),
        asyncio.create_task(asyncio.to_thread(_apply_users, manager.access, stop), name="users"),
    ]
    try:
        await manager.server.serve(sockets=[listening])
    finally:
        stop.set()
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(manager.reader.stop)
        manager.store.close()
        lock.give_back()


def _tick(manager: Manager, stop: threading.Event) -> None:
    while not stop.wait(TICK_S):
        try:
            manager.tick()
        except FleetError as error:
            log.error("cannot look after deadlines: %s", error)
        except Exception:
            # A bug must not stop the deadlines in silence: it is logged at every try.
            log.exception("cannot look after deadlines")


def _apply_users(access: Access, stop: threading.Event) -> None:
    """At start: whoever was registered while the broker was away gets in now."""
    while not stop.is_set():
        try:
            access.apply()
            return
        except FleetError as error:
            log.warning("%s", error)
            stop.wait(TICK_S)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise Unavailable(
            f"port {port} of {host} cannot be used: {error.strerror}; choose another with --api-port"
        ) from error
    return listening


def run(settings: Settings, state: State) -> None:
    """`serve` in an event loop of its own, logging to standard error."""
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    asyncio.run(serve(settings, state))
