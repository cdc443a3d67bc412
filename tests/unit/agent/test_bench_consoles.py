"""All consoles of a bench, served by one program."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import wait_for

from tinyfleet.agent.adapters.bench_consoles import BenchConsoles
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import AgentError, NoSuchBoardError

BOARDS = [
    BoardSpec(name=name, device_type="uno", console=f"/dev/{name}", smp="serial") for name in ("b1", "b2")
]


def nowhere(spec: BoardSpec) -> str:
    raise NoSuchBoardError(f"no {spec.console}", "plug it in")


@pytest.fixture
def consoles(tmp_path: Path) -> Iterator[BenchConsoles]:
    consoles = BenchConsoles(BOARDS, tmp_path, nowhere, SerialConsoles(), SystemClock())
    yield consoles
    consoles.close()


def test_a_console_that_cannot_be_served_keeps_no_other_from_it(
    consoles: BenchConsoles, tmp_path: Path
) -> None:
    (tmp_path / "b1.sock").mkdir()
    with pytest.raises(AgentError, match="cannot serve the console of b1"):
        consoles.serve()
    assert set(consoles.counts) == {"b2"}
    (tmp_path / "b1.sock").rmdir()
    consoles.serve()
    assert set(consoles.counts) == {"b1", "b2"}


def test_a_moment_without_files_is_no_busy_one(
    consoles: BenchConsoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wants in waits at the door, which cannot be opened."""
    tries, enough = 0, threading.Event()
    accept = socket.socket.accept

    def accepting(door: socket.socket) -> tuple[socket.socket, object]:
        nonlocal tries
        tries += 1
        if not enough.is_set():
            raise OSError(24, "Too many open files")
        return accept(door)

    monkeypatch.setattr(socket.socket, "accept", accepting)
    consoles.serve()
    letting_in = threading.Timer(0.6, enough.set)
    letting_in.start()
    watched = consoles.watch("b1")
    assert tries < 10
    wait_for("what is said", lambda: watched.next(0.1))
    watched.close()
