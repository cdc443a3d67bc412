"""Reads everything devices say, and acknowledges only what was stored.

aiomqtt acknowledges first: with it, four of five CONFIRMED were lost to a `kill -9` of the manager. This
reader keeps a session at the broker (Clean Start 0 with an expiry: mosquitto 2.0.11 does not persist a
session begun with Clean Start 1), hands batches to `handle`, and sends the PUBACKs when it returns.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tinyfleet.fleet.core.errors import Unavailable
from tinyfleet.fleet.services.ingest import Incoming

log = logging.getLogger(__name__)

RECEIVE_MAX: Final = 1000
QUEUE_MAX: Final = 4 * RECEIVE_MAX
BATCH_MAX: Final = 500
SESSION_S: Final = 14 * 24 * 3600
KEEPALIVE_S: Final = 15
RETRY_S: Final = 0.5
STOP_S: Final = 15.0
"""Longer than the store waits for its lock."""
RECONNECT_MAX_S: Final = 2
DROPPED_TOPIC: Final = "$SYS/broker/publish/messages/dropped"
"""Mosquitto drops in silence when a queue is full; this is the only place where it tells."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A message not yet acknowledged, and the connection it came by: its number means nothing on another."""

    incoming: Incoming
    mid: int
    qos: int
    connection: int


class Reader:
    """Runs two threads: paho's network loop fills a bounded queue, ours empties it in batches."""

    def __init__(
        self,
        *,
        port: int,
        user: str,
        password: bytes,
        client_id: str,
        filters: Sequence[str],
        handle: Callable[[Sequence[Incoming]], None],
        lost: Callable[[], None],
        host: str = "127.0.0.1",
    ) -> None:
        """`handle` stores a batch or raises Unavailable; `lost` is told when the broker goes away."""
        self._filters = tuple(filters)
        self._handle = handle
        self._lost = lost
        self._host, self._port = host, port
        self._held: queue.Queue[_Held] = queue.Queue(QUEUE_MAX)
        self._connection = 0
        self._connected = False
        self.broker_dropped: int | None = None
        self._stopping = threading.Event()
        self._ack_lock = threading.Lock()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        self._client.username_pw_set(user, password.decode("ascii"))
        self._client.reconnect_delay_set(1, RECONNECT_MAX_S)
        self._client.on_socket_open = _without_delay
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._worker = threading.Thread(target=self._work, name="ingest", daemon=True)

    @property
    def connected(self) -> bool:
        return self._connected

    def start(self) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.SessionExpiryInterval = SESSION_S
        properties.ReceiveMaximum = RECEIVE_MAX
        self._worker.start()
        self._client.connect_async(
            self._host, self._port, keepalive=KEEPALIVE_S, clean_start=False, properties=properties
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Ends both threads. What was not stored stays unacknowledged: the broker will give it again."""
        self._stopping.set()
        self._worker.join(STOP_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self,
        client: Client,
        _data: Any,
        flags: ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            log.error("the broker refused the reader: %s", code)
            return
        with self._ack_lock:
            self._connection += 1
        log.info("reader connected, session %s", "resumed" if flags.session_present else "new")
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)
        client.subscribe([(each, options) for each in (*self._filters, DROPPED_TOPIC)])

    def _on_subscribe(
        self,
        _client: Client,
        _data: Any,
        _mid: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            log.error("the broker refused the reader's subscriptions: %s", ", ".join(refused))
        self._connected = not refused

    def _on_disconnect(
        self,
        _client: Client,
        _data: Any,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._connected = False
        if not self._stopping.is_set():
            log.warning("the reader lost the broker: %s", code)
            self._lost()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.topic == DROPPED_TOPIC:
            with contextlib.suppress(ValueError):
                self.broker_dropped = int(message.payload)
            return
        held = _Held(
            Incoming(message.topic, bytes(message.payload), message.retain),
            message.mid,
            message.qos,
            self._connection,
        )
        # A full queue stops the network thread, so the broker keeps what we cannot take.
        while not self._stopping.is_set():
            try:
                self._held.put(held, timeout=RETRY_S)
                return
            except queue.Full:
                continue

    def _work(self) -> None:
        while not self._stopping.is_set():
            batch = self._take()
            if not batch:
                continue
            while not self._stopping.is_set():
                try:
                    self._handle([held.incoming for held in batch])
                except Unavailable as error:
                    log.error("nothing is acknowledged until it is stored: %s", error)
                    self._stopping.wait(RETRY_S)
                    continue
                except Exception:
                    # A bug must not make the manager deaf in silence: it is logged at every try.
                    log.exception("a batch of %d messages cannot be stored", len(batch))
                    self._stopping.wait(RETRY_S)
                    continue
                self._acknowledge(batch)
                break

    def _take(self) -> list[_Held]:
        """What is there, at most a batch; waits a little for the first one only."""
        batch: list[_Held] = []
        with contextlib.suppress(queue.Empty):
            batch.append(self._held.get(timeout=RETRY_S))
            while len(batch) < BATCH_MAX:
                batch.append(self._held.get_nowait())
        return batch

    def _acknowledge(self, batch: Sequence[_Held]) -> None:
        with self._ack_lock:
            for held in batch:
                if held.connection == self._connection:
                    self._client.ack(held.mid, held.qos)


def _without_delay(_client: Client, _data: Any, link: Any) -> None:
    """PUBACKs are small: with Nagle's algorithm a round trip took 44 to 88 ms, without it 0.4."""
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
