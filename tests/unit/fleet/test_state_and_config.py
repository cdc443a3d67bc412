"""The state folder and the option table."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tinyfleet.fleet.config import Settings, load
from tinyfleet.fleet.core.errors import BadInput, Conflict, NotFound, Unavailable
from tinyfleet.fleet.state import Endpoints, Lock, State, choose_port


def test_the_later_source_wins(tmp_path: Path) -> None:
    assert load(tmp_path, {}, {}) == Settings()
    (tmp_path / "fleet.toml").write_text("period_s = 5\nkeepalive_s = 30\napi_port = 1\n")
    environment = {"TINYFLEET_KEEPALIVE_S": "40", "TINYFLEET_API_PORT": "2", "TINYFLEET_PROMETHEUS": "False"}
    options = load(tmp_path, {"api_port": 3, "host": None}, environment)
    assert (options.period_s, options.keepalive_s, options.api_port) == (5, 40, 3)
    assert options.prometheus is False


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("perod_s = 5", "option perod_s"),
        ("period_s = 0", "option period_s"),
        ("api_port = 70000", "option api_port"),
        ("period_s = [", "fleet.toml"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "fleet.toml").write_text(content)
    with pytest.raises(BadInput, match=words):
        load(tmp_path, {}, {})


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    state = State(tmp_path / "s")
    state.make()
    assert state.secret() == state.secret()
    assert len(state.secret()) == 32
    assert state.token() == State(tmp_path / "s").token()
    assert state.secrets.stat().st_mode & 0o077 == 0
    for path in state.secrets.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in state.secrets.iterdir()} == {"fleet.key", "api.token"}


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="--state"):
        State(tmp_path / "file" / "s").make()


def test_endpoints_come_back_or_say_that_nothing_runs(tmp_path: Path) -> None:
    state = State(tmp_path)
    with pytest.raises(NotFound, match="tinyfleet up"):
        state.endpoints()
    endpoints = Endpoints(
        api="http://127.0.0.1:1",
        broker_host="127.0.0.1",
        broker_port=2,
        tls_port=5,
        admin_port=3,
        prefix="tf/1",
        prometheus=None,
        node_host="10.0.2.2",
        pid=4,
    )
    state.write_endpoints(endpoints)
    assert state.endpoints() == endpoints
    (tmp_path / "endpoints.json").write_text('{"api": 1}')
    with pytest.raises(NotFound):
        state.endpoints()


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    first, second = (Lock(tmp_path / "run" / "up.lock", "`tinyfleet up`") for _ in range(2))
    first.take()
    with pytest.raises(Conflict, match=r"in use by `tinyfleet up` \(pid \d+\)"):
        second.take()
    first.give_back()
    second.take()
    second.give_back()


def test_a_port_is_the_given_the_former_or_a_free_one() -> None:
    free = choose_port("api_port", "127.0.0.1", 0, None)
    assert free < 32768, "the system may give this one to an outgoing connection before its server starts"
    assert choose_port("api_port", "127.0.0.1", 0, free) == free
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert choose_port("api_port", "127.0.0.1", free, port) == free
        for given, before in ((port, None), (0, port)):
            with pytest.raises(Unavailable, match=f"port {port} .*--api-port"):
                choose_port("api_port", "127.0.0.1", given, before)
