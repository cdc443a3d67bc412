"""Where a running agent says how it is: a Unix socket in its state folder that gives whoever connects one
JSON document."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinyfleet.agent.adapters import unix_socket
from tinyfleet.agent.core.errors import AgentBusyError, AgentError

LOG = logging.getLogger(__name__)
_TIMEOUT_S = 5.0
_RETRY_S = 0.5
_LIMIT_BYTES = 64 * 1024


@contextmanager
def sole_agent(lock: Path) -> Iterator[None]:
    """Holds the state folder for this agent. Raises AgentBusyError when another one has it; the kernel frees
    it when its holder dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AgentBusyError(
                f"an agent already runs with the state folder {lock.parent.parent}",
                "end that one, or give this one a --state of its own",
            ) from error
        yield


@contextmanager
def health_door(path: Path, health: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Answers from a thread of its own, so that an agent that hangs is still asked. Raises AgentError."""
    try:
        door = unix_socket.listen(path)
    except OSError as error:
        raise AgentError(f"cannot listen at {path}: {error}", "is the state folder writable?") from error
    ended = threading.Event()
    thread = threading.Thread(target=_serve, args=(door, health, ended), name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # Wakes the thread, which closing alone would not.
        with contextlib.suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        thread.join(_TIMEOUT_S)
        door.close()
        path.unlink(missing_ok=True)


def ask(path: Path) -> dict[str, Any]:
    """What the agent of that folder says. Raises AgentError when none does."""
    start = "start it: `tinyfleet agent run`, with this --state"
    try:
        with unix_socket.connect(path, _TIMEOUT_S) as link:
            data = bytearray()
            while len(data) < _LIMIT_BYTES and (part := link.recv(4096)):
                data += part
    except TimeoutError as error:
        raise AgentError(
            f"the agent at {path} does not answer within {_TIMEOUT_S:g} s", "restart it"
        ) from error
    except OSError as error:
        raise AgentError(f"no agent runs here: {path}: {error.strerror}", start) from error
    try:
        answer: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise AgentError(f"the agent at {path} broke off", "ask again; see its log") from error
    return answer


def _serve(door: socket.socket, health: Callable[[], dict[str, Any]], ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            link, _ = door.accept()
        except OSError:
            ended.wait(_RETRY_S)  # this host has no files left, for now
            continue
        with link, contextlib.suppress(OSError):
            link.settimeout(_TIMEOUT_S)
            try:
                link.sendall(json.dumps(health()).encode())
            except Exception as error:
                if not isinstance(error, OSError):
                    LOG.exception("health")
