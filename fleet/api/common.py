"""What all routes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request

from tinyfleet.fleet.core.errors import BadInput

if TYPE_CHECKING:
    from tinyfleet.fleet.api.app import Services

BODY_MAX_BYTES: Final = 4 * 1024 * 1024


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _body(request: Request) -> bytes:
    """The whole body. Raises BadInput as soon as it is too large."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_MAX_BYTES:
            raise BadInput(
                f"the body is larger than {BODY_MAX_BYTES} bytes: no model of that size fits a slot"
            )
        parts.append(part)
    return b"".join(parts)


ServicesOf = Depends(_services)
Body = Annotated[bytes, Depends(_body)]
