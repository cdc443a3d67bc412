"""Bridged devices at the broker: a connection each, under its own name, with its own will, all in one thread.

One connection has one will, and the broker's rules know a device by its user name: so each bridged device
comes as a node does, and is LOST as one when the agent dies.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import aiomqtt

from tinyfleet.agent.adapters.broker_tls import BrokerDoor
from tinyfleet.agent.services.bridge_ports import Access, ChunkCame, Incoming, LinkDown, LinkUp, WantCame
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import Conn, Message
from tinyfleet.wire.topics import TopicKind, Topics

LOG = logging.getLogger(__name__)
TIMEOUT_S = 10.0
PAUSE_FIRST_S = 0.5
PAUSE_MAX_S = 30.0
OUT_MAX = 256
IN_MAX = 256
_U32 = 1 << 32


@dataclass(frozen=True, slots=True)
class _Say:
    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class _Ask:
    """`wanted`: subscribe, else unsubscribe."""

    filter: str
    wanted: bool


class DeviceLinks:
    """The thread of all of them; it runs from the start on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="mqtt-devices", daemon=True)
        self._thread.start()

    def link(self, access: Access) -> DeviceLink:
        link = DeviceLink(access, self._loop)
        if link.door.warning is not None:
            LOG.warning("%s: %s", link.device, link.door.warning)
        return link

    def stop(self) -> None:
        """After each link was closed."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_cancelled(asyncio.all_tasks(self._loop)))
        finally:
            self._loop.close()


async def _cancelled(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class DeviceLink:
    """`services.bridge_ports.DeviceLink`. Its methods may be called from any thread."""

    def __init__(self, access: Access, loop: asyncio.AbstractEventLoop) -> None:
        self._access = access
        self.device = access.terms.device
        self.door = BrokerDoor(
            *(access.host, access.port, access.tls),
            f"tinyfleet device bridge {self.device} --agent {access.agent} --device-type "
            f"{access.terms.device_type}",
        )
        self._topics = Topics(access.prefix)
        self._loop = loop
        self._out: deque[_Say | _Ask] = deque(maxlen=OUT_MAX)
        self._news = asyncio.Event()
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._wanted = False
        self._conn = 0
        self._boot = 0
        self._tell: Callable[[Incoming], None] = lambda incoming: None

    def open(self, boot: int, tell: Callable[[Incoming], None]) -> None:
        self._call(self._open, boot, tell)

    def publish(self, kind: TopicKind, message: Message) -> None:
        say = _Say(self._topics.device(self.device, kind), encode(message), kind.retained)
        self._call(self._put, say)

    def subscribe(self, manifest: bytes, group: int) -> None:
        self._call(self._put, _Ask(self._topics.group_filter(manifest, group), True))

    def unsubscribe(self, manifest: bytes, group: int) -> None:
        self._call(self._put, _Ask(self._topics.group_filter(manifest, group), False))

    def close(self) -> None:
        """Returns at once; `wait` for its end."""
        self._call(self._close)

    def wait(self) -> bool:
        """Whether it is gone from the broker, after `close`, in time."""
        return self._ended.wait(TIMEOUT_S)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop has ended

    # --- in the loop ----------------------------------------------------------------------------------------

    def _open(self, boot: int, tell: Callable[[Incoming], None]) -> None:
        self._boot, self._tell = boot, tell
        self._wanted = True
        if self._task is None or self._task.done():
            self._ended.clear()
            self._task = self._loop.create_task(self._serve())

    def _close(self) -> None:
        self._wanted = False
        self._news.set()
        if self._task is None or self._task.done():
            self._ended.set()

    def _put(self, item: _Say | _Ask) -> None:
        self._out.append(item)
        self._news.set()

    async def _serve(self) -> None:
        pause_s = PAUSE_FIRST_S
        while self._wanted:
            self._conn = (self._conn + 1) % _U32
            up = False
            try:
                async with self.door.entered(self._client()) as client:
                    up = True
                    await self._talk(client)
                    pause_s = PAUSE_FIRST_S
            except (aiomqtt.MqttError, OSError) as error:
                LOG.warning("%s: %s", self.device, self.door.failed(error))
            except Exception:
                # A bug must not make a device mute in silence: it is logged at every try.
                LOG.exception("%s: its connection failed", self.device)
            if up:
                self._tell(LinkDown())
            end = self._loop.time() + pause_s
            while self._wanted and self._loop.time() < end:
                await asyncio.sleep(min(0.1, max(0.0, end - self._loop.time())))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
        self.door.trouble = None
        self._ended.set()

    def _client(self) -> aiomqtt.Client:
        access = self._access
        return aiomqtt.Client(
            hostname=access.host,
            port=access.port,
            username=access.user,
            password=access.password or None,
            tls_context=self.door.context,
            identifier=access.user,
            protocol=aiomqtt.ProtocolVersion.V5,
            keepalive=access.terms.keepalive_s,
            timeout=TIMEOUT_S,
            # What there is no room for is fetched again.
            max_queued_incoming_messages=IN_MAX,
            will=aiomqtt.Will(self._conn_topic, self._conn_is(ConnState.LOST), qos=1, retain=True),
        )

    @property
    def _conn_topic(self) -> str:
        return self._topics.device(self.device, TopicKind.CONN)

    def _conn_is(self, state: ConnState) -> bytes:
        return encode(Conn(boot=self._boot, conn=self._conn, state=state))

    async def _talk(self, client: aiomqtt.Client) -> None:
        """Until the connection breaks, or is not wanted any more; then it says LOST itself."""
        self._out.clear()
        await client.publish(self._conn_topic, self._conn_is(ConnState.ONLINE), qos=1, retain=True)
        reading = asyncio.ensure_future(self._read(client))
        try:
            self._tell(LinkUp())
            await client.subscribe(self._topics.device(self.device, TopicKind.WANT), qos=1)
            while True:
                self._news.clear()
                while self._out and not reading.done():
                    await self._send(client, self._out.popleft())
                if not self._wanted:
                    await client.publish(self._conn_topic, self._conn_is(ConnState.LOST), qos=1, retain=True)
                    return
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait({news, reading}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if reading.done():
                    reading.result()
                    return
        finally:
            reading.cancel()

    @staticmethod
    async def _send(client: aiomqtt.Client, item: _Say | _Ask) -> None:
        if isinstance(item, _Say):
            await client.publish(item.topic, item.payload, qos=1, retain=item.retain)
        elif item.wanted:
            await client.subscribe(item.filter, qos=1)
        else:
            await client.unsubscribe(item.filter)

    async def _read(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            try:
                topic = self._topics.parse(str(message.topic))
            except WireError:
                continue
            if topic.kind is TopicKind.WANT:
                self._tell(WantCame(payload))
            elif topic.kind is TopicKind.BLOB and topic.blob is not None:
                self._tell(ChunkCame(topic.blob, topic.group, topic.index, payload))
