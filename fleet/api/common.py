"""What all routes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, HTTPException, Path, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from tinyfleet.fleet.api.app import Services

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
NUMBER_MAX: Final = 2**63 - 1
"""The largest integer SQLite holds."""


class BodyBound:
    """Stops reading a body that is too large. FastAPI reads JSON bodies whole, and before it asks for the
    token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_MAX_BYTES:
                raise HTTPException(
                    413, f"the body is larger than {BODY_MAX_BYTES} bytes: no model of that size fits a slot"
                )
            return message

        await self._app(scope, bounded, send)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _body(request: Request) -> bytes:
    return await request.body()


ServicesOf = Depends(_services)
Body = Annotated[bytes, Depends(_body)]
Number = Annotated[int, Path(ge=1, le=NUMBER_MAX)]
