"""Unsigned images for the bench: from a payload, and from a signed image with its digest kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyfleet.agent.core.bench_image import bench_image, runnable_image, wrap_model
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.wire.artifact import ABI
from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.image import read_image, verify_digest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def payload() -> bytes:
    source = ROOT / "examples" / "livestock" / "livestock_v1.tflite"
    return compile_model(source.read_bytes(), ModelSpec(name="m", version="1.2.3"))


def test_a_payload_is_wrapped(payload: bytes) -> None:
    image = bench_image(payload, "microbit", "a.model")
    assert image.payload == payload
    assert verify_digest(image) == image.digest
    assert str(image.header.version) == "1.2.3"
    assert (image.device_type, image.kind, image.core, image.abi, image.security_counter) == (
        "microbit",
        ArtifactKind.MODEL,
        CoreVariant.PORTABLE,
        ABI,
        0,
    )
    assert (image.key_der, image.signature) == (None, None)
    # The payload's alignment in flash is what the kernels count on.
    assert image.header.header_bytes == 64


def test_a_signed_image_keeps_its_digest_without_signature(payload: bytes) -> None:
    signed = read_image(wrap_model(payload, "microbit"))
    tail = bytes.fromhex("0769") + (4 + 36 + 4 + 91 + 4 + 70).to_bytes(2, "little")
    digest = signed.data[-36:]
    key, signature = b"\x02\0\x5b\0" + bytes(91), b"\x22\0\x46\0" + bytes(70)
    data = signed.data[: signed.header.hashed_bytes] + tail + key + digest + signature
    assert read_image(data).key_der == bytes(91)
    image = bench_image(data, "microbit", "a.img")
    assert image.digest == signed.digest
    assert (image.key_der, image.signature) == (None, None)
    assert verify_digest(image) == signed.digest


def test_what_is_no_model_for_this_board_is_refused(payload: bytes) -> None:
    with pytest.raises(
        PlanError, match=r"a\.img is an image of kind 1 for 'other', expected a model for 'microbit'"
    ):
        bench_image(wrap_model(payload, "other"), "microbit", "a.img")
    with pytest.raises(PlanError, match="x: no model: "):
        bench_image(b"nonsense", "microbit", "x")
    broken = bytearray(wrap_model(payload, "microbit"))
    broken[200] ^= 1
    with pytest.raises(PlanError, match="x: no model: image digest"):
        bench_image(bytes(broken), "microbit", "x")


def test_a_model_packed_for_another_core_is_refused_before_the_board_would(payload: bytes) -> None:
    source = ROOT / "examples" / "livestock" / "livestock_v1.tflite"
    spec = ModelSpec(name="m", version="1", core=CoreVariant.DSP)
    packed = compile_model(source.read_bytes(), spec)
    with pytest.raises(
        PlanError, match=r"packed for core DSP, expected PORTABLE for microbit; .*--device-type"
    ):
        runnable_image(packed, "microbit", "a.model")
    assert runnable_image(packed, "mps2-an386", "a.model").core == CoreVariant.DSP
    assert runnable_image(payload, "mps2-an386", "a.model").core == CoreVariant.PORTABLE, "runs everywhere"
    with pytest.raises(PlanError, match="core DSP, expected PORTABLE or MVE"):
        runnable_image(packed, "mps3-an547", "a.model")


@pytest.mark.parametrize(
    ("version", "seen"), [("7", "7.0.0"), ("1.2.3-rc+9", "1.2.0"), ("999.1.70000", "255.1.65535")]
)
def test_versions_an_image_cannot_hold_are_cut(version: str, seen: str) -> None:
    source = ROOT / "examples" / "livestock" / "livestock_v1.tflite"
    payload = compile_model(source.read_bytes(), ModelSpec(name="m", version=version))
    assert str(read_image(wrap_model(payload, "microbit")).header.version) == seen
