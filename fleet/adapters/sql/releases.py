"""Rows of releases and their artifacts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from tinyfleet.fleet.adapters.sql.codecs import inserted_id, pack, unpack, upsert
from tinyfleet.fleet.adapters.sql.schema import artifacts, releases, transports
from tinyfleet.fleet.core.release import Artifact, Release, Transport, raw
from tinyfleet.wire.enums import ArtifactKind, Encoding

# A primary key holds no NULL.
NO_SLOT = -1

# Built once: every snapshot asks whose model it counts.
_BY_IMAGE = (
    select(artifacts, releases.c.name)
    .join(releases, releases.c.id == artifacts.c.release)
    .where(artifacts.c.image == bindparam("image"))
    .order_by(artifacts.c.foreign, artifacts.c.release.desc())
    .limit(1)
)


class ReleaseTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, release: Release) -> Release:
        """The release with the id it was given."""
        result = self._connection.execute(
            insert(releases).values(name=release.name, version=release.version, created_s=release.created_s)
        )
        stored = replace(release, id=inserted_id(result))
        self._connection.execute(insert(artifacts), [_values(stored.id, a) for a in stored.artifacts])
        return stored

    def get(self, release: int) -> Release | None:
        row = self._connection.execute(select(releases).where(releases.c.id == release)).one_or_none()
        return None if row is None else self._release(row)

    def named(self, name: str, version: str | None) -> Release | None:
        """The release of that name and version; the newest of the name when `version` is None."""
        query = select(releases).where(releases.c.name == name)
        if version is not None:
            query = query.where(releases.c.version == version)
        row = self._connection.execute(query.order_by(releases.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else self._release(row)

    def all(self) -> list[Release]:
        rows = self._connection.execute(select(releases).order_by(releases.c.id)).all()
        return [self._release(row) for row in rows]

    def artifact(self, manifest: bytes) -> Artifact | None:
        row = self._connection.execute(
            select(artifacts).where(artifacts.c.manifest == manifest).limit(1)
        ).one_or_none()
        return None if row is None else _artifact(row)

    def model_of(self, image: bytes) -> tuple[str, Artifact] | None:
        """Release name and artifact whose installed digest is `image`; the newest of several."""
        row = self._connection.execute(_BY_IMAGE, {"image": image}).one_or_none()
        return None if row is None else (row.name, _artifact(row))

    def artifacts(self, kind: ArtifactKind, device_type: str) -> list[Artifact]:
        rows = self._connection.execute(
            select(artifacts).where(artifacts.c.kind == kind.name, artifacts.c.device_type == device_type)
        )
        return [_artifact(row) for row in rows]

    def transport(self, manifest: bytes) -> Transport | None:
        """The way whose chunks that manifest addresses."""
        if (artifact := self.artifact(manifest)) is not None:
            return raw(artifact)
        row = self._connection.execute(
            select(transports).where(transports.c.manifest == manifest)
        ).one_or_none()
        if row is None or (artifact := self.artifact(row.artifact)) is None:
            return None
        return _transport(artifact, row)

    def transports(self, artifact: Artifact) -> list[Transport]:
        """All ways of an artifact, the raw one first."""
        rows = self._connection.execute(
            select(transports).where(transports.c.artifact == artifact.manifest)
        ).all()
        return [raw(artifact), *(_transport(artifact, row) for row in rows)]

    def add_transport(self, transport: Transport) -> None:
        """Keeps it; the same one twice is one."""
        values = {
            "manifest": transport.manifest,
            "artifact": transport.artifact.manifest,
            "encoding": transport.encoding.name,
            "base": transport.base,
            "blob": transport.blob,
            "size_bytes": transport.size_bytes,
            "groups": transport.groups,
        }
        upsert(self._connection, transports, values)

    def _release(self, row: Row[Any]) -> Release:
        rows = self._connection.execute(
            select(artifacts)
            .where(artifacts.c.release == row.id)
            .order_by(artifacts.c.device_type, artifacts.c.kind, artifacts.c.slot)
        )
        return Release(
            id=row.id,
            name=row.name,
            version=row.version,
            created_s=row.created_s,
            artifacts=tuple(_artifact(each) for each in rows),
        )


def _values(release: int, artifact: Artifact) -> dict[str, Any]:
    return {
        "release": release,
        "device_type": artifact.device_type,
        "kind": artifact.kind.name,
        "slot": NO_SLOT if artifact.slot is None else artifact.slot,
        "image": artifact.image,
        "manifest": artifact.manifest,
        "blob": artifact.blob,
        "version": artifact.version,
        "size_bytes": artifact.size_bytes,
        "groups": artifact.groups,
        "security_counter": artifact.security_counter,
        "key_hash": artifact.key_hash,
        "foreign": artifact.foreign,
        "labels": pack(artifact.labels),
    }


def _artifact(row: Row[Any]) -> Artifact:
    return Artifact(
        kind=ArtifactKind[row.kind],
        device_type=row.device_type,
        image=row.image,
        manifest=row.manifest,
        blob=row.blob,
        version=row.version,
        size_bytes=row.size_bytes,
        groups=row.groups,
        security_counter=row.security_counter,
        key_hash=row.key_hash,
        foreign=row.foreign,
        labels=unpack(row.labels),
        slot=None if row.slot == NO_SLOT else row.slot,
    )


def _transport(artifact: Artifact, row: Row[Any]) -> Transport:
    return Transport(
        artifact=artifact,
        manifest=row.manifest,
        blob=row.blob,
        size_bytes=row.size_bytes,
        groups=row.groups,
        encoding=Encoding[row.encoding],
        base=row.base,
    )
