"""Artifacts in transit (SPEC section 5): cut into manifest, groups and chunks, and put together again.

`cut` is the manager's side. `Reassembler` is a node's side for simulators and tests; it checks what a node
must check, in the node's order: group 0 against the manifest digest, then each sector against group 0.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field

from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import Encoding
from tinyfleet.wire.errors import BlobError, SectorMismatch
from tinyfleet.wire.limits import (
    CHUNK_BYTES,
    GROUP_BYTES,
    GROUP_CHUNKS,
    MANIFEST_MAX_BYTES,
    SECTOR_BYTES,
    SECTOR_HASH_BYTES,
    SECTORS_MAX,
)
from tinyfleet.wire.messages import Manifest, WantedArtifact
from tinyfleet.wire.topics import Topics

TRANSPORTED_MAX_BYTES = SECTORS_MAX * SECTOR_BYTES


@dataclass(frozen=True, slots=True)
class Chunk:
    """One retained message: `data` is at most 1 KiB, never empty."""

    group: int
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Blob:
    """An artifact ready to publish: `transported` is what travels, `manifest_bytes` is group 0."""

    transported: bytes = field(repr=False)
    manifest: Manifest = field(repr=False)
    manifest_bytes: bytes = field(repr=False)
    digest: bytes

    @property
    def groups(self) -> int:
        """Groups of the transported bytes, group 0 not counted."""
        return groups_of(len(self.transported))

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, group 0 first."""
        yield from _cut_group(0, self.manifest_bytes)
        for group in range(1, self.groups + 1):
            start = (group - 1) * GROUP_BYTES
            yield from _cut_group(group, self.transported[start : start + GROUP_BYTES])

    def wanted(self, *, image: bytes, version: str) -> WantedArtifact:
        """How a `want` names this artifact; `image` is the digest of the installed image."""
        return WantedArtifact(
            image=image,
            manifest=self.digest,
            version=version,
            groups=self.groups,
            size_bytes=len(self.transported),
        )


def cut(
    transported: bytes,
    *,
    encoding: Encoding = Encoding.RAW,
    image_bytes: int | None = None,
    base: bytes | None = None,
) -> Blob:
    """The blob of transported bytes. `image_bytes` is the installed size where an encoding changes it.

    BlobError when there are none or more than 2 MiB.
    """
    if not 0 < len(transported) <= TRANSPORTED_MAX_BYTES:
        raise BlobError(
            "artifact",
            expected=f"1 to {TRANSPORTED_MAX_BYTES} bytes",
            actual=f"{len(transported)} bytes",
            hint="",
        )
    manifest = Manifest(
        size_bytes=len(transported),
        encoding=encoding,
        base=base,
        image_bytes=len(transported) if image_bytes is None else image_bytes,
        sectors=b"".join(
            sector_hash(transported[at : at + SECTOR_BYTES])
            for at in range(0, len(transported), SECTOR_BYTES)
        ),
    )
    content = encode(manifest)
    return Blob(transported, manifest, content, manifest_digest(content))


def chunk_topics(blob: Blob, topics: Topics | None = None) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of each retained message, group 0 first."""
    under = topics or Topics()
    for chunk in blob.chunks():
        yield under.chunk(blob.digest, chunk.group, chunk.index), chunk.data


def manifest_digest(content: bytes) -> bytes:
    """SHA-256 of group 0: what `want` calls manifest."""
    return hashlib.sha256(content).digest()


def sector_hash(sector: bytes) -> bytes:
    return hashlib.sha256(sector).digest()[:SECTOR_HASH_BYTES]


def groups_of(size_bytes: int) -> int:
    return -(-size_bytes // GROUP_BYTES)


def decode_manifest(content: bytes) -> Manifest:
    """Group 0 as a manifest whose figures agree with each other.

    CborError or MessageError for another message; BlobError when sizes and sector hashes do not add up.
    """
    manifest = decode(Manifest, content)
    if not 0 < manifest.size_bytes <= TRANSPORTED_MAX_BYTES:
        raise BlobError(
            "manifest.size_bytes", expected=f"1 to {TRANSPORTED_MAX_BYTES}", actual=manifest.size_bytes
        )
    hashes = -(-manifest.size_bytes // SECTOR_BYTES) * SECTOR_HASH_BYTES
    if len(manifest.sectors) != hashes:
        raise BlobError(
            "manifest.sectors", expected=f"{hashes} bytes", actual=f"{len(manifest.sectors)} bytes"
        )
    if manifest.encoding is Encoding.RAW and manifest.image_bytes != manifest.size_bytes:
        raise BlobError(
            "manifest.image_bytes", expected=f"{manifest.size_bytes} (RAW)", actual=manifest.image_bytes
        )
    if not 0 < manifest.image_bytes <= TRANSPORTED_MAX_BYTES:
        raise BlobError(
            "manifest.image_bytes", expected=f"1 to {TRANSPORTED_MAX_BYTES}", actual=manifest.image_bytes
        )
    if (manifest.encoding is Encoding.DELTA) != (manifest.base is not None):
        raise BlobError(
            "manifest.base",
            expected="a digest" if manifest.base is None else f"none ({manifest.encoding.name})",
            actual="none" if manifest.base is None else manifest.base.hex(),
        )
    return manifest


class Reassembler:
    """A node's side: takes chunks in any order, some twice, and keeps only checked sectors.

    `group` is the one to subscribe now, None when all bytes are there. A sector that does not match raises
    SectorMismatch and its group is collected again from that sector on; earlier sectors stay.
    """

    def __init__(self, wanted: WantedArtifact) -> None:
        self._wanted = wanted
        self._manifest: Manifest | None = None
        self._chunks: dict[int, bytes] = {}
        self._data = bytearray()

    @property
    def manifest(self) -> Manifest | None:
        return self._manifest

    @property
    def offset_bytes(self) -> int:
        """Bytes whose sectors were checked."""
        return len(self._data)

    @property
    def group(self) -> int | None:
        if self._manifest is None:
            return 0
        if len(self._data) == self._manifest.size_bytes:
            return None
        return len(self._data) // GROUP_BYTES + 1

    @property
    def transported(self) -> bytes:
        """All bytes. BlobError while some are missing."""
        if self.group is not None:
            raise BlobError(
                "artifact", expected="all groups", actual=f"group {self.group} is missing", hint=""
            )
        return bytes(self._data)

    def add(self, group: int, index: int, data: bytes) -> bool:
        """Takes one chunk; True when its group is now whole.

        A withdrawn chunk (empty) and one of another group are ignored, as a node ignores them. BlobError for
        a chunk of a wrong size or a manifest that is not the wanted one; SectorMismatch for a bad sector.
        """
        if not data or group != self.group:
            return False
        if not 0 <= index < GROUP_CHUNKS or len(data) > CHUNK_BYTES:
            raise BlobError(
                f"chunk {group}/{index}",
                expected=f"index below {GROUP_CHUNKS}, at most {CHUNK_BYTES} bytes",
                actual=f"{len(data)} bytes",
            )
        self._chunks[index] = data
        return self._take_manifest() if self._manifest is None else self._take_group(self._manifest, group)

    def _take_manifest(self) -> bool:
        numbers = range(len(self._chunks))
        if any(i not in self._chunks for i in numbers):
            return False
        content = b"".join(self._chunks[i] for i in numbers)
        if not hmac.compare_digest(manifest_digest(content), self._wanted.manifest):
            # A short chunk ends the group; before one comes, more may follow.
            if len(content) % CHUNK_BYTES or len(content) > MANIFEST_MAX_BYTES:
                self._chunks.clear()
                raise BlobError(
                    "group 0",
                    expected=f"content with SHA-256 {self._wanted.manifest.hex()}",
                    actual=manifest_digest(content).hex(),
                )
            return False
        self._chunks.clear()
        manifest = decode_manifest(content)
        if (manifest.size_bytes, groups_of(manifest.size_bytes)) != (
            self._wanted.size_bytes,
            self._wanted.groups,
        ):
            raise BlobError(
                "manifest.size_bytes",
                expected=f"{self._wanted.size_bytes} bytes in {self._wanted.groups} groups, as wanted",
                actual=manifest.size_bytes,
            )
        self._manifest = manifest
        return True

    def _take_group(self, manifest: Manifest, group: int) -> bool:
        start = (group - 1) * GROUP_BYTES
        size = min(GROUP_BYTES, manifest.size_bytes - start)
        if len(self._chunks) < -(-size // CHUNK_BYTES):
            return False
        content = b"".join(data for _, data in sorted(self._chunks.items()))
        self._chunks.clear()
        if len(content) != size:
            raise BlobError(f"group {group}", expected=f"{size} bytes", actual=f"{len(content)} bytes")
        for at in range(len(self._data) - start, size, SECTOR_BYTES):
            sector = content[at : at + SECTOR_BYTES]
            number = (start + at) // SECTOR_BYTES
            expected = manifest.sectors[number * SECTOR_HASH_BYTES : (number + 1) * SECTOR_HASH_BYTES]
            if sector_hash(sector) != expected:
                raise SectorMismatch(number, expected=expected.hex(), actual=sector_hash(sector).hex())
            self._data += sector
        return True


def _cut_group(group: int, content: bytes) -> Iterator[Chunk]:
    for index, at in enumerate(range(0, len(content), CHUNK_BYTES)):
        yield Chunk(group, index, content[at : at + CHUNK_BYTES])
