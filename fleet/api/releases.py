"""Releases over HTTP. Models and images are the request's body, not a form."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api import show
from tinyfleet.fleet.api.common import Body, ServicesOf
from tinyfleet.fleet.core.errors import BadInput

reading = APIRouter(prefix="/releases")
changing = APIRouter(prefix="/releases")


@reading.get("")
def releases(services: Any = ServicesOf) -> list[out.ReleaseOut]:
    return [show.release(release) for release in services.releases.all()]


@changing.post("")
async def create(
    payload: Body,
    device_type: str,
    name: str | None = None,
    version: str | None = None,
    security_fix: bool = False,
    services: Any = ServicesOf,
) -> out.ReleaseOut:
    """Signs a compiled model (the body) with the fleet's key."""
    release = await run_in_threadpool(
        services.releases.create,
        payload,
        device_type=device_type,
        name=name,
        version=version,
        security_fix=security_fix,
    )
    return show.release(release)


@changing.post("/set")
async def create_set(order: out.ReleaseIn, services: Any = ServicesOf) -> out.ReleaseOut:
    """Signs a model and firmware binaries into one release."""
    try:
        payloads = [base64.b64decode(each, validate=True) for each in order.payloads]
    except binascii.Error as error:
        raise BadInput(f"payloads: expected base64, got {error}") from error
    release = await run_in_threadpool(
        services.releases.create_set,
        payloads,
        **order.model_dump(exclude={"payloads"}),
    )
    return show.release(release)


@changing.post("/import")
async def take(
    image: Body,
    name: str | None = None,
    version: str | None = None,
    allow_foreign: bool = False,
    services: Any = ServicesOf,
) -> out.ReleaseOut:
    """Imports a signed image (the body)."""
    release = await run_in_threadpool(
        services.releases.take, image, name=name, version=version, allow_foreign=allow_foreign
    )
    return show.release(release)
