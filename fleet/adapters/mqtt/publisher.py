"""Makes the broker hold what it should: retained publishes, then the journal that says so.

On every connect the journal found there decides what is published again. A marker that is not retained,
published behind the subscription, says when a missing journal is really missing: the broker keeps the order
of one connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterable
from typing import Final

import aiomqtt

from tinyfleet.fleet.core.errors import FleetError, Unavailable
from tinyfleet.fleet.services.broker_cache import BrokerCache, Pass
from tinyfleet.wire.topics import Topics

log = logging.getLogger(__name__)

WINDOW: Final = 64
"""Publishes under way at once."""
TIMEOUT_S: Final = 10.0
RETRY_FIRST_S: Final = 0.2
RETRY_MAX_S: Final = 2.0
BURST_BYTES: Final = 256 * 1024


class Publisher:
    def __init__(
        self,
        cache: BrokerCache,
        topics: Topics,
        *,
        port: int,
        user: str,
        password: bytes,
        client_id: str,
        bytes_per_s: int,
        host: str = "127.0.0.1",
    ) -> None:
        self._cache = cache
        self._topics = topics
        self._host, self._port = host, port
        self._user, self._password, self._client_id = user, password, client_id
        self._bytes_per_s = bytes_per_s
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.connected = False

    def wake(self) -> None:
        """There may be something to publish. Callable from any thread."""
        self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Stays connected, publishes what is pending; ends when cancelled."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                async with self._connect() as client:
                    pause_s = RETRY_FIRST_S
                    await self._serve(client)
            except (aiomqtt.MqttError, OSError) as error:
                log.warning("the publisher lost the broker: %s", error)
            except FleetError as error:
                log.error("cannot publish: %s", error)
            except Exception:
                # A bug must not end publishing in silence: it is logged at every try.
                log.exception("cannot publish")
            finally:
                self.connected = False
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)

    def _connect(self) -> aiomqtt.Client:
        client = aiomqtt.Client(
            self._host,
            self._port,
            username=self._user,
            password=self._password.decode("ascii"),
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            timeout=TIMEOUT_S,
            keepalive=15,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        client.pending_calls_threshold = 2 * WINDOW
        return client

    async def _serve(self, client: aiomqtt.Client) -> None:
        journal = await self._read_journal(client)
        again = await asyncio.to_thread(self._cache.connected, journal)
        log.info("publisher connected, %d retained rows to publish again", again)
        self.connected = True
        self._wake.set()
        tasks = {
            asyncio.create_task(_until_lost(client), name="publisher: watch the link"),
            asyncio.create_task(self._publish_when_woken(client), name="publisher: publish"),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish_when_woken(self, client: aiomqtt.Client) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._publish_pending(client)

    async def _read_journal(self, client: aiomqtt.Client) -> bytes | None:
        """The journal the broker holds, None when it holds none."""
        marker = f"{self._topics.prefix}/fleet/marker"
        await client.subscribe([(self._topics.journal, 1), (marker, 1)])
        await client.publish(marker, b"", qos=1)
        found: bytes | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                async for message in client.messages:
                    if message.topic.value == marker:
                        break
                    found = bytes(message.payload) if isinstance(message.payload, bytes) else None
        except TimeoutError as error:
            raise Unavailable("the broker did not give its journal: see its log") from error
        await client.unsubscribe([self._topics.journal, marker])
        return found

    async def _publish_pending(self, client: aiomqtt.Client) -> None:
        while (todo := await asyncio.to_thread(self._cache.next_pass)) is not None:
            await self._carry_out(client, todo)

    async def _carry_out(self, client: aiomqtt.Client, todo: Pass) -> None:
        rate = _Rate(self._bytes_per_s)
        for work in todo.work:
            messages = await asyncio.to_thread(self._cache.messages, work)
            for at in range(0, len(messages), WINDOW):
                window = messages[at : at + WINDOW]
                await rate.take(sum(len(payload) for _, payload in window))
                await _publish_all(client, window)
            await asyncio.to_thread(self._cache.done, work)
        await client.publish(self._topics.journal, todo.journal, qos=1, retain=True)


async def _publish_all(client: aiomqtt.Client, messages: Iterable[tuple[str, bytes]]) -> None:
    """Returns when the broker has acknowledged every one."""
    await asyncio.gather(*(client.publish(topic, payload, qos=1, retain=True) for topic, payload in messages))


async def _until_lost(client: aiomqtt.Client) -> None:
    async for _ in client.messages:
        continue


class _Rate:
    """A token bucket: a broker that comes back empty must not drown its devices in our republishing."""

    def __init__(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s
        self._tokens = float(BURST_BYTES)
        self._at_s = time.monotonic()

    async def take(self, size_bytes: int) -> None:
        now_s = time.monotonic()
        self._tokens = min(BURST_BYTES, self._tokens + (now_s - self._at_s) * self._bytes_per_s)
        self._at_s = now_s
        self._tokens -= size_bytes
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._bytes_per_s)
