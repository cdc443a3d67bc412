"""`tinyfleet mqtt …`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tinyfleet.fleet.cli.common import fail, one_line_errors, state_option


@click.group()
def mqtt() -> None:
    """Look at what crosses the broker."""


@mqtt.command()
@click.option("--device", help="Only this device's topics.")
@click.option("--count", type=click.IntRange(1), help="End after this many messages.")
@click.option("--seconds", type=float, help="End after this many seconds.")
@click.option("--chunks", is_flag=True, help="Show artifact chunks too (their size, not their bytes).")
@state_option
@one_line_errors
def tail(device: str | None, count: int | None, seconds: float | None, chunks: bool, state: Path) -> None:
    """Print every message as one line of JSON: what the broker holds first, then what comes."""
    import asyncio

    asyncio.run(_tail(device, count, seconds, chunks, state))


async def _tail(
    device: str | None, count: int | None, seconds: float | None, chunks: bool, folder: Path
) -> None:
    import asyncio
    import secrets

    import aiomqtt

    from tinyfleet.fleet.adapters.mqtt.mosquitto import TAIL
    from tinyfleet.fleet.core import credentials
    from tinyfleet.fleet.core.device import check_device_id
    from tinyfleet.fleet.state import State
    from tinyfleet.wire.topics import Topics

    if device is not None:
        check_device_id(device)
    state = State(folder)
    endpoints = state.endpoints()
    topics = Topics(endpoints.prefix)
    password = credentials.password(state.secret(), TAIL).decode("ascii")
    filters = [f"{topics.prefix}/{device or '+'}/+"]
    if chunks:
        filters.append(f"{topics.prefix}/blob/#")
    left = count
    try:
        async with (
            asyncio.timeout(seconds),
            aiomqtt.Client(
                "127.0.0.1",
                endpoints.admin_port,
                username=TAIL,
                password=password,
                identifier=f"{TAIL}-{secrets.token_hex(4)}",
                protocol=aiomqtt.ProtocolVersion.V5,
            ) as broker,
        ):
            await broker.subscribe([(each, 1) for each in filters])
            async for message in broker.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                click.echo(json.dumps(describe(topics, message.topic.value, payload, bool(message.retain))))
                left = None if left is None else left - 1
                if left == 0:
                    return
    except TimeoutError:
        return
    except aiomqtt.MqttError as error:
        fail(f"the broker at port {endpoints.admin_port}: {error}; is `tinyfleet up` running?")


def describe(topics: Any, topic: str, payload: bytes, retained: bool) -> dict[str, Any]:
    """One message for people: decoded where it can be, else its bytes and why not."""
    from tinyfleet.wire.codec import decode, message_class, to_json
    from tinyfleet.wire.errors import WireError
    from tinyfleet.wire.topics import TopicKind

    line: dict[str, Any] = {"topic": topic, "retained": retained}
    raw_window = topic.endswith(f"/{TopicKind.SAMPLE}")
    if not payload:
        return line | {"empty": True}
    try:
        kind = topics.parse(topic).kind
        if kind is TopicKind.BLOB:
            return line | {"bytes": len(payload)}
        return line | {"message": to_json(decode(message_class(kind.value), payload))}
    except (WireError, KeyError) as error:
        what = {"bytes": len(payload)} if raw_window else {"payload": payload.hex()}
        return line | {"unreadable": str(error)} | what
