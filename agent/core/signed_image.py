"""Signed images as a networked node takes them: whole, and into the slot of their kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.image import read_image, verify_digest

_NAMES = {ArtifactKind.FIRMWARE: "firmware", ArtifactKind.MODEL: "model"}


@dataclass(frozen=True, slots=True)
class SignedImage:
    """`number` is the image's by SMP: 0 the firmware, 1 the model. Whose signature it is, is for the node to
    see."""

    number: int
    data: bytes = field(repr=False)
    digest: bytes
    version: str

    @property
    def name(self) -> str:
        return _NAMES[ArtifactKind(self.number)]


def any_image(data: bytes, name: str) -> SignedImage:
    """An MCUboot image for firmware that is not ours: what it may be, its board decides. Raises PlanError
    when it is none, or damaged."""
    try:
        image = read_image(data)
        digest = verify_digest(image)
    except WireError as error:
        raise PlanError(f"{name}: no MCUboot image: {error.what}", "sign it: `imgtool sign`") from error
    return SignedImage(int(ArtifactKind.FIRMWARE), data, digest, str(image.header.version))


def signed_image(data: bytes, name: str, device_type: str, kind: ArtifactKind) -> SignedImage:
    """The image in a file. Raises PlanError naming the file when it is none, damaged, unsigned, of another
    kind or for another device type."""
    try:
        image = read_image(data)
        digest = verify_digest(image)
    except WireError as error:
        raise PlanError(
            f"{name}: no signed image: {error.what}", "a node takes images as `tinyfleet release` stores them"
        ) from error
    if image.signature is None:
        raise PlanError(f"{name}: the image is not signed", "a node refuses it: sign it for the fleet")
    if image.kind != kind or image.device_type != device_type:
        raise PlanError(
            f"{name} is an image of kind {image.kind} for {image.device_type!r}, "
            f"expected {_NAMES[kind]} for {device_type!r}",
            "give the image that was signed for this device type",
        )
    return SignedImage(int(kind), data, digest, str(image.header.version))
