"""MCUboot images as SPEC section 7 uses them: read (bounds only), then check in the node's order.

    image = read_image(data)                  # header, bounds, TLV walk
    check_image(image, trusted=…, verify=…, accepts=…)   # digest, key, signature, then fit

`read_image` never trusts: an image that could be read may still be anybody's.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Self

from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.errors import (
    ImageDigestError,
    ImageDowngrade,
    ImageFormatError,
    ImageMismatch,
    ImageSignatureError,
)
from tinyfleet.wire.image_format import (
    FLAG_NON_BOOTABLE,
    HEADER_BYTES,
    IMAGE_MAGIC,
    MODEL_HEADER_BYTES,
    PROTECTED_TLVS,
    SIGNATURE_MAX_BYTES,
    TLV_INFO_MAGIC,
    TLV_LENGTHS,
    TLV_PROTECTED_MAGIC,
    Tlv,
)

Verify = Callable[[bytes, bytes, bytes], bool]
"""(key DER, signature DER, SHA-256 digest) -> whether it is the key's. So wire imports no cryptography."""

_HEADER = struct.Struct("<IIHHIIBBHII")
_TLV = struct.Struct("<HH")
_KNOWN = frozenset(Tlv)
_DEPENDENCY = struct.Struct("<B3xBBHI")


@dataclass(frozen=True, slots=True)
class ImageVersion:
    major: int
    minor: int
    revision: int
    build: int

    @property
    def release(self) -> tuple[int, int, int]:
        """What dependencies compare: MCUboot leaves the build number out."""
        return self.major, self.minor, self.revision

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.revision}"
        return f"{text}+{self.build}" if self.build else text


@dataclass(frozen=True, slots=True)
class ImageHeader:
    load_addr: int
    header_bytes: int
    protected_bytes: int
    payload_bytes: int
    flags: int
    version: ImageVersion

    @property
    def hashed_bytes(self) -> int:
        """Header, payload and protected TLVs: what the digest covers."""
        return self.header_bytes + self.payload_bytes + self.protected_bytes


@dataclass(frozen=True, slots=True)
class Dependency:
    """The image needs image `image_id` (0: the firmware) at `version` or above."""

    image_id: int
    version: ImageVersion


@dataclass(frozen=True, slots=True)
class Accepts:
    """What a device takes. `security_counter` is the stored one; `abi` None: any, for the host.

    `firmware` is the version that runs; None leaves dependencies unchecked (the host does not know it).
    """

    kind: ArtifactKind
    device_type: str
    security_counter: int = 0
    cores: frozenset[CoreVariant] = frozenset({CoreVariant.PORTABLE})
    abi: int | None = None
    firmware: ImageVersion | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose areas add up. Values of absent TLVs are None; numbers are not yet known to be valid."""

    data: bytes = field(repr=False)
    header: ImageHeader
    protected_tlvs: tuple[tuple[int, bytes], ...] = field(repr=False)
    tlvs: tuple[tuple[int, bytes], ...] = field(repr=False)

    @property
    def payload(self) -> bytes:
        start = self.header.header_bytes
        return self.data[start : start + self.header.payload_bytes]

    @property
    def digest(self) -> bytes | None:
        """The SHA256 TLV: what the wire calls image. `verify_digest` says whether it is true."""
        return self._value(Tlv.SHA256)

    @property
    def key_der(self) -> bytes | None:
        return self._value(Tlv.PUBKEY)

    @property
    def signature(self) -> bytes | None:
        return self._value(Tlv.ECDSA_SIG)

    @property
    def security_counter(self) -> int | None:
        return self._number(Tlv.SEC_CNT)

    @property
    def kind(self) -> int | None:
        """An ArtifactKind, if it is one of ours."""
        return self._number(Tlv.KIND)

    @property
    def core(self) -> int | None:
        """A CoreVariant, if it is one of ours."""
        return self._number(Tlv.CORE)

    @property
    def abi(self) -> int | None:
        return self._number(Tlv.ABI)

    @property
    def device_type(self) -> str | None:
        value = self._value(Tlv.DEVICE_TYPE)
        return None if value is None else value.decode("utf-8", "backslashreplace")

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        found = (_DEPENDENCY.unpack(value) for tag, value in self.protected_tlvs if tag == Tlv.DEPENDENCY)
        return tuple(Dependency(image_id, ImageVersion(*version)) for image_id, *version in found)

    def _value(self, tlv: Tlv) -> bytes | None:
        area = self.protected_tlvs if tlv in PROTECTED_TLVS else self.tlvs
        return next((value for tag, value in area if tag == tlv), None)

    def _number(self, tlv: Tlv) -> int | None:
        value = self._value(tlv)
        return None if value is None else int.from_bytes(value, "little")

    @classmethod
    def read(cls, data: bytes) -> Self:
        header = _read_header(data)
        protected: tuple[tuple[int, bytes], ...] = ()
        start = header.header_bytes + header.payload_bytes
        if header.protected_bytes:
            protected = _read_area(data, start, TLV_PROTECTED_MAGIC)
            total = _TLV.unpack_from(data, start)[1]
            if total != header.protected_bytes:
                raise ImageFormatError(
                    "protected TLV area", expected=f"{header.protected_bytes} bytes", actual=f"{total} bytes"
                )
        start = header.hashed_bytes
        tlvs = _read_area(data, start, TLV_INFO_MAGIC)
        end = start + _TLV.unpack_from(data, start)[1]
        if end != len(data):
            raise ImageFormatError("image", expected=f"{end} bytes", actual=f"{len(data)} bytes")
        return cls(data, header, protected, tlvs)


def read_image(data: bytes) -> Image:
    """The image in `data`, which holds it and nothing else. ImageFormatError when its areas do not add up."""
    return Image.read(data)


def verify_digest(image: Image) -> bytes:
    """The image's digest, proven. ImageDigestError when it is missing or another."""
    actual = hashlib.sha256(image.data[: image.header.hashed_bytes]).digest()
    if image.digest is None:
        raise ImageDigestError("image digest", expected="a SHA256 TLV", actual="none")
    if not hmac.compare_digest(actual, image.digest):
        raise ImageDigestError("image digest", expected=image.digest.hex(), actual=actual.hex())
    return actual


def check_signature(
    image: Image, digest: bytes, trusted: Collection[bytes], verify: Verify, *, allow_unsigned: bool = False
) -> None:
    """Key hash, then signature over `digest`, which verify_digest() proved. ImageSignatureError.

    `trusted` holds SHA-256 hashes of key DERs. `allow_unsigned` is for bench boards only and accepts an image
    with neither key nor signature; one that carries either is checked all the same.
    """
    key, signature = image.key_der, image.signature
    if allow_unsigned and key is None and signature is None:
        return
    if key is None:
        raise ImageSignatureError("image key", expected="a PUBKEY TLV", actual="none")
    known = hashlib.sha256(key).digest()
    if not any(hmac.compare_digest(known, one) for one in trusted):
        raise ImageSignatureError(
            "image key", expected=[one.hex() for one in trusted], actual=f"an unknown key {known.hex()}"
        )
    if signature is None or not 0 < len(signature) <= SIGNATURE_MAX_BYTES:
        raise ImageSignatureError(
            "image signature",
            expected=f"1 to {SIGNATURE_MAX_BYTES} bytes",
            actual="none" if signature is None else f"{len(signature)} bytes",
        )
    if not verify(key, signature, digest):
        raise ImageSignatureError("image signature", expected="a signature by its key", actual="another")


def check_fit(image: Image, accepts: Accepts) -> None:
    """Kind, device type, counter, core, ABI, dependencies, in this order. ImageMismatch or ImageDowngrade."""
    _must("kind", accepts.kind.name, accepts.kind, image.kind)
    if accepts.kind is ArtifactKind.MODEL:
        _must("header size", MODEL_HEADER_BYTES, MODEL_HEADER_BYTES, image.header.header_bytes)
        _must("flag NON_BOOTABLE", "set", FLAG_NON_BOOTABLE, image.header.flags & FLAG_NON_BOOTABLE)
    _must("device type", accepts.device_type, accepts.device_type, image.device_type)
    if image.security_counter is None:
        raise ImageMismatch("image security counter", expected="a SEC_CNT TLV", actual="none")
    if image.security_counter < accepts.security_counter:
        raise ImageDowngrade(
            "image security counter",
            expected=f"at least {accepts.security_counter}",
            actual=image.security_counter,
        )
    if accepts.kind is ArtifactKind.MODEL:
        if image.core not in accepts.cores:
            raise ImageMismatch(
                "image core", expected=sorted(core.name for core in accepts.cores), actual=image.core
            )
        if accepts.abi is not None:
            _must("ABI", accepts.abi, accepts.abi, image.abi)
    for need in image.dependencies:
        if need.image_id == 0 and accepts.firmware and need.version.release > accepts.firmware.release:
            raise ImageMismatch(
                "image dependency", expected=f"firmware {accepts.firmware} or below", actual=str(need.version)
            )


def check_image(
    image: Image,
    *,
    trusted: Collection[bytes],
    verify: Verify,
    accepts: Accepts,
    allow_unsigned: bool = False,
) -> bytes:
    """All checks of SPEC section 7 after reading, in its order; the proven digest. Raises an ImageError."""
    digest = verify_digest(image)
    check_signature(image, digest, trusted, verify, allow_unsigned=allow_unsigned)
    check_fit(image, accepts)
    return digest


def _must(what: str, expected: object, value: object, actual: object) -> None:
    if value != actual:
        raise ImageMismatch(f"image {what}", expected=expected, actual=actual)


def _read_header(data: bytes) -> ImageHeader:
    if len(data) < HEADER_BYTES:
        raise ImageFormatError(
            "image", expected=f"at least {HEADER_BYTES} bytes", actual=f"{len(data)} bytes"
        )
    magic, load, header, protected, payload, flags, *version, _pad = _HEADER.unpack_from(data)
    if magic != IMAGE_MAGIC:
        raise ImageFormatError("image magic", expected=hex(IMAGE_MAGIC), actual=hex(magic))
    if header < HEADER_BYTES:
        raise ImageFormatError("image header size", expected=f"at least {HEADER_BYTES}", actual=header)
    found = ImageHeader(load, header, protected, payload, flags, ImageVersion(*version))
    if found.hashed_bytes + _TLV.size > len(data):
        raise ImageFormatError(
            "image",
            expected=f"at least {found.hashed_bytes + _TLV.size} bytes, as its header says",
            actual=f"{len(data)} bytes",
        )
    return found


def _read_area(data: bytes, start: int, magic: int) -> tuple[tuple[int, bytes], ...]:
    """Entries of the TLV area at `start`. The caller made sure that its info header lies within the data."""
    actual, total = _TLV.unpack_from(data, start)
    if actual != magic:
        raise ImageFormatError(f"TLV area at {start}", expected=f"magic {magic:#x}", actual=hex(actual))
    end = start + total
    if total < _TLV.size or end > len(data):
        raise ImageFormatError(
            f"TLV area at {start}", expected=f"{_TLV.size} to {len(data) - start} bytes", actual=total
        )
    entries: list[tuple[int, bytes]] = []
    at = start + _TLV.size
    while at < end:
        if at + _TLV.size > end:
            raise ImageFormatError(f"TLV at {at}", expected="a whole entry", actual=f"{end - at} bytes")
        tag, length = _TLV.unpack_from(data, at)
        at += _TLV.size
        if at + length > end:
            raise ImageFormatError(
                f"TLV {tag:#x} at {at}", expected=f"at most {end - at} bytes", actual=length
            )
        _check_entry(tag, length, magic == TLV_PROTECTED_MAGIC, entries)
        entries.append((tag, data[at : at + length]))
        at += length
    return tuple(entries)


def _check_entry(tag: int, length: int, protected: bool, entries: list[tuple[int, bytes]]) -> None:
    """A TLV of SPEC's table has its length and stands once; in the other area it means nothing."""
    if tag not in _KNOWN or (tag in PROTECTED_TLVS) != protected:
        return
    low, high = TLV_LENGTHS.get(Tlv(tag), (0, 0xFFFF))
    if not low <= length <= high:
        raise ImageFormatError(f"TLV {Tlv(tag).name}", expected=f"{low} to {high} bytes", actual=length)
    if tag != Tlv.DEPENDENCY and any(tag == other for other, _ in entries):
        raise ImageFormatError(f"TLV {Tlv(tag).name}", expected="one", actual="two")
