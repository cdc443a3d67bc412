"""A console whose other end goes away leaves nothing open."""

from __future__ import annotations

import gc
import socket
import warnings

import pytest

from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.core.errors import ConsoleError


def test_the_socket_of_a_board_that_died_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        console = SerialConsoles().open(f"socket://127.0.0.1:{server.getsockname()[1]}", 115_200)
        board, _ = server.accept()
        # As a process that is killed leaves it: the peer is told by a reset.
        board.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        board.close()
        with pytest.raises(ConsoleError):
            for _ in range(100):
                console.read(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        console.close()
        del console
        gc.collect()
