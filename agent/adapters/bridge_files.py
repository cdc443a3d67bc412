"""What the bridge keeps of a device: how it reaches the broker, how far an update came, and two images."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinyfleet.agent.adapters.broker_tls import TlsFile
from tinyfleet.agent.adapters.secret_file import read_secret
from tinyfleet.agent.core.bridge import Failure, Record, refusal_of
from tinyfleet.agent.core.bridge_app import Installed
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.bridge_ports import Access, Terms
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import ArtifactKind, Result, UpdateState
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import Want

RECORD, ARTIFACT, PREVIOUS = "record.json", "artifact.bin", "previous.bin"


class _Registered(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    device: str = Field(pattern=r"^[A-Za-z0-9_-]{1,48}$")
    agent: str
    device_type: str
    host: str
    port: int
    prefix: str
    user: str
    password: str = Field(repr=False)
    keepalive_s: int = Field(ge=5, le=3600)
    period_s: int = Field(ge=1, le=86400)
    trust: tuple[str, ...] = Field(min_length=1, max_length=2)
    tls: TlsFile | None = None


def read_access(path: Path) -> Access:
    """What `tinyfleet device bridge --out` wrote. Raises AgentError naming the file, never its content."""
    write = f"write it with `tinyfleet device bridge {path.stem} --agent … --device-type … --out {path}`"
    try:
        known = _Registered.model_validate(json.loads(read_secret(path, "secrets")))
        trust = tuple(bytes.fromhex(key) for key in known.trust)
        tls = None if known.tls is None else known.tls.checked()
    except OSError as error:
        raise AgentError(f"cannot read {path}: {error.strerror}", write) from error
    except (ValueError, ValidationError):
        # Their text could show the password.
        raise AgentError(f"{path} is not what `tinyfleet device bridge` writes", write) from None
    terms = Terms(known.device, known.device_type, trust, known.period_s, known.keepalive_s)
    return Access(known.agent, known.host, known.port, known.prefix, known.user, known.password, terms, tls)


class BridgeFiles:
    """`services.bridge_ports.BridgeStore`: a folder of one device."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> Record:
        """Raises AgentError for a file that is no record: whoever overwrote it would forget what the board
        was in the middle of."""
        path = self._folder / RECORD
        try:
            return record_of(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Record()
        except (OSError, ValueError, KeyError, TypeError, WireError) as error:
            raise AgentError(
                f"cannot use {path}: {error}",
                "move it away and register the device again with --fresh",
            ) from error

    def keep(self, record: Record) -> None:
        self._write(RECORD, json.dumps(to_json(record), indent=1).encode())

    def keep_artifact(self, data: bytes) -> None:
        self._write(ARTIFACT, data)

    def artifact(self) -> bytes | None:
        return self._read(ARTIFACT)

    def keep_previous(self, data: bytes) -> None:
        self._write(PREVIOUS, data)

    def previous(self) -> bytes | None:
        return self._read(PREVIOUS)

    def clean(self, *, artifact: bool = True, previous: bool) -> None:
        for name, goes in ((ARTIFACT, artifact), (PREVIOUS, previous)):
            if not goes:
                continue
            try:
                (self._folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise AgentError(
                    f"cannot remove {self._folder / name}: {error}", "see who owns it"
                ) from error

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AgentError(f"cannot read {self._folder / name}: {error}", "see who owns it") from error

    def _write(self, name: str, data: bytes) -> None:
        """On disk when it returns, whole or not at all."""
        path = self._folder / name
        partial = path.with_name(name + ".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise AgentError(f"cannot write {path}: {error}", "is there room?") from error


_PLAIN = ("boot", "generation", "detail", "staged", "tries", "kept", "owed", "counter", "brings", "adopted")
_LATER: Mapping[str, Any] = {
    "kind": ArtifactKind.MODEL.name,
    "owed_kind": ArtifactKind.MODEL.name,
    "ran": None,
    "app": None,
    "firmware_counter": 0,
}
"""What a record of an agent that brought models alone lacks."""


def to_json(record: Record) -> dict[str, Any]:
    """Names of states and results, never their numbers; what a want said as the wire has it."""
    firmware = record.kind is ArtifactKind.FIRMWARE
    want = Want(
        generation=record.generation,
        firmware=record.wanted if firmware else None,
        model=record.next if firmware else record.wanted,
        trial=record.trial,
    )
    app = record.app
    timed = {"not_before": record.not_before, "deadline": record.deadline}
    failure = record.failure
    refused = None if record.config is None else record.config.refused
    return {
        **{name: getattr(record, name) for name in _PLAIN},
        "state": record.state.name,
        "result": record.result.name,
        "failure": None if failure is None else [failure.result.name, failure.detail],
        "previous": None if record.previous is None else record.previous.hex(),
        "want": encode(want).hex(),
        "kind": record.kind.name,
        "owed_kind": record.owed_kind.name,
        "ran": None if record.ran is None else record.ran.hex(),
        "app": None if app is None else [app.image.hex(), app.version, app.content.hex(), app.size_bytes],
        "firmware_counter": record.firmware_counter,
        **timed,
        "config_refused": refused,
    }


def record_of(document: Mapping[str, Any]) -> Record:
    """Raises ValueError, KeyError, TypeError or WireError when it is none."""
    document = {**_LATER, **document}
    want = decode(Want, bytes.fromhex(document["want"]))
    kind = ArtifactKind[document["kind"]]
    firmware = kind is ArtifactKind.FIRMWARE
    failure, refused = document["failure"], document["config_refused"]
    plain: dict[str, Any] = {name: document[name] for name in _PLAIN}
    for each in fields(Record):
        if each.name in plain and type(plain[each.name]) is not type(each.default):
            raise ValueError(f"{each.name} is {plain[each.name]!r}")
    return Record(
        **plain,
        state=UpdateState[document["state"]],
        result=Result[document["result"]],
        failure=None if failure is None else Failure(Result[failure[0]], str(failure[1])),
        previous=None if document["previous"] is None else bytes.fromhex(document["previous"]),
        wanted=want.firmware if firmware else want.model,
        kind=kind,
        next=want.model if firmware else None,
        owed_kind=ArtifactKind[document["owed_kind"]],
        ran=None if document["ran"] is None else bytes.fromhex(document["ran"]),
        app=None if document["app"] is None else _app(*document["app"]),
        firmware_counter=int(document["firmware_counter"]),
        trial=want.trial,
        not_before=document["not_before"],
        deadline=document["deadline"],
        config=None if refused is None else refusal_of(int(refused)),
    )


def _app(image: str, version: str, content: str, size_bytes: int) -> Installed:
    return Installed(bytes.fromhex(image), str(version), bytes.fromhex(content), int(size_bytes))
