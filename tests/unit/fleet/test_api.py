"""The HTTP door against callers who mean harm: bounds, tokens, numbers; every answer is our JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import HTTPException
from tests.unit.fleet.fleet_rig import Rig

from tinyfleet.fleet.api import app as api
from tinyfleet.fleet.api.common import BODY_MAX_BYTES
from tinyfleet.fleet.api.enrolments import ADDRESSES_MAX, TRIES_MAX, Tries
from tinyfleet.fleet.core.errors import Unavailable
from tinyfleet.fleet.services.registry import Connection
from tinyfleet.fleet.state import State
from tinyfleet.wire.messages import Sleep

TOKEN = "t" * 43
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Absent:
    """A service that these tests never reach."""


class Door:
    """The application without a server."""

    def __init__(self, services: api.Services) -> None:
        self._app = api.build(services, TOKEN)

    def schema(self) -> dict[str, Any]:
        """Every route there is."""
        return self._app.openapi()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **options)

        return asyncio.run(asked())


@pytest.fixture
def door(rig: Rig) -> Door:
    absent: object = Absent()
    services = api.Services(
        registry=absent,  # type: ignore[arg-type]
        releases=absent,  # type: ignore[arg-type]
        rollouts=rig.rollouts,
        configurations=absent,  # type: ignore[arg-type]
        benches=absent,  # type: ignore[arg-type]
        enrolments=absent,  # type: ignore[arg-type]
        live=rig.live,
        samples=rig.samples,
        shadows=rig.shadows,
        connection=Connection(host="10.0.2.2", port=1, prefix="tf/1", keepalive_s=15, period_s=1),
        health=lambda: 1 // 0,  # type: ignore[arg-type, return-value]
        metrics=lambda: b"",
        metrics_type="text/plain",
        quarantine=list,
    )
    return Door(services)


@pytest.mark.parametrize("headers", [{}, BEARER], ids=["nobody", "operator"])
@pytest.mark.parametrize(
    "path", ["/api/v1/rollouts", "/api/v1/devices", "/api/v1/agents", "/api/v1/releases"]
)
@pytest.mark.parametrize("told", [True, False], ids=["length told", "chunked"])
def test_a_body_is_not_read_beyond_its_bound(
    door: Door, path: str, headers: dict[str, str], told: bool
) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(64):
            taken += 1
            yield b" " * 1_000_000

    size = {"Content-Length": "64000000"} if told else {}
    answer = door.ask("POST", path + "?device_type=x", content=endless(), headers={**headers, **size})
    assert answer.status_code in ((400, 413) if headers else (401, 413))
    assert taken <= 2 + BODY_MAX_BYTES // 1_000_000
    assert set(answer.json()) == {"kind", "message"}
    if answer.status_code == 413:
        assert str(BODY_MAX_BYTES) in answer.json()["message"]


def test_who_shows_no_token_hears_only_that(door: Door) -> None:
    answer = door.ask("POST", "/api/v1/rollouts", content=b"{ not json")
    assert (answer.status_code, answer.json()["kind"]) == (401, "Http")


PRIVATE = {"/api/v1/samples", "/api/v1/samples/windows"}
"""Readings that take the token as well: raw windows."""


def test_whatever_changes_the_fleet_or_shows_raw_windows_takes_the_token(door: Door) -> None:
    routes = [
        (method.upper(), path.format(name="d1", device="d1", number=1, agent="a1", release="r", digest="0"))
        for path, ways in door.schema()["paths"].items()
        for method in ways
        if method != "get" or path in PRIVATE
    ]
    assert len(routes) >= 20
    for wrong in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}x"}):
        for method, path in routes:
            assert door.ask(method, path, headers=wrong, json={}).status_code == 401, f"{method} {path}"


@pytest.mark.parametrize("number", ["99999999999999999999", "-1", "0", "x"])
def test_a_number_no_rollout_has(door: Door, number: str) -> None:
    for answer in (
        door.ask("GET", f"/api/v1/rollouts/{number}"),
        door.ask("POST", f"/api/v1/rollouts/{number}/cancel", headers=BEARER),
    ):
        assert answer.status_code in (400, 404)
        assert set(answer.json()) == {"kind", "message"}


def test_a_bug_of_ours_is_json_and_shows_nothing(door: Door) -> None:
    answer = door.ask("GET", "/api/v1/health")
    assert (answer.status_code, answer.json()["kind"]) == (500, "Internal")
    assert "ZeroDivision" not in answer.text


def test_an_empty_token_file_lets_nobody_in(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.make()
    (state.secrets / "api.token").write_text("\n")
    with pytest.raises(Unavailable, match=r"api\.token.*remove it"):
        state.token()


@pytest.mark.parametrize("content", ["", "zz", "00"])
def test_a_damaged_secret_is_one_line(tmp_path: Path, content: str) -> None:
    state = State(tmp_path)
    state.make()
    (state.secrets / "fleet.key").write_text(content)
    with pytest.raises(Unavailable, match=r"fleet\.key.*restore it"):
        state.secret()


def test_a_device_is_told_when_to_wake(door: Door, rig: Rig) -> None:
    rig.device("d1")
    path = "/api/v1/devices/d1/sleep"
    policy = {"wake_s": 3600, "budget_bytes": 40_000, "awake_ms": 20_000}
    assert door.ask("PUT", path, json=policy).status_code == 401
    for wrong in ({}, {"wake_s": -1}, {"wake_s": 60, "budget_bytes": 100}, {"wake_s": 60, "awake_ms": 10}):
        answer = door.ask("PUT", path, headers=BEARER, json=wrong)
        assert (answer.status_code, set(answer.json())) == (400, {"kind", "message"})
    assert rig.want("d1") is None
    assert door.ask("PUT", path, headers=BEARER, json=policy).status_code == 204
    want = rig.want("d1")
    assert want is not None
    assert want.sleep == Sleep(**policy)
    assert door.ask("DELETE", path, headers=BEARER).status_code == 204
    want = rig.want("d1")
    assert want is not None
    assert want.sleep is None
    nobody = door.ask("PUT", "/api/v1/devices/d2/sleep", headers=BEARER, json=policy)
    assert (nobody.status_code, nobody.json()["message"][:12]) == (404, "no device d2")


def test_a_board_shows_a_word_in_the_header_and_tries_only_so_often(door: Door) -> None:
    order = {"csr": "AA==", "device_type": "mps2-an386"}
    word = "tfe_" + "x" * 43
    for tried in range(TRIES_MAX + 2):
        answer = door.ask(
            ("GET", "POST")[tried % 2],
            f"/api/v1/enrol?token={word}",
            **({"json": order} if tried % 2 else {}),
            headers=({}, BEARER)[tried // 2 % 2],
        )
        assert answer.status_code == (401 if tried < TRIES_MAX else 429)
        assert word not in answer.text


def test_tries_are_forgotten_after_a_minute_and_never_too_many() -> None:
    now = [0.0]
    tries = Tries(TRIES_MAX, lambda: now[0])

    def refused(address: str) -> bool:
        try:
            tries.check(address)
        except HTTPException as error:
            return error.status_code == 429
        return False

    for _ in range(TRIES_MAX):
        assert not refused("a")
        tries.count("a")
    assert refused("a") and not refused("b")
    now[0] = 61
    assert not refused("a")
    for number in range(ADDRESSES_MAX + 2):
        tries.count(str(number))
    assert not refused("0") and len(tries._tried) == 0
