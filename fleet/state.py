"""The state folder: everything one fleet owns, in one place. Secrets are files of mode 0600 in a folder of
mode 0700.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from tinyfleet.fleet.core.credentials import SECRET_BYTES
from tinyfleet.fleet.core.errors import Conflict, NotFound, Unavailable

DEFAULT_STATE: Final = "./.state"
ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
TOKEN_BYTES: Final = 32
_PORTS: Final = range(20000, 32000)
_PORT_TRIES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a running fleet answers; `endpoints.json`. `prometheus` is absent when it runs without."""

    api: str
    broker_host: str
    broker_port: int
    tls_port: int
    admin_port: int
    prefix: str
    prometheus: str | None
    node_host: str
    pid: int


class State:
    """Paths of a state folder, and the few files that are made on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def make(self) -> None:
        """Creates the folders. Raises Unavailable when that cannot be done."""
        try:
            for path in (self.folder, self.secrets, self.logs, self.run, self.broker):
                path.mkdir(parents=True, exist_ok=True)
            self.secrets.chmod(0o700)
        except OSError as error:
            raise Unavailable(
                f"cannot make the state folder {self.folder}: {error.strerror}; choose another with --state"
            ) from error

    @property
    def database(self) -> Path:
        return self.folder / "fleet.db"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def signing_key(self) -> Path:
        return self.secrets / "signing.pem"

    @property
    def authority_key(self) -> Path:
        return self.secrets / "authority.pem"

    @property
    def broker(self) -> Path:
        return self.folder / "broker"

    @property
    def prometheus(self) -> Path:
        return self.folder / "prometheus"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def broker_pid(self) -> Path:
        return self.run / "mosquitto.json"

    def secret(self) -> bytes:
        """The fleet's secret, from which passwords are derived; made on first use."""
        path = self.secrets / "fleet.key"
        text = _own_file(path, secrets.token_hex(SECRET_BYTES))
        if not re.fullmatch(f"[0-9a-f]{{{2 * SECRET_BYTES}}}", text):
            raise Unavailable(
                f"{path} is damaged: restore it from a backup, every device's password hangs on it"
            )
        return bytes.fromhex(text)

    def token(self) -> str:
        """What a caller must show to change anything; made on first use."""
        path = self.secrets / "api.token"
        text = _own_file(path, secrets.token_urlsafe(TOKEN_BYTES))
        if len(text) < TOKEN_BYTES:
            raise Unavailable(f"{path} holds no token: remove it to have a new one made")
        return text

    def write_endpoints(self, endpoints: Endpoints) -> None:
        replace_text(self.folder / "endpoints.json", json.dumps(asdict(endpoints), indent=2) + "\n")

    def remove_endpoints(self) -> None:
        (self.folder / "endpoints.json").unlink(missing_ok=True)

    def endpoints(self) -> Endpoints:
        """Where the running fleet answers. Raises NotFound when none runs here."""
        path = self.folder / "endpoints.json"
        try:
            return Endpoints(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise NotFound(
                f"no fleet runs in {self.folder}: start one with `tinyfleet up --state {self.folder}`, "
                "or name its folder with --state"
            ) from error

    def ports(self) -> dict[str, int]:
        """Ports used before: nodes keep the broker's in their flash."""
        try:
            data: Any = json.loads((self.folder / "ports.json").read_text())
            return {str(name): int(port) for name, port in data.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def write_ports(self, ports: dict[str, int]) -> None:
        replace_text(self.folder / "ports.json", json.dumps(ports) + "\n")


class Lock:
    """One process a state folder. The kernel gives the lock back however the process ends."""

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._file: IO[str] | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def take(self) -> None:
        """Raises Conflict naming who holds it."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise Conflict(
                f"{self._path.parent.parent} is in use by {self._owner} (pid {holder}): "
                "stop that one, or give another folder with --state"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def give_back(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def choose_port(name: str, host: str, given: int, before: int | None, others: Collection[int] = ()) -> int:
    """A port that can be bound now: the given one, else the one before, else a free one not in `others`.

    Raises Unavailable when the given one, or the one nodes were told, is taken; or when none is free.
    """
    wanted = given or before
    if wanted is None or wanted == 0:
        return _fresh_port(host, others)
    try:
        _probe(host, wanted)
    except OSError as error:
        option = f"--{name.replace('_', '-')}"
        raise Unavailable(
            f"port {wanted} of {host} cannot be used: {error.strerror}; "
            f"stop what uses it, or choose another with {option}"
        ) from error
    return wanted


def _probe(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _fresh_port(host: str, others: Collection[int]) -> int:
    """Not one of those that the system gives to outgoing connections (ip(7), ip_local_port_range; by default
    from 32768 up): one of these could hold it whenever its server starts, now or after the next boot.
    """
    why: OSError | None = None
    for _ in range(_PORT_TRIES):
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        if port in others:
            continue
        try:
            _probe(host, port)
        except OSError as error:
            why = error
        else:
            return port
    raise Unavailable(f"no free port of {host} in {_PORTS.start}-{_PORTS.stop - 1}: {why}") from why


def reached(host: str) -> str:
    """The address by which this machine reaches a server bound to `host`."""
    return "127.0.0.1" if host in ANYWHERE else host


def replace_text(path: Path, text: str) -> None:
    """Replaces a file at once: a reader sees the old content or the new one."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)


def _own_file(path: Path, fresh: str) -> str:
    """The content of a secret file; `fresh`, written whole, when there is none yet."""
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(fresh)
                file.flush()
                os.fsync(file.fileno())
            # A link never replaces: of two who make it at once, the first one's stands.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        except OSError as error:
            raise Unavailable(f"cannot make {path}: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)
    return path.read_text().strip()
