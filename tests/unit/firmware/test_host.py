"""The firmware's host tests: built with ASan and UBSan by the `host` preset, run by CTest.

Two of them get images here that the real imgtool signed, with a key that lives only while this runs; one a
configuration and certificates of an authority that lives as long.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.host_build import TIMEOUT_S as BUILD_TIMEOUT_S
from tests.host_build import build_host

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.model.compiler import InputSpec, ModelSpec, compile_model
from tinyfleet.wire.image import read_image
from tinyfleet.wire.messages import NodeConfig, Trust
from tinyfleet.wire.records import encode_record

ROOT = Path(__file__).resolve().parents[3]
LIVESTOCK = ROOT / "examples" / "livestock"
RUN_TIMEOUT_S = 300

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_S + RUN_TIMEOUT_S)


def run(*command: str | Path, timeout_s: float, cwd: Path = ROOT) -> str:
    """Output of a command; a failure fails the test with the end of that output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command[:3])
        pytest.fail(f"{shown}: exit {done.returncode}\n{done.stdout[-6000:]}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="module")
def build() -> Path:
    """Folder with the host tests, built."""
    return build_host()


@dataclass(frozen=True)
class Signer:
    """imgtool with one key, in a folder of its own."""

    folder: Path

    @property
    def _key(self) -> Path:
        return self.folder / "key.pem"

    def make_key(self) -> None:
        self._imgtool("keygen", "--type", "ecdsa-p256", "--key", self._key)

    def sign(self, name: str, payload: bytes, version: str) -> Path:
        """Path of the image of `payload`, with the flags of SPEC section 7."""
        source, image = self.folder / f"{name}.payload", self.folder / f"{name}.img"
        source.write_bytes(payload)
        tlvs = {"0xa0": "0x" + b"test-board".hex(), "0xa1": "0x01", "0xa2": "0x00", "0xa3": "0x0100"}
        self._imgtool(
            *("sign", "--key", self._key, "--public-key-format", "full"),
            *("--header-size", "0x40", "--pad-header", "--align", "4", "--slot-size", "0x200000"),
            *("--version", version, "--security-counter", "1", "--non-bootable"),
            *(part for tag, value in tlvs.items() for part in ("--custom-tlv", tag, value)),
            *(source, image),
        )
        return image

    def trust(self, image: Path) -> Path:
        """Path of the record that trusts the key of `image`."""
        key = read_image(image.read_bytes()).key_der
        assert key is not None
        path = self.folder / "trust.bin"
        path.write_bytes(encode_record(Trust(keys=(hashlib.sha256(key).digest(),))))
        return path

    def _imgtool(self, *arguments: str | Path) -> None:
        run(sys.executable, "-m", "imgtool.main", *arguments, timeout_s=60)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    signer = Signer(tmp_path_factory.mktemp("signer"))
    signer.make_key()
    return signer


def livestock(version: int) -> bytes:
    """Payload of an example model with a few golden vectors."""
    windows = np.random.default_rng(version).integers(-128, 128, (4, 384), dtype=np.int8)
    spec = ModelSpec(
        name="livestock",
        version=f"{version}.0.0",
        input=InputSpec(samples=128, channels=3),
        golden_inputs=[window.tobytes() for window in windows],
    )
    return compile_model((LIVESTOCK / f"livestock_v{version}.tflite").read_bytes(), spec)


def test_all_host_tests_pass(build: Path) -> None:
    run("ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error", timeout_s=RUN_TIMEOUT_S)


def test_every_power_cut_of_an_update_that_imgtool_signed(build: Path, signer: Signer) -> None:
    payloads = np.random.default_rng(7).integers(0, 256, (2, 20001), dtype=np.uint8)
    first = signer.sign("first", payloads[0].tobytes(), "1.0.0")
    second = signer.sign("second", payloads[1].tobytes(), "1.0.1+3")
    out = run(build / "tests" / "test_power_cut", signer.trust(first), first, second, timeout_s=RUN_TIMEOUT_S)
    print(out)
    assert "cut points" in out


def test_models_are_tried_by_the_real_runtime(build: Path, signer: Signer) -> None:
    payload = livestock(2)
    first = signer.sign("v1", livestock(1), "1.0.0")
    second = signer.sign("v2", payload, "2.0.0")
    broken = bytearray(payload)
    # The golden vectors are the last section; their last byte is one of an expected output.
    broken[-1] ^= 0x40
    wrong = signer.sign("wrong", bytes(broken), "2.0.1")
    out = run(
        build / "tests" / "model_update", signer.trust(first), first, second, wrong, timeout_s=RUN_TIMEOUT_S
    )
    assert "golden vectors run" in out


def test_the_tls_link_against_a_server_of_the_same_library(build: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority.pem", bytes(range(32)))
    identity = authority.broker()
    config = NodeConfig(
        device="node-1",
        host="127.0.0.1",
        port=8883,
        user="node-1",
        password=b"",
        prefix="tf/1",
        keepalive_s=30,
        seed=bytes(32),
        period_s=1,
        tls=authority.device("node-1", 1),
    )
    key = serialization.load_pem_private_key(identity.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    parts = {
        "config.bin": encode_record(config),
        "broker.der": x509.load_pem_x509_certificate(identity.certificate).public_bytes(
            serialization.Encoding.DER
        ),
        "broker.key": key.private_numbers().private_value.to_bytes(32, "big"),
    }
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    out = run(build / "tests" / "tls_link", *(tmp_path / name for name in parts), timeout_s=RUN_TIMEOUT_S)
    assert "ok noise_ends_it_once" in out
