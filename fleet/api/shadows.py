"""Shadow challengers over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api import show
from tinyfleet.fleet.api.common import ServicesOf

reading = APIRouter(prefix="/shadows")
changing = APIRouter(prefix="/shadows")


@reading.get("")
def shadows(services: Any = ServicesOf) -> list[out.ShadowOut]:
    """The newest challenger of each device that had one."""
    return [show.shadow(view) for view in services.shadows.all()]


@reading.get("/{device}")
def shadow(device: str, services: Any = ServicesOf) -> out.ShadowOut:
    return show.shadow(services.shadows.get(device))


@changing.post("")
def start(order: out.ShadowIn, services: Any = ServicesOf) -> list[out.ShadowOut]:
    begun = services.shadows.start(order.release, order.version, devices=order.devices, site=order.site)
    return [show.shadow(view) for view in begun]


@changing.post("/stop")
def stop(order: out.ShadowStopIn, services: Any = ServicesOf) -> list[out.ShadowOut]:
    ended = services.shadows.stop(devices=order.devices, site=order.site)
    return [show.shadow(view) for view in ended]
