"""A console whose other end goes away leaves nothing open."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.core.errors import ConsoleError


def sockets() -> set[str]:
    """This process's, by inode; the file itself, so that nobody's garbage plays a part."""
    found = set()
    for handle in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(handle.readlink()))
        except FileNotFoundError:
            continue  # the one by which we look
    return {name for name in found if name.startswith("socket:")}


def test_the_socket_of_a_board_that_died_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = sockets()
        console = SerialConsoles().open(f"socket://127.0.0.1:{server.getsockname()[1]}", 115_200)
        board, _ = server.accept()
        # As a process that is killed leaves it: the peer is told by a reset.
        board.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        board.close()
        assert len(sockets() - before) == 1
        with pytest.raises(ConsoleError):
            for _ in range(100):
                console.read(0.1)
        console.close()
        assert not sockets() - before
