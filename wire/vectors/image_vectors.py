"""Vectors of images, signed by the real imgtool with keys that live only while this runs.

ECDSA signatures differ each time, so these vectors are made once (`make --images`) and then kept.
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.image import Accepts, Image, ImageVersion, read_image
from tinyfleet.wire.image_format import TLV_INFO_MAGIC, Tlv
from tinyfleet.wire.messages import Trust
from tinyfleet.wire.records import encode_record
from tinyfleet.wire.vectors.message_vectors import Made, pattern

DEVICE_TYPE: Final = "vector-board"
COUNTER: Final = 5
PAYLOAD: Final = pattern(700)
ACCEPTS: Final = Accepts(
    kind=ArtifactKind.MODEL,
    device_type=DEVICE_TYPE,
    security_counter=COUNTER,
    abi=1,
    firmware=ImageVersion(1, 2, 3, 0),
)
ACCEPTS_FIRMWARE: Final = Accepts(
    kind=ArtifactKind.FIRMWARE, device_type=DEVICE_TYPE, security_counter=COUNTER
)

_TIMEOUT_S = 60
_TLVS: Final = {"0xa0": DEVICE_TYPE, "0xa1": "0x01", "0xa2": "0x00", "0xa3": "0x0100"}


@dataclass(frozen=True, slots=True)
class Signer:
    """imgtool in a folder of its own, with a trusted and a foreign key."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("trusted", "foreign"):
            self._imgtool("keygen", "--type", "ecdsa-p256", "--key", str(self._key(name)))
        (self.folder / "payload").write_bytes(PAYLOAD)

    def sign(
        self,
        *,
        key: str | None = "trusted",
        tlvs: dict[str, str | None] | None = None,
        counter: int | None = COUNTER,
        header_bytes: int = 64,
        bootable: bool = False,
        dependency: str | None = None,
    ) -> bytes:
        """An image by SPEC's command; the arguments replace parts of it (a TLV of None is left out)."""
        arguments = ["--header-size", hex(header_bytes), "--pad-header", "--align", "4"]
        arguments += ["--slot-size", "0x200000", "--version", "1.2.3+4"]
        if key is not None:
            arguments += ["--key", str(self._key(key)), "--public-key-format", "full"]
        if counter is not None:
            arguments += ["--security-counter", str(counter)]
        if not bootable:
            arguments.append("--non-bootable")
        if dependency is not None:
            arguments += ["--dependencies", dependency]
        for tag, value in (_TLVS | (tlvs or {})).items():
            if value is not None:
                arguments += ["--custom-tlv", tag, value]
        out = self.folder / "image"
        self._imgtool("sign", *arguments, str(self.folder / "payload"), str(out))
        return out.read_bytes()

    def _key(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def _imgtool(self, *arguments: str) -> None:
        tool = Path(sys.executable).parent / "imgtool"
        subprocess.run([str(tool), *arguments], check=True, capture_output=True, timeout=_TIMEOUT_S)


def rebuild(image: Image, tlvs: list[tuple[int, bytes]]) -> bytes:
    """The image with another unprotected TLV area."""
    body = b"".join(struct.pack("<HH", tag, len(value)) + value for tag, value in tlvs)
    area = struct.pack("<HH", TLV_INFO_MAGIC, len(body) + 4) + body
    return image.data[: image.header.hashed_bytes] + area


def redigest(data: bytes, hashed_bytes: int) -> bytes:
    """The image with a SHA256 TLV that is right for what it now holds: only its form is still wrong."""
    at = data.index(struct.pack("<HH", Tlv.SHA256, 32), hashed_bytes) + 4
    return data[:at] + hashlib.sha256(data[:hashed_bytes]).digest() + data[at + 32 :]


def made(folder: Path) -> Iterator[tuple[str, Made]]:
    """(accept or reject, vector), the record with the trusted key first."""
    signer = Signer(folder)
    good = signer.sign()
    key = read_image(good).key_der
    if key is None:
        raise RuntimeError("imgtool wrote no PUBKEY TLV; pin the version in requirements.txt")
    trust = encode_record(Trust(keys=(hashlib.sha256(key).digest(),)))
    yield "accept", ("trust_of_images", "record_trust", "OK", trust, "who signed the image vectors")
    for place, rows in (
        ("accept", _accepted(signer, good)),
        ("reject", _untrusted(signer, good)),
        ("reject", _misfits(signer)),
        ("reject", _broken(good)),
        ("reject", _malformed(good)),
    ):
        for stem, kind, expected, data, note in rows:
            yield place, (f"image_{stem}", kind, expected, data, note)


def _accepted(signer: Signer, good: bytes) -> Iterator[Made]:
    yield "model", "image", "SUCCESS", good, f"counter {COUNTER}"
    yield (
        "model_counter",
        "image",
        "SUCCESS",
        signer.sign(counter=COUNTER + 4),
        "counter above the stored one",
    )
    needs = signer.sign(dependency="(0, 1.2.3)")
    yield "model_dependency", "image", "SUCCESS", needs, "needs firmware 1.2.3"
    unknown = signer.sign(tlvs={"0xa9": "0x0102"})
    yield "model_unknown_tlv", "image", "SUCCESS", unknown, "an unknown protected TLV is skipped"
    yield "model_unsigned", "image_bench", "SUCCESS", signer.sign(key=None), "a bench board takes it"
    firmware = signer.sign(tlvs={"0xa1": "0x00", "0xa2": None, "0xa3": None}, header_bytes=512, bootable=True)
    yield "firmware", "image_firmware", "SUCCESS", firmware, ""


def _untrusted(signer: Signer, good: bytes) -> Iterator[Made]:
    image = read_image(good)
    foreign = signer.sign(key="foreign")
    tlvs = list(image.tlvs)
    signature = image.signature or b""
    other = read_image(signer.sign(counter=COUNTER + 1)).signature or b""

    def with_tlv(tag: Tlv, value: bytes | None) -> bytes:
        kept = [(t, v if t != tag else value) for t, v in tlvs if t != tag or value is not None]
        return rebuild(image, [(t, v) for t, v in kept if v is not None])

    rows = {
        "foreign_key": (foreign, "signed by a key the trust record does not know"),
        "foreign_key_bench": (foreign, "a bench board checks what is signed"),
        "foreign_signature": (
            with_tlv(Tlv.ECDSA_SIG, read_image(foreign).signature),
            "the trusted key, another key's signature",
        ),
        "other_signature": (with_tlv(Tlv.ECDSA_SIG, other), "the trusted key's signature over another image"),
        "flipped_signature": (
            with_tlv(Tlv.ECDSA_SIG, signature[:-1] + bytes([signature[-1] ^ 1])),
            "one bit of the signature",
        ),
        "zero_signature": (with_tlv(Tlv.ECDSA_SIG, bytes.fromhex("3006020100020100")), "r = s = 0"),
        "empty_signature": (with_tlv(Tlv.ECDSA_SIG, b""), ""),
        "long_signature": (with_tlv(Tlv.ECDSA_SIG, signature + bytes(73 - len(signature))), "73 bytes"),
        "no_signature": (with_tlv(Tlv.ECDSA_SIG, None), ""),
        "no_key": (with_tlv(Tlv.PUBKEY, None), "a signature without its key"),
        "short_key": (with_tlv(Tlv.PUBKEY, (image.key_der or b"")[:-1]), "90 bytes"),
        "unsigned": (signer.sign(key=None), "only a bench board takes it"),
        "no_key_bench": (with_tlv(Tlv.PUBKEY, None), "nor is the other half"),
        "no_signature_bench": (with_tlv(Tlv.ECDSA_SIG, None), "half a signature is not unsigned"),
    }
    for stem, (data, note) in rows.items():
        yield stem, "image_bench" if stem.endswith("_bench") else "image", "SIGNATURE", data, note


def _misfits(signer: Signer) -> Iterator[Made]:
    rows = {
        "kind": (signer.sign(tlvs={"0xa1": "0x00"}), "firmware where a model belongs"),
        "no_kind": (signer.sign(tlvs={"0xa1": None}), ""),
        "unknown_kind": (signer.sign(tlvs={"0xa1": "0x07"}), ""),
        "device_type": (signer.sign(tlvs={"0xa0": "other-board"}), ""),
        "device_type_shorter": (signer.sign(tlvs={"0xa0": DEVICE_TYPE[:-1]}), "a prefix of ours"),
        "device_type_longer": (signer.sign(tlvs={"0xa0": DEVICE_TYPE + "2"}), "ours is a prefix of it"),
        "no_device_type": (signer.sign(tlvs={"0xa0": None}), ""),
        "no_counter": (signer.sign(counter=None), ""),
        "core": (signer.sign(tlvs={"0xa2": "0x02"}), "packed for MVE"),
        "no_core": (signer.sign(tlvs={"0xa2": None}), ""),
        "abi": (signer.sign(tlvs={"0xa3": "0x0200"}), "ABI 2"),
        "no_abi": (signer.sign(tlvs={"0xa3": None}), ""),
        "header_size": (signer.sign(header_bytes=32), "the payload would not be aligned"),
        "bootable": (signer.sign(bootable=True), "a model without NON_BOOTABLE"),
        "dependency": (signer.sign(dependency="(0, 1.3.0)"), "needs a newer firmware than 1.2.3"),
    }
    unkind = read_image(signer.sign(tlvs={"0xa1": None}))
    rows["kind_unprotected"] = (
        rebuild(unkind, [*unkind.tlvs, (Tlv.KIND, b"\x01")]),
        "anybody can add TLVs behind the hashed part",
    )
    for stem, (data, note) in rows.items():
        yield stem, "image", "UNSUPPORTED_TYPE", data, note
    yield "downgrade", "image", "DOWNGRADE", signer.sign(counter=COUNTER - 1), f"counter {COUNTER - 1}"
    two = signer.sign(tlvs={"0xa1": "0x0101"})
    yield "kind_length", "image", "INTEGRITY", two, "well signed, KIND of two bytes"


def _broken(good: bytes) -> Iterator[Made]:
    image = read_image(good)
    header = image.header
    protected = header.header_bytes + header.payload_bytes
    area = header.hashed_bytes
    tlvs = list(image.tlvs)
    sha = image.digest or b""

    def patched(at: int, form: str, value: int) -> bytes:
        new = struct.pack(form, value)
        return good[:at] + new + good[at + len(new) :]

    def flipped(at: int) -> bytes:
        return good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]

    rows: dict[str, tuple[bytes, str]] = {
        "empty": (b"", ""),
        "erased": (b"\xff" * 1024, "an empty slot"),
        "header_only": (good[:32], ""),
        "half_header": (good[:31], ""),
        "half": (good[: len(good) // 2], ""),
        "truncated": (good[:-1], "without its last byte"),
        "trailing": (good + b"\xff", "one byte more than its TLVs say"),
        "magic": (patched(0, "<I", 0x96F3B83C), ""),
        "header_below_32": (patched(8, "<H", 16), ""),
        "header_beyond": (patched(8, "<H", 0xFFFF), ""),
        "payload_beyond": (patched(12, "<I", len(good)), ""),
        "payload_wraps": (patched(12, "<I", 0xFFFF_FFF0), "sizes that wrap in 32 bits"),
        "protected_size": (patched(10, "<H", header.protected_bytes - 4), "not what the area says"),
        "protected_none": (patched(10, "<H", 0), "the area is there all the same"),
        "protected_magic": (patched(protected, "<H", TLV_INFO_MAGIC), ""),
        "protected_total": (patched(protected + 2, "<H", header.protected_bytes + 4), ""),
        "protected_entry": (patched(protected + 6, "<H", 0xFFFF), "an entry beyond its area"),
        "tlv_magic": (patched(area, "<H", 0x6906), ""),
        "tlv_total_beyond": (patched(area + 2, "<H", 0xFFFF), ""),
        "tlv_total_small": (patched(area + 2, "<H", 3), "below its own head"),
        "tlv_entry_beyond": (patched(area + 6, "<H", 0xFFFF), ""),
        "tlv_half_head": (patched(area + 2, "<H", 6), "two bytes where an entry of four begins"),
        "no_digest": (rebuild(image, [(t, v) for t, v in tlvs if t != Tlv.SHA256]), ""),
        "short_digest": (
            rebuild(image, [(t, v[:31] if t == Tlv.SHA256 else v) for t, v in tlvs]),
            "31 bytes",
        ),
        "two_digests": (rebuild(image, [*tlvs, (Tlv.SHA256, sha)]), ""),
        "two_keys": (rebuild(image, [*tlvs, (Tlv.PUBKEY, image.key_der or b"")]), ""),
        "flipped_version": (flipped(20), "one bit of the header"),
        "flipped_payload": (flipped(header.header_bytes + 100), "one bit of the payload"),
        "flipped_counter": (_flip_counter(image), "one bit of the protected counter"),
        "flipped_digest": (flipped(good.index(sha)), "one bit of the digest"),
    }
    for stem, (data, note) in rows.items():
        # In a slot anything may follow an image; in a file of known length nothing may.
        yield stem, "image_file" if stem == "trailing" else "image", "INTEGRITY", data, note


def _malformed(good: bytes) -> Iterator[Made]:
    """Their digest is right, only their form is not: a reader that misses it goes on to say SIGNATURE."""
    header = read_image(good).header
    protected = header.header_bytes + header.payload_bytes
    area = header.hashed_bytes
    core = good.index(struct.pack("<HH", Tlv.CORE, 1), protected)
    abi = good.index(struct.pack("<HH", Tlv.ABI, 2), protected)
    rows = {
        "small_header": (
            ((8, "<H", 16), (12, "<I", header.payload_bytes + header.header_bytes - 16)),
            "a header of 16 bytes; the rest of it counts as payload",
        ),
        "protected_shorter": (
            ((protected + 2, "<H", header.protected_bytes - 6),),
            "the area's total leaves out its last entry",
        ),
        "protected_overlap": (
            ((abi, "<H", 0xA9), (abi + 2, "<H", 2 + 4 + 36)),
            "its last entry, of unknown type, reaches into the next area",
        ),
        "two_kinds": (((core, "<H", Tlv.KIND),), "KIND twice, and no CORE"),
    }
    for stem, (changes, note) in rows.items():
        data = bytearray(good)
        for at, form, value in changes:
            struct.pack_into(form, data, at, value)
        yield stem, "image", "INTEGRITY", redigest(bytes(data), area), note


def _flip_counter(image: Image) -> bytes:
    at = image.data.index(struct.pack("<HHI", Tlv.SEC_CNT, 4, COUNTER)) + 4
    return image.data[:at] + bytes([image.data[at] ^ 8]) + image.data[at + 1 :]
