"""Consoles' sockets when the host has no files left."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from tests.servers import wait_for

from tinyfleet.agent.adapters import console_server, unix_socket
from tinyfleet.agent.services.console_hub import ConsoleHub

PAUSE_S = 0.05


class Hub(ConsoleHub):
    """Of a board that says nothing."""

    def __init__(self) -> None:
        self.board = "b"

    def start(self) -> None:
        return

    def end(self) -> None:
        return

    def close(self) -> None:
        return


def test_a_client_that_cannot_be_let_in_does_not_keep_it_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried_s: list[float] = []

    def accept(door: socket.socket) -> tuple[socket.socket, object]:
        tried_s.append(time.monotonic())
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(console_server, "_WAIT_S", PAUSE_S)
    monkeypatch.setattr(socket.socket, "accept", accept)
    server = console_server.ConsoleServer(tmp_path / "consoles")
    server.add(Hub())
    try:
        with unix_socket.connect(tmp_path / "consoles" / "b.sock", 10):
            wait_for("three tries", lambda: len(tried_s) >= 3)
    finally:
        server.close()
    assert tried_s[2] - tried_s[0] >= 2 * PAUSE_S
