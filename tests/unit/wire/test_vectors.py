"""Every vector is what its row says, and no byte of one can change unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinyfleet.wire import errors
from tinyfleet.wire.blobs import decode_manifest
from tinyfleet.wire.codec import decode, encode, message_class, to_json
from tinyfleet.wire.enums import Result
from tinyfleet.wire.errors import ImageError, WireError
from tinyfleet.wire.image import Verify, check_image, read_image
from tinyfleet.wire.messages import Feed, NodeConfig, Trust, Want
from tinyfleet.wire.records import decode_record, encode_record, read_golden, read_replay
from tinyfleet.wire.topics import Topics
from tinyfleet.wire.vectors import make
from tinyfleet.wire.vectors.image_vectors import ACCEPTS, ACCEPTS_FIRMWARE
from tinyfleet.wire.vectors.index import HERE, Vector, read_index
from tinyfleet.wire.vectors.message_vectors import CONFIG

INDEX = read_index()
IMAGE_KINDS = {"image", "image_bench", "image_file", "image_firmware"}
TRUSTED = decode_record(Trust, next(row for row in INDEX if row.file == "trust_of_images.bin").data).keys


def read_as(kind: str, data: bytes, verify: Verify) -> object:
    """The value of `data`, all checks done. WireError."""
    match kind:
        case "manifest":
            return decode_manifest(data)
        case "topic":
            return Topics().parse(data.decode())
        case "record_trust":
            return decode_record(Trust, data)
        case "record_config":
            return decode_record(NodeConfig, data)
        case "record_replay":
            return read_replay(data)
        case "record_golden":
            return read_golden(data)
        case "record_feed":
            return decode_record(Feed, data)
        case kind if kind in IMAGE_KINDS:
            return check_image(
                read_image(data),
                trusted=TRUSTED,
                verify=verify,
                accepts=ACCEPTS_FIRMWARE if kind == "image_firmware" else ACCEPTS,
                allow_unsigned=kind == "image_bench",
            )
    return decode(message_class(kind), data)


def outcome(kind: str, data: bytes, verify: Verify) -> str:
    try:
        read_as(kind, data, verify)
    except ImageError as error:
        return error.result.name
    except WireError as error:
        return type(error).__name__
    return "SUCCESS" if kind in IMAGE_KINDS else "OK"


def row_id(row: Vector) -> str:
    return f"{row.set}-{row.file.removesuffix('.bin')}"


@pytest.mark.parametrize("row", INDEX, ids=row_id)
def test_vector_is_what_its_row_says(row: Vector, verify: Verify) -> None:
    assert outcome(row.kind, row.data, verify) == row.expected
    assert (row.set == "accept") == (row.expected in ("OK", "SUCCESS"))


def test_index_and_folders_hold_the_same_files() -> None:
    for place in ("accept", "reject"):
        listed = {row.file for row in INDEX if row.set == place}
        assert listed == {path.name for path in (HERE / place).glob("*.bin")}


def test_expected_names_exist() -> None:
    results = {member.name for member in Result}
    for row in INDEX:
        assert row.expected in {"OK", *results} or issubclass(getattr(errors, row.expected), WireError), row


def test_vectors_are_frozen() -> None:
    """Code that would make other bytes than the committed ones changes the wire."""
    for path, data in make.stable().items():
        assert (HERE / path).read_bytes() == data, path


def test_no_vector_has_a_changed_byte() -> None:
    assert (HERE / "SHA256SUMS").read_text() == make.sums(), "a vector changed; restore it from git"


@pytest.mark.parametrize("path", sorted((HERE / "accept").glob("*.json")), ids=lambda path: path.stem)
def test_accepted_message_means_what_its_json_says(path: Path) -> None:
    row = next(row for row in INDEX if row.path.with_suffix(".json") == path)
    message = decode(message_class(row.kind), row.data)
    assert to_json(message) == json.loads(row.path.with_suffix(".json").read_text())
    if not row.note.endswith("ignored") and row.file not in ("want_deepest.bin", "want_largest.bin"):
        assert encode(message) == row.data


def test_hidden_fields_are_read_all_the_same() -> None:
    row = next(row for row in INDEX if row.file == "config.bin")
    assert decode(NodeConfig, row.data) == CONFIG


# Their second half means nothing to this version, so a flip there need not show in the value.
_UNKNOWN = {"want_unknown_keys.bin", "want_deepest.bin", "want_largest.bin"}


@pytest.mark.parametrize(
    "row", [r for r in INDEX if r.set == "accept" and r.file not in _UNKNOWN], ids=row_id
)
def test_a_flipped_bit_is_refused_or_changes_the_value(row: Vector, verify: Verify) -> None:
    good = read_as(row.kind, row.data, verify)
    size = len(row.data)
    # Bytes after a record's CRC are not part of it; the long gaps of a replay region are erased flash.
    end = size if not row.kind.startswith("record_") else record_end(row.data)
    # A signature check takes 0.1 ms, so images are flipped everywhere but once a byte.
    masks = (0x01,) if row.kind in IMAGE_KINDS or size > 2000 else (0x01, 0x80)
    for at in range(end):
        for mask in masks:
            data = bytearray(row.data)
            data[at] ^= mask
            try:
                value = read_as(row.kind, bytes(data), verify)
            except (WireError, UnicodeDecodeError):
                continue
            assert row.kind not in IMAGE_KINDS and not row.kind.startswith("record_"), f"byte {at}"
            assert value != good, f"byte {at}"


def record_end(data: bytes) -> int:
    body = 8 + int.from_bytes(data[6:8], "little")
    return body + -body % 4 + 4


def test_vectors_by_hand() -> None:
    """Two messages written out from RFC 8949 by hand, so that reader and writer cannot be wrong together."""
    want = bytes.fromhex(
        "a3"  # map of 3
        "00 182a"  # 0 generation: 42
        "06 a1 00 05"  # 6 trial: {0 inferences: 5}
        "07 1903e8"  # 7 period_s: 1000
    )
    message = decode(Want, want)
    assert (message.generation, message.period_s) == (42, 1000)
    assert message.trial is not None and message.trial.inferences == 5
    assert encode(message) == want
    covered = bytes.fromhex(
        "54465231 0100 2500"  # "TFR1", kind 1, 37 bytes
        "a1 00 81 5820"
        + "11" * 32  # {0 keys: [32 bytes]}
        + "ffffff"  # to a multiple of 4
    )
    record = covered + crc32_by_bits(covered).to_bytes(4, "little")
    assert decode_record(Trust, record).keys == (b"\x11" * 32,)
    assert encode_record(Trust(keys=(b"\x11" * 32,))) == record


def crc32_by_bits(data: bytes) -> int:
    """IEEE 802.3, reflected, bit by bit."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB8_8320 if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF
