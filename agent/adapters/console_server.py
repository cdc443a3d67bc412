"""Serves consoles' hubs on Unix sockets, so that several programs of one user share a board's console.

`FOLDER/BOARD.sock` is this user's only (0600, in a folder of 0700); `FOLDER/BOARD.lock` is locked by the
process whose hub it is, so that a socket that a killed one left is known for what it is.
"""

from __future__ import annotations

import fcntl
import selectors
import socket
import threading
from pathlib import Path
from typing import BinaryIO, Final

from tinyfleet.agent.adapters.console_session import ConsoleSession
from tinyfleet.agent.adapters.unix_socket import listen
from tinyfleet.agent.core.errors import AgentError, BoardBusyError
from tinyfleet.agent.services.console_hub import ConsoleHub

CLIENTS_MAX: Final = 40
_WAIT_S: Final = 0.5
_END_S: Final = 5.0


class ConsoleServer:
    """Hubs by board, one thread that lets clients in. Closing ends hubs and clients."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._hubs: dict[str, tuple[ConsoleHub, socket.socket, BinaryIO]] = {}
        self._clients: set[ConsoleSession] = set()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def serves(self, board: str) -> bool:
        return board in self._hubs

    @property
    def hubs(self) -> dict[str, ConsoleHub]:
        return {board: hub for board, (hub, _, _) in self._hubs.items()}

    def add(self, hub: ConsoleHub) -> None:
        """Starts and serves it. Raises BoardBusyError while another process serves that board's console,
        AgentError when the socket cannot be made."""
        lock = self._take(hub.board)
        try:
            listener = listen(self._folder / f"{hub.board}.sock")
            listener.setblocking(False)
        except OSError as error:
            lock.close()
            raise AgentError(
                f"cannot serve the console of {hub.board} in {self._folder}: {error}", "is there room?"
            ) from error
        hub.start()
        self._hubs[hub.board] = (hub, listener, lock)
        self._selector.register(listener, selectors.EVENT_READ, hub)
        if self._thread is None:
            self._thread = threading.Thread(target=self._accept, name="consoles", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_END_S)
        with self._lock:
            clients = list(self._clients)
        # Each takes up to half a second to close; together they take no longer.
        for client in clients:
            client.end()
        for hub, _, _ in self._hubs.values():
            hub.end()
        for board, (hub, listener, lock) in self._hubs.items():
            listener.close()
            (self._folder / f"{board}.sock").unlink(missing_ok=True)
            hub.close()
            lock.close()
        for client in clients:
            client.close()
        self._hubs.clear()
        self._selector.close()

    def _take(self, board: str) -> BinaryIO:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            lock = (self._folder / f"{board}.lock").open("ab")
        except OSError as error:
            raise AgentError(
                f"cannot use {self._folder}: {error}", "is it yours, and is there room?"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise BoardBusyError(
                f"another program serves the console of {board}", "use that: `tinyfleet bench console`"
            ) from error
        return lock

    def _accept(self) -> None:
        while not self._ending.is_set():
            for key, _ in self._selector.select(_WAIT_S):
                listener, hub = key.fileobj, key.data
                if not isinstance(listener, socket.socket) or not isinstance(hub, ConsoleHub):
                    continue
                try:
                    link, _ = listener.accept()
                except (BlockingIOError, ConnectionError):
                    continue  # it went away before it was let in
                except OSError:
                    # This host has no files left, for now; who waits at the door would wake us at once.
                    self._ending.wait(_WAIT_S)
                    continue
                with self._lock:
                    full = len(self._clients) >= CLIENTS_MAX
                    client = ConsoleSession(link, hub, self._left)
                    if not full:
                        self._clients.add(client)
                if full:
                    client.refuse(BoardBusyError(f"{CLIENTS_MAX} programs use consoles", "end some of them"))
                else:
                    client.start()

    def _left(self, client: ConsoleSession) -> None:
        with self._lock:
            self._clients.discard(client)
