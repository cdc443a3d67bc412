"""The manager's services as `main` joins them, with a clock that is set and a broker that is a dictionary."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyfleet.fleet.adapters.blobs import BlobFolder
from tinyfleet.fleet.adapters.encodings import Encodings
from tinyfleet.fleet.adapters.sql.store import SqlStore
from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.fit import FirmwareOffer, ModelNeeds
from tinyfleet.fleet.core.liveness import Evidence, Patience
from tinyfleet.fleet.core.release import Artifact, Release
from tinyfleet.fleet.core.rollout import Summary
from tinyfleet.fleet.services.broker_cache import BrokerCache
from tinyfleet.fleet.services.ingest import Incoming, Ingest
from tinyfleet.fleet.services.live import Live
from tinyfleet.fleet.services.on_air import OnAir
from tinyfleet.fleet.services.ports import RetainedKind
from tinyfleet.fleet.services.rollouts import Rollouts
from tinyfleet.fleet.services.samples import SampleBounds, Samples
from tinyfleet.fleet.services.shadows import Shadows
from tinyfleet.fleet.services.transfers import Transfers
from tinyfleet.wire.blobs import cut
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import (
    ArtifactKind,
    CoreVariant,
    PowerSource,
    Result,
    Timing,
    UpdateState,
)
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS, LATENCY_BUCKETS
from tinyfleet.wire.messages import Birth, ImageInfo, Message, Sample, Status, Tele, Want
from tinyfleet.wire.topics import TopicKind, Topics

TYPE = "mps2-an386"
EASY = ModelNeeds(image_bytes=0, core=CoreVariant.PORTABLE, abi=1, arena_bytes=0, ops=())
"""Fits every device: the rig's artifacts are no models."""


OFFER = FirmwareOffer(
    image=bytes(32),
    image_bytes=1000,
    version=(1, 0, 0),
    security_counter=1,
    abi=1,
    ops=b"",
    cores=frozenset({CoreVariant.PORTABLE}),
)


class Rig:
    def __init__(
        self,
        folder: Path,
        *,
        blob_budget_bytes: int = 1 << 20,
        series_max: int = 20_000,
        quarantine_rows: int = 1000,
        samples_budget_bytes: int = 4096,
    ) -> None:
        self.now_s = 1_000_000.0
        self.woken = 0
        self.seen_when_woken = 0
        self.topics = Topics()
        self.store = SqlStore(folder / "fleet.db", quarantine_rows)
        self.blobs = BlobFolder(folder / "blobs")
        self.cache = BrokerCache(self.store, self.blobs, self.topics)
        on_air = OnAir(blob_budget_bytes)
        self.needs = EASY
        self.needs_by_version: dict[str, ModelNeeds] = {}
        self.encoder = Encodings()
        self.offer = OFFER
        transfers = Transfers(self.blobs, self.encoder, self.clock)
        self.rollouts = Rollouts(
            self.store,
            self.clock,
            on_air,
            Patience(timeout_s=600, missed_wakes=5),
            3,
            self._needs_of,
            lambda _: self.offer,
            transfers,
            self._wake,
        )
        beside = Patience(timeout_s=600, missed_wakes=3)
        self.shadows = Shadows(self.store, self.clock, on_air, beside, self._needs_of, transfers, self._wake)
        self.bounds = SampleBounds(budget_bytes=samples_budget_bytes, keep_s=86_400)
        self.ingest = Ingest(
            self.store, self.clock, self.rollouts, self.shadows, self.topics, series_max, self.bounds
        )
        self.live = Live(self.store, self._wake)
        self.samples = Samples(self.store, self.clock, self.bounds)
        self.broker: dict[str, bytes] = {}

    def _needs_of(self, artifact: Artifact) -> ModelNeeds:
        return self.needs_by_version.get(artifact.version, self.needs)

    def clock(self) -> float:
        return self.now_s

    def _wake(self) -> None:
        """As the publisher does: it looks at once, at what is stored."""
        self.woken += 1
        with self.store.read() as tx:
            self.seen_when_woken = tx.identity.seq()

    # --- what is there --------------------------------------------------------------------------------------

    def device(self, name: str, site: str = "s", device_type: str = TYPE) -> None:
        evidence = Evidence(period_s=1, keepalive_s=15)
        with self.store.write() as tx:
            tx.devices.put(Device(id=name, site=site, device_type=device_type, evidence=evidence))

    def release(
        self, version: str = "1.0.0", size: int = 20_000, labels: tuple[str, ...] = ("a", "b")
    ) -> Artifact:
        data = hashlib.sha256(version.encode()).digest() * (size // 32)
        blob = cut(data)
        artifact = Artifact(
            kind=ArtifactKind.MODEL,
            device_type=TYPE,
            image=hashlib.sha256(b"image" + version.encode()).digest(),
            manifest=blob.digest,
            blob=self.blobs.add(data),
            version=version,
            size_bytes=len(data),
            groups=blob.groups,
            security_counter=1,
            key_hash=bytes(32),
            labels=labels,
        )
        with self.store.write() as tx:
            tx.releases.add(Release(id=0, name="demo", version=version, artifacts=(artifact,)))
        return artifact

    def summary(self, number: int) -> Summary:
        return self.rollouts.get(number)[0]

    def want(self, device: str) -> Want | None:
        with self.store.read() as tx:
            row = tx.retained.get(RetainedKind.WANT, device)
        return None if row is None or not row.live else decode(Want, row.payload)

    # --- what devices say -----------------------------------------------------------------------------------

    def say(self, device: str, kind: TopicKind, message: Message | bytes, retained: bool = False) -> None:
        payload = message if isinstance(message, bytes) else encode(message)
        self.ingest.handle([Incoming(self.topics.device(device, kind), payload, retained)])

    def status(
        self,
        device: str,
        state: UpdateState,
        result: Result = Result.INITIAL,
        *,
        seq: int = 1,
        generation: int | None = None,
    ) -> None:
        if generation is None:
            want = self.want(device)
            generation = 0 if want is None else want.generation
        self.say(
            device,
            TopicKind.STATUS,
            Status(
                boot=1,
                seq=seq,
                generation=generation,
                state=state,
                result=result,
                offset_bytes=0,
                size_bytes=0,
            ),
        )

    # --- the broker -----------------------------------------------------------------------------------------

    def publish(self, limit: int | None = None) -> list[str]:
        """Carries a pass out as the publisher does; `limit`: the manager dies after so many messages."""
        topics: list[str] = []
        while (todo := self.cache.next_pass()) is not None:
            for work in todo.work:
                for topic, payload in self.cache.messages(work):
                    if limit is not None and len(topics) >= limit:
                        return topics
                    topics.append(topic)
                    self._retain(topic, payload)
                self.cache.done(work)
            self._retain(self.topics.journal, todo.journal)
        return topics

    def _retain(self, topic: str, payload: bytes) -> None:
        if payload:
            self.broker[topic] = payload
        else:
            self.broker.pop(topic, None)


BIRTH = Birth(
    boot=1,
    seq=1,
    generation=0,
    state=UpdateState.IDLE,
    result=Result.INITIAL,
    device_type=TYPE,
    hw_rev="",
    firmware=ImageInfo(version="1", security_counter=0),
    slots=(),
    abi=1,
    ops=b"",
    arena_bytes=0,
    golden_bytes=0,
    period_s=1,
    power=PowerSource.MAINS,
    sensor="",
    timing=Timing.INSTRUCTIONS,
    core=CoreVariant.PORTABLE,
    uptime_ms=0,
    emulated=True,
)


def birth(**changes: Any) -> Birth:
    image = changes.pop("image", None)
    model = None if image is None else ImageInfo(image=image, version="1", security_counter=0)
    return replace(BIRTH, model=model, **changes)


def tele(model: bytes, *classes: int, seq: int = 1, boot: int = 1, epoch: int = 1, **changes: Any) -> Tele:
    total = sum(classes)
    base = Tele(
        boot=boot,
        epoch=epoch,
        seq=seq,
        uptime_ms=1000 * seq,
        model=model,
        inferences=total,
        classes=classes,
        latency=(0,) * 6 + (total,) + (0,) * (LATENCY_BUCKETS - 7),
        latency_sum_us=13_400 * total,
        confidence=(0,) * CONFIDENCE_BUCKETS,
        dropped=0,
    )
    return replace(base, **changes)


SAMPLES, CHANNELS = 50, 3


def window_of(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(-2000, 2000, (SAMPLES, CHANNELS), "<i2").tobytes()


def parts_of(data: bytes, model: bytes, size: int = 128, **changes: Any) -> list[Sample]:
    cuts = range(0, len(data), size)
    values: dict[str, Any] = {
        "boot": 1,
        "seq": 1,
        "uptime_ms": 1000,
        "class_": 1,
        "scores": bytes((100, 156)),
        "margin": 56,
        "sensor": "accelerometer",
        "unit": "mg",
        "rate_mhz": 25_000,
        "samples": SAMPLES,
        "channels": CHANNELS,
    } | changes
    return [
        Sample(part=i, parts=len(cuts), model=model, offset=at, data=data[at : at + size], **values)
        for i, at in enumerate(cuts)
    ]
