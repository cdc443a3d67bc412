"""A protocol-true node in Python, just enough for the manager's tests: it fetches, checks, runs a release.

It keeps SPEC's rules (clean start, highest generation, groups, sectors checked against group 0, image
verified in the node's order) with wire's own reassembler and reader. What survives a restart is in `Flash`.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tinyfleet.fleet.adapters.signer import verify_ecdsa
from tinyfleet.wire.artifact import ABI
from tinyfleet.wire.blobs import Reassembler
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import (
    ArtifactKind,
    ConnState,
    CoreVariant,
    PowerSource,
    Result,
    Timing,
    UpdateState,
)
from tinyfleet.wire.errors import BlobError, ImageError, WireError
from tinyfleet.wire.image import Accepts, check_image, read_image
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS, LATENCY_BUCKETS
from tinyfleet.wire.messages import (
    Birth,
    Conn,
    ImageInfo,
    Message,
    NodeConfig,
    Status,
    Tele,
    Trust,
    Want,
    WantedArtifact,
)
from tinyfleet.wire.topics import TopicKind, Topics


@dataclass
class Flash:
    """What a node still knows after its power was cut."""

    boot: int = 0
    epoch: int = 0
    generation: int = 0
    state: UpdateState = UpdateState.IDLE
    result: Result = Result.INITIAL
    image: bytes | None = None
    version: str = ""
    data: bytes = b""


class SimulatedNode:
    """One life of a node: from power on (`start`) to power off (`kill`)."""

    def __init__(
        self,
        trust: Trust,
        config: NodeConfig,
        flash: Flash,
        *,
        port: int | None = None,
        pause_at: int | None = None,
    ) -> None:
        """`pause_at`: in a download, wait before the group of that number until `resume` is called."""
        self.flash = flash
        self.trust = trust
        self.config = config
        self.topics = Topics(config.prefix)
        self.fetched_groups: list[int] = []
        self.statuses: list[Status] = []
        self.refused: str | None = None
        self.connections = 0
        self._port = port or config.port
        self._pause_at = pause_at
        self._paused = threading.Event()
        self._births = self._statuses = self._teles = 0
        self._wanted: WantedArtifact | None = None
        self._generation = 0
        self._assembler: Reassembler | None = None
        self._attempts = 0
        self._inferences = [0, 0, 0, 0]
        self._lock = threading.RLock()
        flash.boot += 1
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=config.device, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.username_pw_set(config.user, config.password.decode())
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    # --- the life of a node ---------------------------------------------------------------------------------

    def start(self) -> SimulatedNode:
        self._set_will()
        self._client.connect_async("127.0.0.1", self._port, keepalive=self.config.keepalive_s)
        self._client.loop_start()
        return self

    def kill(self) -> None:
        """Power off: the socket goes without a word."""
        link: Any = self._client.socket()
        if link is not None:
            with contextlib.suppress(OSError):
                link.shutdown(2)
        self._client.on_connect = None
        self._client.reconnect_delay_set(60, 60)
        self._paused.set()
        self._client.disconnect()
        self._client.loop_stop()

    def resume(self) -> None:
        with self._lock:
            self._pause_at = None
            if self._assembler is not None and self._assembler.group is not None:
                self._subscribe(self._assembler.group)

    def infer(self, counts: tuple[int, int, int, int] = (4, 3, 2, 1)) -> None:
        """Runs some windows and reports the cumulative counters."""
        with self._lock:
            if self.flash.image is None:
                raise RuntimeError("the node has no model")
            self._inferences = [a + b for a, b in zip(self._inferences, counts, strict=True)]
            self._teles += 1
            total = sum(self._inferences)
            latency = [0] * LATENCY_BUCKETS
            latency[6] = total
            confidence = [0] * CONFIDENCE_BUCKETS
            confidence[9] = total
            self.send(
                TopicKind.TELE,
                Tele(
                    boot=self.flash.boot,
                    epoch=self.flash.epoch,
                    seq=self._teles,
                    uptime_ms=1000 * self._teles,
                    model=self.flash.image,
                    inferences=total,
                    classes=tuple(self._inferences),
                    latency=tuple(latency),
                    latency_sum_us=13_400 * total,
                    confidence=tuple(confidence),
                    dropped=0,
                ),
            )

    def send(self, kind: TopicKind, message: Message) -> None:
        self._client.publish(
            self.topics.device(self.config.device, kind), encode(message), qos=1, retain=kind.retained
        )

    def publish_raw(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    # --- what it hears --------------------------------------------------------------------------------------

    def _set_will(self) -> None:
        conn = Conn(boot=self.flash.boot, conn=self.connections + 1, state=ConnState.LOST)
        topic = self.topics.device(self.config.device, TopicKind.CONN)
        self._client.will_set(topic, encode(conn), qos=1, retain=True)

    def _on_connect(self, client: Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            self.refused = str(code)
            return
        with self._lock:
            self.connections += 1
            self.send(
                TopicKind.CONN,
                Conn(boot=self.flash.boot, conn=self.connections, state=ConnState.ONLINE),
            )
            self._birth()
            client.subscribe(self.topics.device(self.config.device, TopicKind.WANT), qos=1)
            if self._assembler is not None and self._assembler.group is not None:
                self._subscribe(self._assembler.group)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        topic = self.topics.parse(message.topic)
        with self._lock:
            if topic.kind is TopicKind.WANT:
                self._want(bytes(message.payload))
            elif topic.kind is TopicKind.BLOB:
                self._chunk(topic.group, topic.index, bytes(message.payload))

    def _want(self, payload: bytes) -> None:
        if not payload:
            self._wanted = self._assembler = None
            return
        want = decode(Want, payload)
        if want.generation <= max(self.flash.generation, self._generation) or want.model is None:
            return
        self._generation, self._wanted = want.generation, want.model
        if want.model.image == self.flash.image:
            self._end(UpdateState.CONFIRMED, Result.SUCCESS)
            return
        self._status(UpdateState.OFFERED)
        self._assembler, self._attempts = Reassembler(want.model), 0
        self._status(UpdateState.DOWNLOADING)
        self._subscribe(0)

    def _chunk(self, group: int, index: int, data: bytes) -> None:
        assembler = self._assembler
        if assembler is None or self._wanted is None:
            return
        try:
            if not assembler.add(group, index, data):
                return
        except BlobError as error:
            self._attempts += 1
            self._status(UpdateState.DOWNLOADING, Result.INTEGRITY, str(error)[:96])
            if self._attempts >= 5:
                self._end(UpdateState.FAILED, Result.INTEGRITY)
            else:
                # A node pauses here; this one asks again when the manager's republish arrives, or at once.
                self._subscribe(group)
            return
        self._attempts = 0
        self.fetched_groups.append(group)
        self._client.unsubscribe(self.topics.group_filter(self._wanted.manifest, group))
        self._status(UpdateState.DOWNLOADING)
        if assembler.group is None:
            self._verify(assembler.transported)
        elif self._pause_at is not None and assembler.group >= self._pause_at:
            return
        else:
            self._subscribe(assembler.group)

    def _subscribe(self, group: int) -> None:
        if self._wanted is not None:
            self._client.subscribe(self.topics.group_filter(self._wanted.manifest, group), qos=1)

    def _verify(self, data: bytes) -> None:
        try:
            image = read_image(data)
            check_image(
                image,
                trusted=self.trust.keys,
                verify=verify_ecdsa,
                accepts=Accepts(
                    kind=ArtifactKind.MODEL,
                    device_type="mps2-an386",
                    cores=frozenset({CoreVariant.PORTABLE}),
                    abi=ABI,
                ),
            )
        except ImageError as error:
            self._end(UpdateState.FAILED, error.result, str(error)[:96])
            return
        except WireError:
            self._end(UpdateState.FAILED, Result.INTEGRITY)
            return
        for state in (UpdateState.VERIFIED, UpdateState.STAGED, UpdateState.TRIAL):
            self._status(state)
        assert self._wanted is not None
        self.flash.image, self.flash.data = self._wanted.image, data
        self.flash.version = self._wanted.version
        self.flash.epoch += 1
        self._inferences, self._teles = [0, 0, 0, 0], 0
        self._end(UpdateState.CONFIRMED, Result.SUCCESS)

    # --- what it says ---------------------------------------------------------------------------------------

    def _end(self, state: UpdateState, result: Result, detail: str | None = None) -> None:
        self.flash.generation, self.flash.state, self.flash.result = self._generation, state, result
        self._status(state, result, detail)
        self._assembler = None
        self._birth()

    def _status(self, state: UpdateState, result: Result = Result.INITIAL, detail: str | None = None) -> None:
        self._statuses += 1
        status = Status(
            boot=self.flash.boot,
            seq=self._statuses,
            generation=self._generation,
            state=state,
            result=result,
            offset_bytes=0 if self._assembler is None else self._assembler.offset_bytes,
            size_bytes=0 if self._wanted is None else self._wanted.size_bytes,
            detail=detail,
        )
        self.statuses.append(status)
        self.send(TopicKind.STATUS, status)

    def _birth(self) -> None:
        self._births += 1
        flash = self.flash
        runs = (
            None
            if flash.image is None
            else ImageInfo(image=flash.image, version=flash.version, security_counter=1)
        )
        self.send(TopicKind.BIRTH, birth_of(flash, self._births, runs))


def birth_of(flash: Flash, seq: int, model: ImageInfo | None) -> Birth:
    return Birth(
        boot=flash.boot,
        seq=seq,
        generation=flash.generation,
        state=flash.state,
        result=flash.result,
        device_type="mps2-an386",
        hw_rev="sim",
        firmware=ImageInfo(version="0.0.1", security_counter=1),
        model=model,
        slots=(),
        abi=ABI,
        ops=b"\xff" * 8,
        arena_bytes=65536,
        golden_bytes=0,
        period_s=1,
        power=PowerSource.MAINS,
        sensor="simulated",
        timing=Timing.INSTRUCTIONS,
        core=CoreVariant.PORTABLE,
        uptime_ms=1,
        emulated=True,
        captures=True,
    )
