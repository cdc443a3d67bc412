"""`tinyfleet devices` and `tinyfleet device …`."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from tinyfleet.fleet.cli.common import (
    ago,
    ahead,
    client,
    fail,
    json_option,
    one_line_errors,
    order_of,
    show_json,
    show_table,
    state_option,
)
from tinyfleet.fleet.cli.device_bridge import bridge
from tinyfleet.fleet.cli.device_live import capture, event_rule
from tinyfleet.fleet.cli.device_token import token, token_revoke, tokens
from tinyfleet.fleet.core.errors import BadInput, Refused

if TYPE_CHECKING:
    from tinyfleet.fleet.api.schemas import DeviceOut, SleepIn

POLL_S: Final = 0.2


@click.command()
@state_option
@click.option("--site", help="Only devices of this site.")
@click.option("--in-state", help="Only devices in this state (ONLINE, ASLEEP, LATE, LOST, UNKNOWN).")
@json_option
@one_line_errors
def devices(state: Path, site: str | None, in_state: str | None, as_json: bool) -> None:
    """List the devices."""
    with client(state) as fleet:
        found = fleet.devices(site, in_state)
        pending = [token for token in fleet.tokens() if token.state == "PENDING"]
    if as_json:
        show_json([each.model_dump() for each in found])
        return
    show_table(
        ("DEVICE", "SITE", "TYPE", "STATE", "MODEL", "DEPLOYMENT", "HEARD", "NEXT WAKE"),
        (
            (
                each.id,
                each.site,
                each.device_type + _what_kind(each),
                each.state,
                each.model_version,
                None if each.deployment is None else each.deployment.state,
                ago(each.heard_s),
                _next_wake(each),
            )
            for each in found
        ),
    )
    for waiting in pending:
        since = ago(waiting.changed_s)
        click.echo(f"{waiting.device}: PENDING, enrolled {since} by token {waiting.id}, not heard yet")


@click.group()
def device() -> None:
    """Provision, set, show and remove devices."""


def _what_kind(device: DeviceOut) -> str:
    """What nobody may overlook: that it is emulated, and that an agent speaks for it."""
    words = ["emulated"] if device.emulated else []
    if device.via is not None:
        words.append(f"bridged by {device.via}")
    return f" ({', '.join(words)})" if words else ""


def _next_wake(device: DeviceOut) -> str | None:
    if device.next_wake_s is None or device.state == "ONLINE":
        return None
    if device.missed_wakes:
        return f"{device.missed_wakes} missed"
    return ahead(device.next_wake_s)


def sleep_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--awake", "awake_s", type=float, help="Seconds that one wake may last."),
        click.option("--wake-bytes", type=int, help="Bytes on air that one wake may cost."),
        click.option("--wake", "wake_s", type=int, help="Seconds between two wakes; 0: its radio stays on."),
    ):
        function = option(function)
    return function


def _sleep_in(wake_s: int | None, wake_bytes: int | None, awake_s: float | None) -> SleepIn | None:
    """None: nothing was said. Raises BadInput."""
    from tinyfleet.fleet.api.schemas import SleepIn

    if wake_s is None:
        if wake_bytes is not None or awake_s is not None:
            raise BadInput("--wake-bytes and --awake are of a wake: say by --wake how often it comes")
        return None
    if awake_s is not None and not math.isfinite(awake_s):
        raise BadInput(f"--awake: expected a number of seconds, got {awake_s}")
    awake_ms = None if awake_s is None else round(awake_s * 1000)
    return order_of(SleepIn, wake_s=wake_s, budget_bytes=wake_bytes, awake_ms=awake_ms)


@device.command()
@click.argument("name")
@click.option(
    "--flash", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Flash file of the board."
)
@click.option("--device-type", default="mps2-an386", show_default=True, help="What the device is.")
@click.option("--site", default="default", show_default=True, help="Where it stands; a label in metrics.")
@click.option("--node-host", help="IPv4 address by which the node reaches the broker.")
@click.option("--period", "period_s", type=click.IntRange(1, 86400), help="Seconds between two reports.")
@click.option("--window-ms", type=click.IntRange(1, 3_600_000), help="Milliseconds between two inferences.")
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded windows: a replay region (.bin), or .npz with `windows` and --replay-card.",
)
@click.option(
    "--replay-card",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON with sensor, unit and rate_mhz of the windows in an .npz.",
)
@click.option("--tls", is_flag=True, help="Reach the broker by TLS, with a certificate of its own.")
@click.option(
    "--feed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON with sensor, unit, rate_mhz, samples, channels of what the sample line brings.",
)
@click.option("--sntp", help="SNTP server by which it learns the time: IPv4 address, or address:port.")
@sleep_options
@click.option(
    "--smp",
    type=click.Choice(["read", "full"]),
    help="Open UDP port 1337 to the node's network, unauthenticated: to look, or for all of SMP.",
)
@click.option("--firmware", help="Release whose firmware the board starts with: NAME, or NAME:VERSION.")
@state_option
@one_line_errors
def provision(
    name: str,
    flash: Path,
    device_type: str,
    site: str,
    node_host: str | None,
    period_s: int | None,
    window_ms: int | None,
    replay: Path | None,
    replay_card: Path | None,
    feed: Path | None,
    tls: bool,
    sntp: str | None,
    wake_s: int | None,
    wake_bytes: int | None,
    awake_s: float | None,
    smp: Literal["read", "full"] | None,
    firmware: str | None,
    state: Path,
) -> None:
    """Register device NAME and write its trust and configuration records into a flash file.

    A new board also needs a signed firmware. Doing it again changes nothing. A flash that trusts another
    fleet's key is refused.
    """
    from tinyfleet.fleet.api.schemas import ProvisionIn
    from tinyfleet.fleet.cli.flash_file import FlashFile, feed_region, replay_region
    from tinyfleet.fleet.core import flash as flashes

    memory = flashes.map_of(device_type)
    if replay is not None and feed is not None:
        fail("--replay and --feed exclude each other: a node has one source of windows")
    region = None if replay is None else replay_region(replay, replay_card)
    region = region if feed is None else feed_region(feed)
    with client(state) as fleet, FlashFile(flash, memory) as content:
        order = order_of(
            ProvisionIn,
            id=name,
            device_type=device_type,
            site=site,
            node_host=node_host,
            period_s=period_s,
            window_ms=window_ms,
            tls=tls,
            sntp=sntp,
            sleep=_sleep_in(wake_s, wake_bytes, awake_s),
            smp=smp,
            fresh=flashes.is_fresh(memory, content.data),
            firmware=None if firmware is None else firmware.partition(":")[0],
            firmware_version=None if firmware is None else firmware.partition(":")[2] or None,
        )
        done = fleet.provision(order)
        writes = flashes.plan(
            memory,
            content.data,
            trust=base64.b64decode(done.trust),
            config=base64.b64decode(done.config),
            replay=region,
            firmware=None if done.firmware is None else base64.b64decode(done.firmware),
        )
        content.write(writes)
    written = ", ".join(write.region for write in writes) or "nothing, it was all there"
    click.echo(f"{name} is registered at site {site}; written to {flash}: {written}")


@device.command()
@click.argument("name")
@sleep_options
@click.option("--as-configured", is_flag=True, help="As its configuration says again.")
@state_option
@one_line_errors
def sleep(
    name: str,
    wake_s: int | None,
    wake_bytes: int | None,
    awake_s: float | None,
    as_configured: bool,
    state: Path,
) -> None:
    """Tell device NAME when to wake; it hears of it the next time it is awake."""
    order = _sleep_in(wake_s, wake_bytes, awake_s)
    if (order is None) != as_configured:
        raise BadInput("say either --wake or --as-configured")
    with client(state) as fleet:
        fleet.set_sleep(name, order)


@device.command()
@click.argument("name")
@state_option
@one_line_errors
def show(name: str, state: Path) -> None:
    """Print everything known of device NAME as JSON."""
    with client(state) as fleet:
        show_json(fleet.device(name).model_dump())


@device.command()
@click.argument("name")
@click.option("--host", help="IPv4 address of its broker.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of its broker.")
@click.option("--keepalive", "keepalive_s", type=click.IntRange(5, 3600), help="Seconds of MQTT keep-alive.")
@click.option("--period", "period_s", type=click.IntRange(1, 86400), help="Seconds between two reports.")
@click.option("--sntp", help="SNTP server: IPv4 address, or address:port.")
@click.option(
    "--days",
    type=click.IntRange(1, 10_000),
    help="How long the new certificate is good; else as long as the authority.",
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    help="Wait so many seconds for what the device makes of it.",
)
@state_option
@json_option
@one_line_errors
def rotate(name: str, wait_s: float | None, state: Path, as_json: bool, **changes: Any) -> None:
    """Change the configuration of device NAME over the air; by TLS, give it another certificate for its key.

    The device tries it, and is back with the one before when it does not reach its broker.
    """
    from tinyfleet.fleet.api.schemas import RotateIn

    with client(state) as fleet:
        found = fleet.rotate_device(name, order_of(RotateIn, **changes))
        end = time.monotonic() + (wait_s or 0)
        while found.state == "PENDING" and time.monotonic() < end:
            time.sleep(POLL_S)
            found = fleet.device(name).configuration
    if as_json:
        show_json(found.model_dump())
    elif found.state == "REFUSED":
        raise Refused(f"{name} did not keep configuration {found.wanted}: {found.detail or found.result}")
    else:
        click.echo(f"configuration {found.wanted} of {name}: {found.state}")


@device.command()
@click.argument("name")
@click.confirmation_option(
    prompt="The broker will no longer let it in until it is provisioned again. Revoke?"
)
@state_option
@one_line_errors
def revoke(name: str, state: Path) -> None:
    """Take certificate and password of device NAME away and end its connection."""
    with client(state) as fleet:
        fleet.revoke_device(name)
    click.echo(f"{name} is shut out; `tinyfleet device provision` gives it new credentials")


@device.command()
@click.argument("name")
@click.confirmation_option(prompt="The broker will no longer let it in. Remove it?")
@state_option
@one_line_errors
def remove(name: str, state: Path) -> None:
    """Take device NAME out of the fleet."""
    with client(state) as fleet:
        fleet.remove_device(name)
    click.echo(f"{name} is removed")


device.add_command(bridge)
device.add_command(capture)
device.add_command(event_rule)
for each in (token, tokens, token_revoke):
    device.add_command(each)
