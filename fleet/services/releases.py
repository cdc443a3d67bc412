"""Releases: sign a model, or take one that somebody else signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from tinyfleet.fleet.core.device import check_label
from tinyfleet.fleet.core.errors import BadInput, Conflict, Refused
from tinyfleet.fleet.core.release import Artifact, Release, check_version, next_counter
from tinyfleet.fleet.services.ports import Blobs, Clock, Signer, SigningRequest, Store
from tinyfleet.wire.blobs import cut
from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.image import Accepts, Image, Verify, check_image, read_image


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model payload says of itself (ARTIFACT.md)."""

    name: str
    version: str
    core: CoreVariant
    abi: int
    labels: tuple[str, ...]


ReadModel = Callable[[bytes], ModelFacts]
"""Raises WireError when the payload is no model."""


class Releases:
    def __init__(
        self, store: Store, clock: Clock, blobs: Blobs, signer: Signer, verify: Verify, read_model: ReadModel
    ) -> None:
        self._store = store
        self._clock = clock
        self._blobs = blobs
        self._signer = signer
        self._verify = verify
        self._read_model = read_model

    def create(
        self,
        payload: bytes,
        *,
        device_type: str,
        name: str | None = None,
        version: str | None = None,
        security_fix: bool = False,
    ) -> Release:
        """Signs a compiled model with the fleet's key. Name and version default to the model's own.

        Raises BadInput (no model), Conflict (the release is there already), Unavailable (signing failed).
        """
        facts = self._facts(payload)
        name, version = check_label("release name", name or facts.name), version or facts.version
        check_label("device type", device_type)
        with self._store.read() as tx:
            self._must_be_new(tx.releases.named(name, version))
            earlier = tx.releases.artifacts(ArtifactKind.MODEL, device_type)
        request = SigningRequest(
            payload=payload,
            kind=ArtifactKind.MODEL,
            device_type=device_type,
            version=version,
            security_counter=next_counter(earlier, security_fix),
            core=facts.core,
            abi=facts.abi,
        )
        data = self._signer.sign(request)
        # The tool's answer is looked at like any other image: what no node would take is not stored.
        image = self._checked(data, request.device_type, {self._signer.key_hash()})
        return self._add(name, version, image, facts.labels, foreign=False)

    def take(
        self, data: bytes, *, name: str | None = None, version: str | None = None, allow_foreign: bool = False
    ) -> Release:
        """Imports a signed image. One signed by a key outside the fleet's trust is refused unless allowed.

        Raises BadInput (no image, or not signed by its own key), Refused, Conflict.
        """
        try:
            image = read_image(data)
        except WireError as error:
            raise BadInput(str(error)) from error
        if image.key_der is None:
            raise BadInput("the image carries no public key: sign it with --public-key-format full")
        key_hash = hashlib.sha256(image.key_der).digest()
        foreign = key_hash != self._signer.key_hash()
        if foreign and not allow_foreign:
            raise Refused(
                f"the image is signed by key {key_hash.hex()[:12]}, which is not in this fleet's trust: "
                "every node will refuse it (result 73); --allow-foreign imports it all the same"
            )
        image = self._checked(data, image.device_type or "", {key_hash})
        facts = self._facts(image.payload)
        name = check_label("release name", name or facts.name)
        return self._add(name, version or str(image.header.version), image, facts.labels, foreign=foreign)

    def all(self) -> list[Release]:
        with self._store.read() as tx:
            return tx.releases.all()

    def _facts(self, payload: bytes) -> ModelFacts:
        try:
            return self._read_model(payload)
        except WireError as error:
            raise BadInput(f"not a compiled model: {error}") from error

    def _checked(self, data: bytes, device_type: str, trusted: set[bytes]) -> Image:
        accepts = Accepts(
            kind=ArtifactKind.MODEL, device_type=device_type, cores=frozenset(CoreVariant), abi=None
        )
        try:
            image = read_image(data)
            check_image(image, trusted=trusted, verify=self._verify, accepts=accepts)
        except WireError as error:
            raise BadInput(str(error)) from error
        return image

    def _must_be_new(self, found: Release | None) -> None:
        if found is not None:
            raise Conflict(
                f"release {found.name} {found.version} exists (id {found.id}): "
                "releases never change, so choose another version"
            )

    def _add(
        self, name: str, version: str, image: Image, labels: tuple[str, ...], *, foreign: bool
    ) -> Release:
        check_version(version)
        try:
            blob = cut(image.data)
        except WireError as error:
            raise BadInput(str(error)) from error
        artifact = Artifact(
            kind=ArtifactKind.MODEL,
            device_type=image.device_type or "",
            image=image.digest or b"",
            manifest=blob.digest,
            blob=self._blobs.add(image.data),
            version=version,
            size_bytes=len(image.data),
            groups=blob.groups,
            security_counter=image.security_counter or 0,
            key_hash=hashlib.sha256(image.key_der or b"").digest(),
            foreign=foreign,
            labels=labels,
        )
        release = Release(id=0, name=name, version=version, artifacts=(artifact,), created_s=self._clock())
        with self._store.write() as tx:
            self._must_be_new(tx.releases.named(name, version))
            return tx.releases.add(release)
