"""Makes the encodings of artifacts that the devices of a rollout can decode.

Each is tried by the host's own reader before it is kept: what no node could make the image of is never sent.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tinyfleet.fleet.core.errors import FleetError
from tinyfleet.fleet.core.release import Artifact, Transport, raw
from tinyfleet.fleet.core.transfer import decodes, running, smallest
from tinyfleet.fleet.services.choice import Choice
from tinyfleet.fleet.services.ports import Blobs, Clock, Encoder, Tx
from tinyfleet.wire.blobs import Blob, cut
from tinyfleet.wire.enums import Encoding
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.image import read_image
from tinyfleet.wire.messages import Birth
from tinyfleet.wire.unpack import unpack

log = logging.getLogger(__name__)
BASES_MAX: Final = 8
"""Deltas of one artifact that one rollout makes, from what most devices run; the others get it compressed."""
MAKE_S: Final = 10.0
"""A rollout begins none after this: whoever starts it waits (2 MiB take about 7 s to compress and to try)."""


@dataclass(frozen=True, slots=True)
class Job:
    """An encoding to make: a delta where there is a `base`."""

    artifact: Artifact
    base: Artifact | None = None


class Transfers:
    def __init__(self, blobs: Blobs, encoder: Encoder, clock: Clock) -> None:
        self._blobs = blobs
        self._encoder = encoder
        self._clock = clock

    def jobs(self, tx: Tx, chosen: Sequence[Choice]) -> list[Job]:
        """What could make these devices' downloads smaller, and is not there yet."""
        artifacts = {artifact.manifest: artifact for choice in chosen for artifact in choice.artifacts}
        births = {
            manifest: [
                choice.device.birth
                for choice in chosen
                if artifact in choice.artifacts and choice.device.birth is not None
            ]
            for manifest, artifact in artifacts.items()
        }
        return [job for m, artifact in artifacts.items() for job in _jobs(tx, artifact, births[m])]

    def make(self, jobs: Iterable[Job]) -> list[Transport]:
        """Takes seconds for large images, so outside of any transaction. What saves nothing is left out."""
        made = []
        began_s = self._clock()
        for job in jobs:
            if self._clock() - began_s > MAKE_S:
                log.warning(
                    "encodings of %s take longer than %g s: what is left is made by the next rollout",
                    job.artifact.version,
                    MAKE_S,
                )
                break
            try:
                found = self._make(job)
            except (FleetError, WireError) as error:
                log.warning("no encoding of %s: %s", job.artifact.version, error)
                continue
            if found is not None:
                made.append(found)
        return made

    def _make(self, job: Job) -> Transport | None:
        artifact = job.artifact
        image = self._blobs.get(artifact.blob)
        covered = None if job.base is None else _covered(self._blobs.get(job.base.blob))
        if covered is None:
            transported = self._encoder.compress(image)
        else:
            transported = self._encoder.delta(image, covered)
        if len(transported) >= len(image):
            return None
        blob = _cut(artifact, transported, None if job.base is None else job.base.image)
        if not _makes(blob, covered, image):
            log.error("an encoding of %s does not make it again; it is not used", artifact.version)
            return None
        return Transport(
            artifact=artifact,
            manifest=blob.digest,
            blob=self._blobs.add(transported),
            size_bytes=len(transported),
            groups=blob.groups,
            encoding=blob.manifest.encoding,
            base=blob.manifest.base,
        )


def pick(tx: Tx, artifact: Artifact, birth: Birth | None, *, full: bool) -> Transport:
    """The way to a device: the smallest that it can decode; `full`: as it is, whatever it could decode."""
    return raw(artifact) if full else smallest(birth, tx.releases.transports(artifact))


def cut_transport(transport: Transport, transported: bytes) -> Blob:
    """The chunks of a transport whose file holds `transported`."""
    return cut(
        transported,
        encoding=transport.encoding,
        image_bytes=transport.artifact.size_bytes,
        base=transport.base,
    )


def _jobs(tx: Tx, artifact: Artifact, births: Sequence[Birth]) -> Iterator[Job]:
    known = {(way.encoding, way.base) for way in tx.releases.transports(artifact)}
    wanting = [birth for birth in births if running(birth, artifact.kind) != artifact.image]
    if (Encoding.COMPRESSED, None) not in known and any(decodes(b, Encoding.COMPRESSED) for b in wanting):
        yield Job(artifact)
    counts = Counter(running(birth, artifact.kind) for birth in wanting if decodes(birth, Encoding.DELTA))
    for image, _ in counts.most_common(BASES_MAX):
        if image is None or (Encoding.DELTA, image) in known:
            continue
        # A base that was never released here is on the device alone.
        if (base := tx.releases.model_of(image)) is not None:
            yield Job(artifact, base[1])


def _cut(artifact: Artifact, transported: bytes, base: bytes | None) -> Blob:
    encoding = Encoding.COMPRESSED if base is None else Encoding.DELTA
    return cut(transported, encoding=encoding, image_bytes=artifact.size_bytes, base=base)


def _covered(data: bytes) -> bytes:
    """What the image's digest covers: the same however often it was signed."""
    return data[: read_image(data).header.hashed_bytes]


def _makes(blob: Blob, base: bytes | None, image: bytes) -> bool:
    try:
        return unpack(blob.manifest, blob.transported, base) == image
    except WireError:
        return False
