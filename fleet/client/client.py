"""One method a route. Answers are the API's own models; a refusal is an ApiError with the manager's words.

with FleetClient.of_state(Path("./.state")) as fleet:
    fleet.devices()
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter

from tinyfleet.fleet.api import schemas
from tinyfleet.fleet.core.errors import FleetError, Unavailable
from tinyfleet.fleet.state import State

TIMEOUT_S: Final = 30.0
T = TypeVar("T", bound=BaseModel)


class ApiError(FleetError):
    """The manager said no. `status` is the HTTP status, `kind` the manager's error class."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class FleetClient:
    def __init__(self, address: str, token: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """`address` is the API's, `http://host:port`; `token` is needed for changes."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=f"{address}/api/v1", headers=headers, timeout=timeout_s)
        self._address = address

    @classmethod
    def of_state(cls, folder: Path) -> Self:
        """The client of the fleet that runs in a state folder. Raises NotFound when none does."""
        state = State(folder)
        return cls(state.endpoints().api, state.token())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def health(self) -> schemas.Health:
        return self._one(schemas.Health, "GET", "/health")

    def devices(self, site: str | None = None, state: str | None = None) -> list[schemas.DeviceOut]:
        return self._many(schemas.DeviceOut, "/devices", site=site, state=state)

    def device(self, name: str) -> schemas.DeviceDetailOut:
        return self._one(schemas.DeviceDetailOut, "GET", f"/devices/{_part(name)}")

    def provision(self, order: schemas.ProvisionIn) -> schemas.ProvisionOut:
        return self._one(schemas.ProvisionOut, "POST", "/devices", json=order.model_dump(exclude_none=True))

    def bridge_device(self, name: str, order: schemas.BridgeIn) -> schemas.BridgeOut:
        path = f"/devices/{_part(name)}/bridge"
        return self._one(schemas.BridgeOut, "POST", path, json=order.model_dump(exclude_none=True))

    def set_sleep(self, name: str, sleep: schemas.SleepIn | None) -> None:
        """When a device wakes; None: as its configuration says."""
        path = f"/devices/{_part(name)}/sleep"
        if sleep is None:
            self._send("DELETE", path)
        else:
            self._send("PUT", path, json=sleep.model_dump(exclude_none=True))

    def rotate_device(self, name: str, order: schemas.RotateIn) -> schemas.ConfigurationOut:
        path = f"/devices/{_part(name)}/rotate"
        return self._one(schemas.ConfigurationOut, "POST", path, json=order.model_dump(exclude_none=True))

    def revoke_device(self, name: str) -> None:
        self._send("POST", f"/devices/{_part(name)}/revoke")

    def remove_device(self, name: str) -> None:
        self._send("DELETE", f"/devices/{_part(name)}")

    def make_tokens(self, order: schemas.TokenIn) -> list[schemas.TokenWordOut]:
        answer = self._send("POST", "/tokens", json=order.model_dump(exclude_none=True))
        return TypeAdapter(list[schemas.TokenWordOut]).validate_json(answer.content)

    def tokens(self) -> list[schemas.TokenOut]:
        return self._many(schemas.TokenOut, "/tokens")

    def revoke_token(self, number: int) -> schemas.TokenOut:
        return self._one(schemas.TokenOut, "DELETE", f"/tokens/{number}")

    def capture(self, name: str, order: schemas.CaptureIn) -> schemas.LiveOut:
        return self._one(
            schemas.LiveOut,
            "PUT",
            f"/devices/{_part(name)}/capture",
            json=order.model_dump(exclude_none=True),
        )

    def capture_off(self, name: str) -> schemas.LiveOut:
        return self._one(schemas.LiveOut, "DELETE", f"/devices/{_part(name)}/capture")

    def event_rule(self, name: str, order: schemas.EventRuleIn) -> schemas.LiveOut:
        return self._one(
            schemas.LiveOut, "PUT", f"/devices/{_part(name)}/event-rule", json=order.model_dump()
        )

    def samples(
        self, device: str | None = None, model: str | None = None, limit: int = 50
    ) -> list[schemas.SampleOut]:
        """Newest first, without their windows."""
        return self._many(schemas.SampleOut, "/samples", device=device, model=model, limit=str(limit))

    def sample_windows(
        self, device: str | None = None, model: str | None = None, limit: int | None = None
    ) -> Iterator[schemas.SampleOut]:
        """Oldest first, with their windows, asked for page by page."""
        after = 0
        while limit is None or limit > 0:
            page = self._many(
                schemas.SampleOut, "/samples/windows", device=device, model=model, after=str(after)
            )
            page = page if limit is None else page[:limit]
            if not page:
                return
            yield from page
            after = page[-1].id
            limit = None if limit is None else limit - len(page)

    def remove_samples(self, device: str | None = None) -> int:
        answer = self._send("DELETE", "/samples", params=_query(device=device))
        return schemas.RemovedOut.model_validate_json(answer.content).removed

    def agents(self) -> list[schemas.BoardsOut]:
        return self._many(schemas.BoardsOut, "/agents")

    def register_agent(
        self,
        name: str,
        site: str = "default",
        *,
        host: str | None = None,
        tls: bool = False,
        days: int | None = None,
    ) -> schemas.AgentCredentials:
        given = {"id": name, "site": site, "host": host, "tls": tls or None, "days": days}
        order = {key: value for key, value in given.items() if value is not None}
        return self._one(schemas.AgentCredentials, "POST", "/agents", json=order)

    def revoke_agent(self, name: str) -> None:
        self._send("POST", f"/agents/{_part(name)}/revoke")

    def releases(self) -> list[schemas.ReleaseOut]:
        return self._many(schemas.ReleaseOut, "/releases")

    def create_release(
        self,
        payload: bytes,
        *,
        device_type: str,
        name: str | None = None,
        version: str | None = None,
        security_fix: bool = False,
    ) -> schemas.ReleaseOut:
        """Signs a compiled model and makes it a release."""
        query = _query(device_type=device_type, name=name, version=version, security_fix=security_fix)
        return self._one(schemas.ReleaseOut, "POST", "/releases", content=payload, params=query)

    def create_release_set(
        self,
        payloads: Sequence[bytes],
        *,
        device_type: str,
        name: str | None = None,
        version: str | None = None,
        security_fix: bool = False,
        needs_firmware: str | None = None,
    ) -> schemas.ReleaseOut:
        """Signs a compiled model and firmware binaries, and makes them one release."""
        order = schemas.ReleaseIn(
            payloads=[base64.b64encode(payload).decode("ascii") for payload in payloads],
            device_type=device_type,
            name=name,
            version=version,
            security_fix=security_fix,
            needs_firmware=needs_firmware,
        )
        return self._one(
            schemas.ReleaseOut, "POST", "/releases/set", json=order.model_dump(exclude_none=True)
        )

    def import_release(
        self,
        image: bytes,
        *,
        name: str | None = None,
        version: str | None = None,
        allow_foreign: bool = False,
    ) -> schemas.ReleaseOut:
        """Makes an image that is signed already a release."""
        query = _query(name=name, version=version, allow_foreign=allow_foreign)
        return self._one(schemas.ReleaseOut, "POST", "/releases/import", content=image, params=query)

    def rollouts(self) -> list[schemas.RolloutOut]:
        return self._many(schemas.RolloutOut, "/rollouts")

    def rollout(self, number: int) -> schemas.RolloutDetailOut:
        return self._one(schemas.RolloutDetailOut, "GET", f"/rollouts/{number}")

    def start_rollout(
        self,
        release: str,
        version: str | None = None,
        *,
        devices: list[str] | None = None,
        site: str | None = None,
        full: bool = False,
    ) -> schemas.RolloutOut:
        """`full`: images as they are, neither compressed nor as deltas."""
        order = schemas.RolloutIn(release=release, version=version, devices=devices, site=site, full=full)
        return self._one(schemas.RolloutOut, "POST", "/rollouts", json=order.model_dump(exclude_none=True))

    def cancel_rollout(self, number: int) -> schemas.RolloutOut:
        return self._one(schemas.RolloutOut, "POST", f"/rollouts/{number}/cancel")

    def shadows(self) -> list[schemas.ShadowOut]:
        return self._many(schemas.ShadowOut, "/shadows")

    def shadow(self, device: str) -> schemas.ShadowOut:
        return self._one(schemas.ShadowOut, "GET", f"/shadows/{_part(device)}")

    def start_shadows(
        self,
        release: str,
        version: str | None = None,
        *,
        devices: list[str] | None = None,
        site: str | None = None,
    ) -> list[schemas.ShadowOut]:
        """Runs a release's model as challenger beside the model that runs."""
        order = schemas.ShadowIn(release=release, version=version, devices=devices, site=site)
        return self._posted("/shadows", order)

    def stop_shadows(
        self, *, devices: list[str] | None = None, site: str | None = None
    ) -> list[schemas.ShadowOut]:
        return self._posted("/shadows/stop", schemas.ShadowStopIn(devices=devices, site=site))

    def _posted(self, path: str, order: BaseModel) -> list[schemas.ShadowOut]:
        answer = self._send("POST", path, json=order.model_dump(exclude_none=True))
        return TypeAdapter(list[schemas.ShadowOut]).validate_json(answer.content)

    def quarantine(self) -> list[schemas.QuarantineOut]:
        return self._many(schemas.QuarantineOut, "/quarantine")

    def metrics(self) -> str:
        """The text Prometheus reads."""
        return self._send("GET", f"{self._address}/metrics").text

    def _one(self, kind: type[T], method: str, path: str, **options: Any) -> T:
        return kind.model_validate_json(self._send(method, path, **options).content)

    def _many(self, kind: type[T], path: str, **query: str | None) -> list[T]:
        answer = self._send("GET", path, params=_query(**query))
        return TypeAdapter(list[kind]).validate_json(answer.content)  # type: ignore[valid-type]

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"the manager at {self._address} does not answer ({error}): is `tinyfleet up` running?"
            ) from error
        if answer.is_success:
            return answer
        try:
            said = schemas.ErrorOut.model_validate_json(answer.content)
        except ValueError as error:
            raise ApiError(answer.status_code, "Http", answer.text[:200]) from error
        raise ApiError(answer.status_code, said.kind, said.message)


def _query(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _part(name: str) -> str:
    """A path segment that stays one, whatever the name."""
    return quote(name, safe="")
