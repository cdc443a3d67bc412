"""Releases: sign models and firmware, or take what somebody else signed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tinyfleet.fleet.core.device import check_label
from tinyfleet.fleet.core.errors import BadInput, Conflict, Refused
from tinyfleet.fleet.core.release import Artifact, Release, check_version, next_counter
from tinyfleet.fleet.services.choice import named_release
from tinyfleet.fleet.services.contents import Content, ReadModel, content_of
from tinyfleet.fleet.services.ports import Blobs, Clock, Signer, SigningRequest, Store
from tinyfleet.wire.blobs import cut
from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.image import Accepts, Image, Verify, check_image, read_image
from tinyfleet.wire.image_format import HEADER_BYTES


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
        return self.create_set(
            [payload], device_type=device_type, name=name, version=version, security_fix=security_fix
        )

    def create_set(
        self,
        payloads: Sequence[bytes],
        *,
        device_type: str,
        name: str | None = None,
        version: str | None = None,
        security_fix: bool = False,
        needs_firmware: str | None = None,
    ) -> Release:
        """Signs a model and firmware binaries (one a slot, where a board runs them in place) into a release.

        Name and version default to the first payload's own; a bench app keeps its own in any release.
        `device_type` is the model's; a firmware says it itself. `needs_firmware`: the model runs on that
        version of the firmware or a newer one.
        Raises BadInput, Conflict, Unavailable.
        """
        if needs_firmware is not None:
            check_version(needs_firmware)
        contents = [self._content(payload, device_type) for payload in payloads]
        name = check_label("release name", name or contents[0].name)
        alone = len({content.kind for content in contents}) == 1
        release_version = check_version(version or contents[0].version)
        self._must_differ(contents)
        with self._store.read() as tx:
            self._must_be_new(tx.releases.named(name, release_version))
            earlier = {
                (c.kind, c.device_type): tx.releases.artifacts(c.kind, c.device_type) for c in contents
            }
        artifacts = []
        for payload, content in zip(payloads, contents, strict=True):
            request = SigningRequest(
                payload=payload,
                kind=content.kind,
                device_type=content.device_type,
                # Of several kinds each keeps its own version: a dependency is about the firmware's.
                version=release_version if alone and not content.bare else content.version,
                security_counter=next_counter(earlier[content.kind, content.device_type], security_fix),
                core=content.core,
                abi=content.abi,
                needs_firmware=needs_firmware if content.kind is ArtifactKind.MODEL else None,
                ops=content.ops,
                cores=content.cores,
                address=content.address,
                in_slot=content.slot is not None,
                bare=content.bare,
            )
            data = self._signer.sign(request)
            # The tool's answer is looked at like any other image: what no node would take is not stored.
            image = self._checked(data, content.kind, content.device_type, {self._signer.key_hash()})
            artifacts.append(self._artifact(image, content, request.version, foreign=False))
        return self._add(name, release_version, artifacts)

    def firmware_image(self, release: str, version: str | None, device_type: str) -> bytes:
        """The signed firmware with which a new board of that type starts. Raises NotFound, Refused."""
        with self._store.read() as tx:
            found = named_release(tx, release, version)
        artifact = found.firmware_for(device_type)
        if artifact is None:
            raise Refused(f"release {found.name} {found.version} holds no firmware for {device_type}")
        data = self._blobs.get(artifact.blob)
        if read_image(data).header.header_bytes == HEADER_BYTES:
            raise Refused(
                f"release {found.name} {found.version} holds a bench app for {device_type}: no node starts it"
            )
        return data

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
        kind = ArtifactKind.FIRMWARE if image.kind == ArtifactKind.FIRMWARE else ArtifactKind.MODEL
        image = self._checked(data, kind, image.device_type or "", {key_hash})
        content = self._content(image.payload, image.device_type or "")
        if content.kind is not kind:
            raise BadInput(f"the image says kind {kind.name}, its payload is a {content.kind.name.lower()}")
        if content.address != image.header.load_addr:
            raise BadInput(
                f"the image says address {image.header.load_addr:#x}, its payload was linked for "
                f"{content.address:#x}"
            )
        if content.bare and image.header.header_bytes != HEADER_BYTES:
            raise BadInput(
                f"the image has a header of {image.header.header_bytes} bytes, "
                f"a bench app's has {HEADER_BYTES}"
            )
        name = check_label("release name", name or content.name)
        version = check_version(version or str(image.header.version))
        return self._add(name, version, [self._artifact(image, content, version, foreign=foreign)])

    def all(self) -> list[Release]:
        with self._store.read() as tx:
            return tx.releases.all()

    def _content(self, payload: bytes, device_type: str) -> Content:
        try:
            found = content_of(payload, check_label("device type", device_type), self._read_model)
        except WireError as error:
            raise BadInput(f"not a compiled model, nor firmware of a node or bench board: {error}") from error
        check_label("device type", found.device_type)
        return found

    def _checked(self, data: bytes, kind: ArtifactKind, device_type: str, trusted: set[bytes]) -> Image:
        accepts = Accepts(kind=kind, device_type=device_type, cores=frozenset(CoreVariant), abi=None)
        try:
            image = read_image(data)
            check_image(image, trusted=trusted, verify=self._verify, accepts=accepts)
        except WireError as error:
            raise BadInput(str(error)) from error
        return image

    @staticmethod
    def _must_differ(contents: Sequence[Content]) -> None:
        places = [(content.kind, content.device_type, content.slot) for content in contents]
        for place in places:
            if places.count(place) > 1:
                kind, device_type, slot = place
                where = "" if slot is None else f" in slot {slot}"
                raise BadInput(f"two {kind.name.lower()}s for {device_type}{where}: give one of each")

    def _must_be_new(self, found: Release | None) -> None:
        if found is not None:
            raise Conflict(
                f"release {found.name} {found.version} exists (id {found.id}): "
                "releases never change, so choose another version"
            )

    def _artifact(self, image: Image, content: Content, version: str, *, foreign: bool) -> Artifact:
        try:
            blob = cut(image.data)
        except WireError as error:
            raise BadInput(str(error)) from error
        return Artifact(
            kind=content.kind,
            device_type=content.device_type,
            image=image.digest or b"",
            manifest=blob.digest,
            blob=self._blobs.add(image.data),
            version=version,
            size_bytes=len(image.data),
            groups=blob.groups,
            security_counter=image.security_counter or 0,
            key_hash=hashlib.sha256(image.key_der or b"").digest(),
            foreign=foreign,
            labels=content.labels,
            slot=content.slot,
        )

    def _add(self, name: str, version: str, artifacts: Sequence[Artifact]) -> Release:
        release = Release(
            id=0, name=name, version=version, artifacts=tuple(artifacts), created_s=self._clock()
        )
        with self._store.write() as tx:
            self._must_be_new(tx.releases.named(name, version))
            return tx.releases.add(release)
