"""The application: routes, errors as JSON, and the token that every changing call must show (enrolling a
board needs a one-time token instead).

Reading needs no token, for the API listens on loopback; a page of some other site that reaches it by a name
of its own (DNS rebinding) is turned away by the host check.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tinyfleet import __version__
from tinyfleet.fleet.api import agents, devices, enrolments, releases, rollouts, samples, shadows
from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api.common import BodyBound
from tinyfleet.fleet.core.errors import BadInput, Conflict, FleetError, NotFound, Refused, Unavailable
from tinyfleet.fleet.services.benches import Benches
from tinyfleet.fleet.services.configurations import Configurations
from tinyfleet.fleet.services.enrolments import Enrolments
from tinyfleet.fleet.services.live import Live
from tinyfleet.fleet.services.registry import Connection, Registry
from tinyfleet.fleet.services.releases import Releases
from tinyfleet.fleet.services.rollouts import Rollouts
from tinyfleet.fleet.services.samples import Samples
from tinyfleet.fleet.services.shadows import Shadows

STATUS: Final[dict[type[FleetError], int]] = {
    NotFound: 404,
    Conflict: 409,
    Refused: 422,
    BadInput: 400,
    Unavailable: 503,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes call. `connection` holds the defaults a provisioned node gets."""

    registry: Registry
    releases: Releases
    rollouts: Rollouts
    shadows: Shadows
    configurations: Configurations
    benches: Benches
    enrolments: Enrolments
    live: Live
    samples: Samples
    connection: Connection
    health: Callable[[], out.Health]
    metrics: Callable[[], bytes]
    metrics_type: str
    quarantine: Callable[[], list[dict[str, Any]]]


def build(services: Services, token: str, hosts: Iterable[str] | None = None) -> FastAPI:
    """The application. `hosts` None: any Host header is taken, for a server that is not on loopback."""
    app = FastAPI(title="tinyfleet", version=__version__, docs_url=None, redoc_url=None)
    app.state.services = services
    app.add_middleware(BodyBound)
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    def authorised(request: Request) -> None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token.encode()):
            raise HTTPException(
                401, "this call needs the token of the state folder (secrets/api.token) as Bearer token"
            )

    guard = [Depends(authorised)]
    for noun in (devices, enrolments, agents, releases, rollouts, samples, shadows):
        app.include_router(noun.reading, prefix="/api/v1")
        app.include_router(noun.changing, prefix="/api/v1", dependencies=guard)
    app.include_router(enrolments.enrolling(), prefix="/api/v1")
    app.include_router(_own_routes(services))
    _handle_errors(app)
    return app


def _own_routes(services: Services) -> APIRouter:
    router = APIRouter()

    @router.get("/api/v1/health")
    def health() -> out.Health:
        return services.health()

    @router.get("/api/v1/quarantine")
    def quarantine() -> list[out.QuarantineOut]:
        return [out.QuarantineOut(**row) for row in services.quarantine()]

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(services.metrics(), media_type=services.metrics_type)

    return router


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(FleetError)
    def fleet_error(_request: Request, error: FleetError) -> JSONResponse:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
        return _error(status, type(error).__name__, str(error))

    @app.exception_handler(HTTPException)
    def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, "Http", str(error.detail))

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _error(400, "BadInput", f"{where}: {first['msg'].lower()}")

    @app.exception_handler(Exception)
    def bug(_request: Request, _error_of_ours: Exception) -> JSONResponse:
        return _error(500, "Internal", "the manager failed on this call; its log says how")


def _error(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse(out.ErrorOut(kind=kind, message=message).model_dump(), status_code=status)
