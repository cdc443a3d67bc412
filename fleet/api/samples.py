"""Captured windows over HTTP. They are raw sensor data: reading them takes the token, too."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api import show
from tinyfleet.fleet.api.common import NUMBER_MAX, ServicesOf
from tinyfleet.fleet.services.ports import SampleFilter
from tinyfleet.fleet.services.samples import image_of

PAGE_MAX: Final = 200

reading = APIRouter(prefix="/samples")
changing = APIRouter(prefix="/samples")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
After = Annotated[int, Query(ge=0, le=NUMBER_MAX)]


def _filter(device: str | None, model: str | None, after: int = 0) -> SampleFilter:
    return SampleFilter(device=device, model=None if model is None else image_of(model), after=after)


@changing.get("")
def samples(
    device: str | None = None, model: str | None = None, limit: Limit = 50, services: Any = ServicesOf
) -> list[out.SampleOut]:
    """Newest first, without their windows."""
    found = services.samples.newest(_filter(device, model), limit)
    return [show.sample(each, with_window=False) for each in found]


@changing.get("/windows")
def windows(
    device: str | None = None,
    model: str | None = None,
    after: After = 0,
    limit: Limit = PAGE_MAX,
    services: Any = ServicesOf,
) -> list[out.SampleOut]:
    """Oldest first, with their windows, behind the id `after`."""
    found = services.samples.after(_filter(device, model, after), limit)
    return [show.sample(each, with_window=True) for each in found]


@changing.delete("")
def remove(device: str | None = None, services: Any = ServicesOf) -> out.RemovedOut:
    """Forgets the windows of a device, or of all."""
    return out.RemovedOut(removed=services.samples.remove(device))
