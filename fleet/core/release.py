"""A named, versioned set of artifacts: for a device type a model, a firmware (or one a slot), or both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.wire.enums import ArtifactKind, Encoding
from tinyfleet.wire.messages import ImageInfo, WantedArtifact

VERSION_PATTERN: Final = r"[0-9]{1,3}(\.[0-9]{1,3}(\.[0-9]{1,5}(\+[0-9]{1,10})?)?)?"


def check_version(text: str) -> str:
    """The text itself. Raises BadInput unless it is a version as an image's header holds it."""
    if not re.fullmatch(VERSION_PATTERN, text):
        raise BadInput(f"version {text[:60]!r}: expected major.minor.revision, as 1.2.3; choose another")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An immutable signed file. `image` is its MCUboot digest, `manifest` addresses its chunks, `blob` its
    file.

    `foreign`: signed by a key that is not in the fleet's trust record. Every node will refuse it.
    """

    kind: ArtifactKind
    device_type: str
    image: bytes
    manifest: bytes
    blob: bytes
    version: str
    size_bytes: int
    groups: int
    security_counter: int
    key_hash: bytes
    foreign: bool = False
    labels: tuple[str, ...] = ()
    slot: int | None = None
    """A firmware that runs in this slot alone; None: in any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    id: int
    name: str
    version: str
    artifacts: tuple[Artifact, ...]
    created_s: float = 0.0

    def model_for(self, device_type: str) -> Artifact | None:
        found = (a for a in self.artifacts if a.kind is ArtifactKind.MODEL and a.device_type == device_type)
        return next(found, None)

    def firmware_for(self, device_type: str, runs: ImageInfo | None = None) -> Artifact | None:
        """What a device of that type would run: what runs there now (its birth says), if it is of this
        release; else one for any slot, or for the slot that is free. Nothing known: for the first slot.
        """
        found = [
            a for a in self.artifacts if a.kind is ArtifactKind.FIRMWARE and a.device_type == device_type
        ]
        if runs is not None:
            for artifact in found:
                if artifact.image == runs.image:
                    return artifact
        free = 0 if runs is None or runs.slot is None else 1 - runs.slot
        return next((a for a in found if a.slot is None or a.slot == free), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """One way in which an artifact travels: as it is, compressed, or as a delta from the image `base`.

    `manifest` addresses its chunks, `blob` its file, `size_bytes` is what goes on air.
    """

    artifact: Artifact
    manifest: bytes
    blob: bytes
    size_bytes: int
    groups: int
    encoding: Encoding = Encoding.RAW
    base: bytes | None = None


def raw(artifact: Artifact) -> Transport:
    """The artifact as it is."""
    return Transport(
        artifact=artifact,
        manifest=artifact.manifest,
        blob=artifact.blob,
        size_bytes=artifact.size_bytes,
        groups=artifact.groups,
    )


def wanted(transport: Transport) -> WantedArtifact:
    """The artifact as `want` names it."""
    return WantedArtifact(
        image=transport.artifact.image,
        manifest=transport.manifest,
        version=transport.artifact.version,
        groups=transport.groups,
        size_bytes=transport.size_bytes,
    )


def next_counter(earlier: Iterable[Artifact], security_fix: bool) -> int:
    """The security counter of a new artifact: inherited, raised by a security fix only.

    A foreign artifact never counts: nobody of ours chose its counter.
    """
    highest = max((a.security_counter for a in earlier if not a.foreign), default=1)
    return highest + 1 if security_fix else highest
