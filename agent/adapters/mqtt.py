"""Tells the manager what is on the bench: one retained message, and the same with state LOST as the will.

The connection lives in a thread of its own; whoever has news only leaves the latest here. Works alone when
there is no broker: it keeps trying, with growing pauses.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiomqtt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinyfleet.agent.adapters.broker_tls import BrokerDoor, TlsFile
from tinyfleet.agent.adapters.secret_file import read_secret
from tinyfleet.agent.core.broker import BrokerTls
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Bench
from tinyfleet.wire.topics import TopicKind, Topics

LOG = logging.getLogger(__name__)
KEEPALIVE_S = 30
TIMEOUT_S = 10.0
PAUSE_FIRST_S = 0.5
PAUSE_MAX_S = 30.0
# Newer than all that one connection can send (SPEC section 3, bench).
WILL_AHEAD = 1 << 30
_U32 = 1 << 32


class _Credentials(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    id: str
    host: str
    port: int
    prefix: str
    user: str
    password: str = Field(repr=False)
    tls: TlsFile | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and as whom an agent connects."""

    agent: str
    host: str
    port: int
    prefix: str
    user: str
    password: str = field(repr=False)
    tls: BrokerTls | None = None


def read_credentials(path: Path) -> Broker:
    """What `tinyfleet agent register --out` wrote. Raises AgentError naming the file, never its content."""
    register = "write it with `tinyfleet agent register NAME --out FILE`"
    try:
        known = _Credentials.model_validate(json.loads(read_secret(path, "secrets")))
        tls = None if known.tls is None else known.tls.checked()
    except OSError as error:
        raise AgentError(f"cannot read the credentials {path}: {error.strerror}", register) from error
    except (ValueError, ValidationError):
        # Their text could show the password.
        raise AgentError(f"{path} holds no credentials of an agent", register) from None
    return Broker(known.id, known.host, known.port, known.prefix, known.user, known.password, tls)


class Publisher:
    """`publish` may be called from any thread and never blocks."""

    def __init__(self, broker: Broker, first: Bench) -> None:
        self._broker = broker
        self.door = BrokerDoor(
            *(broker.host, broker.port, broker.tls), f"tinyfleet agent register {broker.agent}"
        )
        self._topic = Topics(broker.prefix).device(broker.agent, TopicKind.BENCH)
        self._latest = first
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._stopping = False
        self.connected = False
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        if self.door.warning is not None:
            LOG.warning("%s", self.door.warning)
        self._thread.start()

    def publish(self, bench: Bench) -> None:
        """Replaces what is to be told; `seq` is set here."""
        self._call(self._take, bench)

    def stop(self) -> None:
        """Says that the agent is gone, and ends the connection."""
        self._call(self._end)
        self._thread.join(TIMEOUT_S + PAUSE_FIRST_S)

    def _call(self, function: object, *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)  # type: ignore[arg-type]
        except RuntimeError:
            return  # the loop has ended

    def _take(self, bench: Bench) -> None:
        self._latest = replace(bench, seq=(self._latest.seq + 1) % _U32)
        self._news.set()

    def _end(self) -> None:
        self._stopping = True
        self._news.set()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        pause_s = PAUSE_FIRST_S
        while not self._stopping:
            try:
                async with self.door.entered(self._client()) as client:
                    LOG.info(
                        "connected to the manager's broker at %s%s",
                        *(self.door, "" if self._broker.tls is None else " by TLS"),
                    )
                    pause_s = PAUSE_FIRST_S
                    self.connected = True
                    await self._tell(client)
            except (aiomqtt.MqttError, OSError) as error:
                LOG.warning("%s", self.door.failed(error))
            except Exception:
                # A bug must not make the agent mute in silence: it is logged at every try.
                LOG.exception("cannot tell the manager")
            finally:
                self.connected = False
            if not self._stopping:
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _client(self) -> aiomqtt.Client:
        will = replace(self._latest, seq=(self._latest.seq + WILL_AHEAD) % _U32, state=ConnState.LOST)
        return aiomqtt.Client(
            hostname=self._broker.host,
            port=self._broker.port,
            username=self._broker.user,
            # By TLS the certificate says who it is.
            password=self._broker.password or None,
            tls_context=self.door.context,
            identifier=self._broker.agent,
            protocol=aiomqtt.ProtocolVersion.V5,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            will=aiomqtt.Will(self._topic, encode(will), qos=1, retain=True),
        )

    async def _tell(self, client: aiomqtt.Client) -> None:
        """Publishes the latest whenever there is news, until the connection breaks or the agent stops."""
        watch = asyncio.ensure_future(_until_broken(client))
        try:
            while True:
                self._news.clear()
                latest = self._latest
                if self._stopping:
                    latest = replace(latest, seq=(latest.seq + 1) % _U32, state=ConnState.LOST)
                await client.publish(self._topic, encode(latest), qos=1, retain=True)
                if self._stopping:
                    return
                news = asyncio.ensure_future(self._news.wait())
                done, _ = await asyncio.wait({news, watch}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if watch in done:
                    watch.result()
        finally:
            watch.cancel()

    async def _pause(self, seconds: float) -> None:
        """Waits, but no longer than until the agent stops."""
        end = self._loop.time() + seconds
        while not self._stopping and self._loop.time() < end:
            await asyncio.sleep(min(0.1, max(0.0, end - self._loop.time())))


async def _until_broken(client: aiomqtt.Client) -> None:
    """Nothing is subscribed, so this ends only with the connection."""
    async for _ in client.messages:
        continue
