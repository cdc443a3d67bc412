"""Mosquitto as `tinyfleet up` runs it: configuration, users and access rules made here, files for its eyes
only.

Three listeners. Devices come by the first in the clear with a password, or by the second, which asks for TLS
and a certificate of the fleet's authority: the name in it is the user name, and what a client says of itself
counts for nothing. On both the user name *is* the client id, so that no device can take another's connection
over. The manager's own clients come by the third, on loopback, where each has a client id of its own; so does
who ends the connection of a device whose certificate was revoked.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import signal
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tinyfleet.fleet.adapters.authority import BrokerIdentity
from tinyfleet.fleet.adapters.process import read_pid
from tinyfleet.fleet.core import credentials
from tinyfleet.fleet.core.errors import Unavailable
from tinyfleet.wire.limits import BENCH_MAX_BYTES
from tinyfleet.wire.topics import TopicKind

# A dot cannot stand in a device id, so no device can be registered under these names.
READER: Final = "manager.reader"
PUBLISHER: Final = "manager.publisher"
TAIL: Final = "manager.tail"
PROBE: Final = "manager.probe"

QUEUED_MESSAGES_MAX: Final = 200_000
QUEUED_BYTES_MAX: Final = 256 * 1024 * 1024
INFLIGHT_MAX: Final = 1000
# The largest message (a bench's) as a will, with topic, names and properties around it.
PACKET_BYTES_MAX: Final = BENCH_MAX_BYTES + 4096
RELOAD_S: Final = 5.0
CONNECT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFiles:
    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "mosquitto.conf"

    @property
    def passwords(self) -> Path:
        return self.folder / "passwords"

    @property
    def access(self) -> Path:
        return self.folder / "acl"

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "broker.pem"

    @property
    def key(self) -> Path:
        return self.folder / "broker.key"

    @property
    def revocations(self) -> Path:
        return self.folder / "revoked.pem"

    @property
    def data(self) -> Path:
        return self.folder / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """`host`:`port` and, with TLS, `host`:`tls_port` are for devices; `admin_port` on loopback for the
    manager's own clients.
    """

    host: str
    port: int
    tls_port: int
    admin_port: int


def write_configuration(
    files: BrokerFiles, listeners: Listeners, prefix: str, secret: bytes, identity: BrokerIdentity
) -> None:
    """Everything mosquitto reads. The password file stays when there is one: the manager keeps it up to
    date.
    """
    user = broker_user(files.folder)
    files.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.folder.chmod(0o700)
    _write(files.configuration, configuration(files, listeners, user), user)
    _write(files.access, access_rules(prefix), user)
    _write(files.authority, identity.authority.decode(), user)
    _write(files.certificate, identity.certificate.decode(), user)
    _write(files.key, identity.key.decode(), user)
    if not files.revocations.exists():
        _write(files.revocations, identity.revocations.decode(), user)
    if not files.passwords.exists():
        _write(files.passwords, password_lines(secret, {}, files.revocations.read_bytes()), user)
    if user is not None and user != "root":
        entry = pwd.getpwnam(user)
        for path in (files.folder, files.data, *files.data.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)


def configuration(files: BrokerFiles, listeners: Listeners, user: str | None) -> str:
    lines = [
        "# Written by tinyfleet at every start; changes made here are lost.",
        "per_listener_settings false",
        "allow_anonymous false",
        f"password_file {files.passwords}",
        f"acl_file {files.access}",
        "persistence true",
        f"persistence_location {files.data}/",
        "persistence_file mosquitto.db",
        # 1800 s is the default; what a killed broker lost is published again, so a minute is enough.
        "autosave_interval 60",
        "persistent_client_expiration 14d",
        # The default of 1000 dropped 151,134 of 200,000 messages in front of a slow reader, silently.
        f"max_queued_messages {QUEUED_MESSAGES_MAX}",
        f"max_queued_bytes {QUEUED_BYTES_MAX}",
        f"max_inflight_messages {INFLIGHT_MAX}",
        f"max_packet_size {PACKET_BYTES_MAX}",
        # 0.4 ms a round trip instead of 44 to 88.
        "set_tcp_nodelay true",
        "sys_interval 10",
        "log_dest stderr",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        *(f"log_type {kind}" for kind in ("error", "warning", "notice", "information")),
        f"listener {listeners.port} {listeners.host}",
        "use_username_as_clientid true",
        f"listener {listeners.tls_port} {listeners.host}",
        "use_username_as_clientid true",
        f"cafile {files.authority}",
        f"certfile {files.certificate}",
        f"keyfile {files.key}",
        f"crlfile {files.revocations}",
        "require_certificate true",
        "use_identity_as_username true",
        "tls_version tlsv1.2",
        f"listener {listeners.admin_port} 127.0.0.1",
    ]
    if user is not None:
        lines.insert(1, f"user {user}")
    return "\n".join(lines) + "\n"


def access_rules(prefix: str) -> str:
    """A device writes its own up topics and reads its own down topics and all blobs, nothing else."""
    up = [kind for kind in TopicKind if kind.up]
    return "\n".join(
        [
            *(f"pattern write {prefix}/%u/{kind}" for kind in up),
            *(f"pattern read {prefix}/%u/{kind}" for kind in (TopicKind.WANT, TopicKind.CMD)),
            f"pattern read {prefix}/blob/#",
            "",
            f"user {READER}",
            "topic read $SYS/broker/publish/messages/dropped",
            *(f"topic read {prefix}/+/{kind}" for kind in up),
            "",
            f"user {PUBLISHER}",
            f"topic readwrite {prefix}/#",
            "",
            f"user {TAIL}",
            f"topic read {prefix}/#",
            "",
        ]
    )


def password_lines(secret: bytes, devices: dict[str, str], revocations: bytes) -> str:
    """The password file: the manager's own users, the devices, and a probe whose password is this content and
    that of the list of revocations.

    A client that gets in as the probe knows that the broker has read exactly these files.
    """
    own = {name: credentials.mosquitto_hash(secret, name) for name in (READER, PUBLISHER, TAIL)}
    lines = [f"{name}:{hashed}" for name, hashed in (own | devices).items()]
    content = "\n".join(lines)
    probe = credentials.mosquitto_hash(_probe_secret(secret, content, revocations), PROBE)
    return f"{content}\n{PROBE}:{probe}\n"


def _probe_secret(secret: bytes, content: str, revocations: bytes) -> bytes:
    listed = hashlib.sha256(revocations).digest()
    return hashlib.sha256(secret + listed + content.encode()).digest()


class MosquittoUsers:
    """`services.ports.BrokerUsers`: rewrites what the broker reads of its users, and has it read that."""

    def __init__(self, files: BrokerFiles, pid_file: Path, listeners: Listeners, secret: bytes) -> None:
        self._files = files
        self._pid_file = pid_file
        self._listeners = listeners
        self._secret = secret

    def apply(self, passwords: dict[str, str], revocations: bytes) -> None:
        """Returns when the broker follows. Raises Unavailable when it does not in time."""
        text = password_lines(self._secret, passwords, revocations)
        user = broker_user(self._files.folder)
        # The probe's password stands in the second file, so a broker that knows it has read both.
        for path, content in ((self._files.revocations, revocations.decode()), (self._files.passwords, text)):
            if not path.exists() or path.read_text() != content:
                _write(path, content, user)
        word = self._probe_word()
        until = time.monotonic() + RELOAD_S
        asked: object = None
        while time.monotonic() < until:
            if accepts(self._listeners.admin_port, PROBE, word):
                return
            pid = read_pid(self._pid_file)
            if pid is not None and pid != asked and pid.signal(signal.SIGHUP):
                asked = pid
            time.sleep(0.02)
        raise Unavailable(
            f"the broker did not take its new users in {RELOAD_S:g} s: see its log, then try again"
        )

    def take_over(self, name: str) -> None:
        """By connecting with its client id, and leaving. Raises Unavailable."""
        if not accepts(self._listeners.admin_port, PROBE, self._probe_word(), client_id=name):
            raise Unavailable(f"the broker still holds the connection of {name}: see its log, then try again")

    def _probe_word(self) -> bytes:
        content = self._files.passwords.read_text().rpartition(f"\n{PROBE}:")[0]
        revocations = self._files.revocations.read_bytes()
        return credentials.password(_probe_secret(self._secret, content, revocations), PROBE)


def accepts(port: int, user: str, password: bytes, client_id: str | None = None) -> bool:
    """Whether the broker on a loopback port lets this user in (MQTT 5, sections 3.1, 3.2 and 3.14)."""

    def text(data: bytes) -> bytes:
        return struct.pack(">H", len(data)) + data

    # Protocol name and level 5; user, password and Clean Start; keep-alive 5 s; no properties.
    names = text((client_id or user).encode()) + text(user.encode())
    body = text(b"MQTT") + bytes([5, 0b1100_0010, 0, 5, 0]) + names + text(password)
    try:
        with socket.create_connection(("127.0.0.1", port), CONNECT_S) as connection:
            connection.settimeout(CONNECT_S)
            connection.sendall(bytes([0x10, len(body)]) + body)
            answer = connection.recv(4)
            accepted = len(answer) == 4 and answer[0] == 0x20 and answer[3] == 0
            if accepted:
                connection.sendall(bytes([0xE0, 0]))
            return accepted
    except OSError:
        return False


def broker_user(folder: Path) -> str | None:
    """Which user mosquitto should become when it is started by root; None when we are not root.

    Its own, where that user can reach the folder; else root, as a folder under /root leaves no choice.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam("mosquitto")
    except KeyError:
        return "root"
    reachable = all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents)
    return "mosquitto" if reachable else "root"


def _write(path: Path, text: str, user: str | None) -> None:
    """Replaces a file at once, readable by the broker only."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    if user is not None and user != "root":
        entry = pwd.getpwnam(user)
        os.chown(temporary, entry.pw_uid, entry.pw_gid)
    temporary.replace(path)
