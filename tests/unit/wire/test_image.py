"""The image reader against images put together here, byte by byte."""

from __future__ import annotations

import dataclasses
import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result
from tinyfleet.wire.errors import (
    ImageDigestError,
    ImageDowngrade,
    ImageError,
    ImageFormatError,
    ImageMismatch,
    ImageSignatureError,
)
from tinyfleet.wire.image import (
    Accepts,
    Dependency,
    ImageVersion,
    Verify,
    check_image,
    check_signature,
    read_image,
    verify_digest,
)
from tinyfleet.wire.image_format import Tlv
from tinyfleet.wire.vectors.image_vectors import ACCEPTS
from tinyfleet.wire.vectors.index import read_index

KEY = b"k" * 91
TRUSTED = (hashlib.sha256(KEY).digest(),)
FIT = Accepts(kind=ArtifactKind.MODEL, device_type="board", security_counter=5, abi=1)
SIGNED = next(row for row in read_index() if row.file == "image_model.bin").data


def area(magic: int, tlvs: dict[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HH", tag, len(value)) + value for tag, value in tlvs.items())
    return struct.pack("<HH", magic, len(body) + 4) + body


def build(
    payload: bytes = b"payload",
    *,
    protected: dict[int, bytes] | None = None,
    header_bytes: int = 64,
    flags: int = 0x10,
    signature: bytes = b"good",
    **more: bytes,
) -> bytes:
    """An image whose signature is the word "good", for `says_good`."""
    inner: dict[int, bytes] = {
        Tlv.SEC_CNT: struct.pack("<I", 5),
        Tlv.DEVICE_TYPE: b"board",
        Tlv.KIND: b"\x01",
        Tlv.CORE: b"\x00",
        Tlv.ABI: b"\x01\x00",
    } | (protected or {})
    tail = area(0x6908, inner)
    head = struct.pack(
        "<IIHHIIBBHII", 0x96F3B83D, 0, header_bytes, len(tail), len(payload), flags, 1, 2, 3, 4, 0
    ).ljust(header_bytes, b"\0")
    hashed = head + payload + tail
    outer: dict[int, bytes] = {
        Tlv.SHA256: more.get("digest", hashlib.sha256(hashed).digest()),
        Tlv.PUBKEY: KEY,
        Tlv.ECDSA_SIG: signature,
    }
    return hashed + area(0x6907, outer)


def says_good(key_der: bytes, signature: bytes, digest: bytes) -> bool:
    return signature == b"good"


def check(data: bytes, accepts: Accepts = FIT) -> bytes:
    return check_image(read_image(data), trusted=TRUSTED, verify=says_good, accepts=accepts)


@given(
    payload=st.binary(max_size=300),
    counter=st.integers(5, 2**32 - 1),
    device_type=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=32),
    header_bytes=st.integers(32, 200),
)
@settings(deadline=None)
def test_there_and_back(payload: bytes, counter: int, device_type: str, header_bytes: int) -> None:
    image = read_image(
        build(
            payload,
            header_bytes=header_bytes,
            protected={Tlv.SEC_CNT: struct.pack("<I", counter), Tlv.DEVICE_TYPE: device_type.encode()},
        )
    )
    assert image.payload == payload
    assert image.security_counter == counter
    assert image.device_type == device_type
    assert (image.kind, image.core, image.abi) == (ArtifactKind.MODEL, CoreVariant.PORTABLE, 1)
    assert (image.key_der, image.signature) == (KEY, b"good")
    assert str(image.header.version) == "1.2.3+4"
    assert verify_digest(image) == image.digest


def test_dependencies_are_read_and_compared_without_build() -> None:
    def needs(major: int, build_number: int) -> bytes:
        return build(protected={Tlv.DEPENDENCY: struct.pack("<B3xBBHI", 0, major, 2, 3, build_number)})

    assert read_image(needs(1, 9)).dependencies == (Dependency(0, ImageVersion(1, 2, 3, 9)),)
    device = dataclasses.replace(FIT, firmware=ImageVersion(1, 2, 3, 0))
    assert check(needs(1, 9), device)
    with pytest.raises(ImageMismatch, match="dependency"):
        check(needs(2, 0), device)
    assert check(needs(2, 0)), "a host that does not know the firmware leaves it to the node"


def test_every_cut_of_a_real_image_is_refused() -> None:
    for end in range(len(SIGNED)):
        with pytest.raises(ImageFormatError):
            read_image(SIGNED[:end])


@given(
    at=st.lists(st.tuples(st.integers(0, len(SIGNED) - 1), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=300)
def test_any_damage_to_a_real_image_is_refused(at: list[tuple[int, int]], verify: Verify) -> None:
    data = bytearray(SIGNED)
    for place, byte in at:
        data[place] = byte
    trusted = (hashlib.sha256(read_image(SIGNED).key_der or b"").digest(),)
    if bytes(data) == SIGNED:
        return
    with pytest.raises(ImageError):
        check_image(read_image(bytes(data)), trusted=trusted, verify=verify, accepts=ACCEPTS)


@given(data=st.binary(max_size=200), size=st.integers(0, 60), protected=st.integers(0, 60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_raise_only_our_errors(data: bytes, size: int, protected: int) -> None:
    head = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, 32, protected, size, 0, 0, 0, 0, 0, 0)
    for candidate in (data, head + data):
        try:
            image = read_image(candidate)
        except ImageFormatError:
            continue
        assert image.dependencies is not None and image.payload is not None
        with pytest.raises(ImageError):
            check_image(image, trusted=TRUSTED, verify=says_good, accepts=FIT)


def test_checks_come_in_the_order_of_spec() -> None:
    """Each image breaks this check and all later ones; the first broken one is what a node reports."""
    wrong = {
        Tlv.ABI: b"\x02\x00",
        Tlv.CORE: b"\x01",
        Tlv.SEC_CNT: struct.pack("<I", 4),
        Tlv.DEVICE_TYPE: b"other",
        Tlv.KIND: b"\x00",
    }
    names = ["ABI", "core", "counter", "device type", "kind"]
    broken: dict[int, bytes] = {}
    for (tag, value), name in zip(wrong.items(), names, strict=True):
        broken[tag] = value
        with pytest.raises((ImageMismatch, ImageDowngrade), match=name):
            check(build(protected=broken))
    with pytest.raises(ImageSignatureError, match="signature"):
        check(build(protected=broken, signature=b"bad"))
    with pytest.raises(ImageSignatureError, match="key"):
        check_image(
            read_image(build(protected=broken, signature=b"bad")), trusted=(), verify=says_good, accepts=FIT
        )
    with pytest.raises(ImageDigestError):
        check(build(protected=broken, signature=b"bad", digest=bytes(32)))


def test_results_are_what_a_node_reports() -> None:
    assert {cls.__name__: cls.result for cls in ImageError.__subclasses__()} == {
        "ImageFormatError": Result.INTEGRITY,
        "ImageDigestError": Result.INTEGRITY,
        "ImageSignatureError": Result.SIGNATURE,
        "ImageMismatch": Result.UNSUPPORTED_TYPE,
        "ImageDowngrade": Result.DOWNGRADE,
    }


def test_a_counter_equal_to_the_stored_one_is_no_downgrade() -> None:
    assert check(build())
    assert check(build(), dataclasses.replace(FIT, security_counter=0))
    with pytest.raises(ImageDowngrade):
        check(build(), dataclasses.replace(FIT, security_counter=6))


def test_protected_values_count_only_where_they_are_hashed() -> None:
    """An attacker may add TLVs after the hashed part: they must mean nothing."""
    data = build(protected={Tlv.KIND: b"\x00"})
    image = read_image(data)
    tail = area(0x6907, dict(image.tlvs) | {Tlv.KIND: b"\x01"})
    image = read_image(data[: image.header.hashed_bytes] + tail)
    assert image.kind == ArtifactKind.FIRMWARE
    with pytest.raises(ImageMismatch, match="kind"):
        check_image(image, trusted=TRUSTED, verify=says_good, accepts=FIT)


FORMS = ["small_header", "protected_shorter", "protected_overlap", "two_kinds"]


@pytest.mark.parametrize("stem", FORMS)
def test_form_is_refused_though_the_digest_is_right(stem: str) -> None:
    """INTEGRITY is also what a wrong digest gives; these are refused before any digest is looked at."""
    row = next(row for row in read_index() if row.file == f"image_{stem}.bin")
    with pytest.raises(ImageFormatError):
        read_image(row.data)


def test_the_verifier_sees_the_proven_digest() -> None:
    seen: list[tuple[bytes, bytes, bytes]] = []

    def spy(key_der: bytes, signature: bytes, digest: bytes) -> bool:
        seen.append((key_der, signature, digest))
        return True

    image = read_image(build())
    check_signature(image, verify_digest(image), TRUSTED, spy)
    assert seen == [(KEY, b"good", hashlib.sha256(image.data[: image.header.hashed_bytes]).digest())]


def test_unknown_keys_are_never_asked_for_a_signature() -> None:
    def never(key_der: bytes, signature: bytes, digest: bytes) -> bool:
        raise RuntimeError("an untrusted key reached the verifier")

    with pytest.raises(ImageSignatureError, match="unknown key"):
        check_image(read_image(build()), trusted=(bytes(32),), verify=never, accepts=FIT)
