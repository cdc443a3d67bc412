"""Devices over HTTP."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from fastapi import APIRouter

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api import show
from tinyfleet.fleet.api.common import ServicesOf
from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.fleet.core.liveness import DeviceState
from tinyfleet.fleet.services.configurations import Change
from tinyfleet.wire.enums import SmpDoor
from tinyfleet.wire.messages import Sleep

reading = APIRouter(prefix="/devices")
changing = APIRouter(prefix="/devices")


@reading.get("")
def devices(
    site: str | None = None, state: str | None = None, services: Any = ServicesOf
) -> list[out.DeviceOut]:
    try:
        wanted = None if state is None else DeviceState(state.upper())
    except ValueError as error:
        names = ", ".join(each.value for each in DeviceState)
        raise BadInput(f"state {str(state)[:20]!r}: expected one of {names}") from error
    return [show.device(view) for view in services.registry.all(site, wanted)]


@reading.get("/{name}")
def device(name: str, services: Any = ServicesOf) -> out.DeviceDetailOut:
    return show.device_detail(services.registry.get(name))


@changing.post("")
def provision(order: out.ProvisionIn, services: Any = ServicesOf) -> out.ProvisionOut:
    """Registers a device, or finds it, and gives its flash records: the same ones every time."""
    given = {
        "host": order.node_host,
        "period_s": order.period_s,
        "window_ms": order.window_ms,
        "tls": order.tls,
        "sntp": order.sntp,
        "sleep": None if order.sleep is None else _sleep(order.sleep),
        "smp": None if order.smp is None else SmpDoor[order.smp.upper()],
    }
    connection = replace(
        services.connection, **{name: value for name, value in given.items() if value is not None}
    )
    # Asked for first: nothing is registered for a release that is not there.
    firmware = (
        None
        if order.firmware is None
        else services.releases.firmware_image(order.firmware, order.firmware_version, order.device_type)
    )
    done = services.registry.provision(
        order.id, site=order.site, device_type=order.device_type, connection=connection, fresh=order.fresh
    )
    return out.ProvisionOut(
        device=show.device(services.registry.get(order.id).view),
        trust=base64.b64encode(done.trust).decode("ascii"),
        config=base64.b64encode(done.config).decode("ascii"),
        firmware=None if firmware is None else base64.b64encode(firmware).decode("ascii"),
    )


@changing.post("/{name}/bridge")
def bridge(name: str, order: out.BridgeIn, services: Any = ServicesOf) -> out.BridgeOut:
    """Registers a board that an agent speaks for, and gives what that agent needs; the same every time."""
    connection = replace(
        services.connection,
        # As its agent reaches the broker, which need not be as nodes do.
        host=order.host or services.benches.host,
        period_s=order.period_s or services.connection.period_s,
        window_ms=None,
        tls=order.tls,
        sleep=None,
        smp=None,
        sntp=None,
    )
    done = services.registry.bridge(
        name,
        agent=order.agent,
        site=order.site,
        device_type=order.device_type,
        connection=connection,
        days=order.days,
        fresh=order.fresh,
    )
    config = done.config
    return out.BridgeOut(
        device=name,
        agent=done.agent,
        device_type=done.device.device_type,
        host=config.host,
        port=config.port,
        prefix=config.prefix,
        user=config.user,
        password="" if order.tls else config.password.decode("ascii"),
        keepalive_s=config.keepalive_s,
        period_s=config.period_s,
        trust=[key.hex() for key in done.trust],
        tls=show.client_tls(done.tls),
    )


@changing.put("/{name}/sleep", status_code=204)
def sleep(name: str, order: out.SleepIn, services: Any = ServicesOf) -> None:
    """Tells a device when to wake; it acts on it the next time it is awake."""
    services.rollouts.set_sleep(name, _sleep(order))


@changing.delete("/{name}/sleep", status_code=204)
def forget_sleep(name: str, services: Any = ServicesOf) -> None:
    """What its configuration says holds again."""
    services.rollouts.set_sleep(name, None)


def _sleep(order: out.SleepIn) -> Sleep:
    return Sleep(wake_s=order.wake_s, budget_bytes=order.budget_bytes, awake_ms=order.awake_ms)


@changing.put("/{name}/capture")
def capture(name: str, order: out.CaptureIn, services: Any = ServicesOf) -> out.LiveOut:
    """Asks the device for raw windows."""
    given = order.model_dump()
    return show.live(services.live.capture(name, **given))


@changing.delete("/{name}/capture")
def capture_off(name: str, services: Any = ServicesOf) -> out.LiveOut:
    return show.live(services.live.capture_off(name))


@changing.put("/{name}/event-rule")
def event_rule(name: str, order: out.EventRuleIn, services: Any = ServicesOf) -> out.LiveOut:
    return show.live(services.live.event_rule(name, **order.model_dump()))


@changing.post("/{name}/rotate")
def rotate(name: str, order: out.RotateIn, services: Any = ServicesOf) -> out.ConfigurationOut:
    """Wants another configuration of a device, which keeps it only if it reaches its broker with it."""
    return show.configuration(services.configurations.rotate(name, Change(**order.model_dump())))


@changing.post("/{name}/revoke", status_code=204)
def revoke(name: str, services: Any = ServicesOf) -> None:
    """Shuts a device out, certificate and password, until it is provisioned again."""
    services.registry.revoke(name)


@changing.delete("/{name}", status_code=204)
def remove(name: str, services: Any = ServicesOf) -> None:
    services.registry.remove(name)
