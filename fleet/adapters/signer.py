"""Signs images with imgtool, as its command line, so that a hang or a crash stays outside the manager.

The private key never leaves the state folder and is never logged. Flags are those of SPEC section 7.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from tinyfleet.fleet.core.errors import BadInput, Unavailable
from tinyfleet.fleet.services.ports import SigningRequest
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.image_format import FIRMWARE_HEADER_BYTES, HEADER_BYTES, MODEL_HEADER_BYTES, Tlv
from tinyfleet.wire.memory_map import MPS2_AN386

TIMEOUT_S: Final = 30.0
MODEL_SLOT_BYTES: Final = MPS2_AN386["model_a"].size_bytes
FIRMWARE_SLOT_BYTES: Final = MPS2_AN386["firmware_a"].size_bytes


class ImgtoolSigner:
    """`services.ports.Signer`. The key is made when it is first needed."""

    def __init__(self, key: Path) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._hash: bytes | None = None

    def key_hash(self) -> bytes:
        with self._lock:
            if self._hash is None:
                self._hash = hashlib.sha256(public_der(ensure_key(self._key))).digest()
            return self._hash

    def sign(self, request: SigningRequest) -> bytes:
        self.key_hash()
        with tempfile.TemporaryDirectory(prefix="tinyfleet-sign-") as folder:
            source, result = Path(folder) / "payload.bin", Path(folder) / "image.bin"
            source.write_bytes(request.payload)
            model = request.kind is ArtifactKind.MODEL
            command = [
                *(sys.executable, "-m", "imgtool.main", "sign"),
                *("--key", str(self._key), "--public-key-format", "full", "--pad-header", "--align", "4"),
                *("--version", request.version, "--security-counter", str(request.security_counter)),
                *_tlv(Tlv.DEVICE_TYPE, request.device_type.encode()),
                *_tlv(Tlv.KIND, bytes([request.kind])),
                *_tlv(Tlv.ABI, request.abi.to_bytes(2, "little")),
                *(_of_model(request) if model else _of_firmware(request)),
                *(str(source), str(result)),
            ]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired as error:
                raise Unavailable(f"imgtool did not answer in {TIMEOUT_S:g} s; try again") from error
            if done.returncode != 0:
                raise BadInput(
                    f"imgtool refused to sign version {request.version}: {_last_line(done.stderr)}"
                )
            return result.read_bytes()


def _tlv(tag: Tlv, value: bytes) -> tuple[str, str, str]:
    return "--custom-tlv", hex(tag), "0x" + value.hex()


def _of_model(request: SigningRequest) -> list[str]:
    needs = request.needs_firmware
    return [
        *("--header-size", hex(MODEL_HEADER_BYTES), "--slot-size", hex(MODEL_SLOT_BYTES), "--non-bootable"),
        *_tlv(Tlv.CORE, bytes([request.core])),
        *(() if needs is None else ("--dependencies", f"(0, {needs})")),
    ]


def _of_firmware(request: SigningRequest) -> list[str]:
    header_bytes = HEADER_BYTES if request.bare else FIRMWARE_HEADER_BYTES
    stays = request.in_slot or request.bare
    return [
        *("--header-size", hex(header_bytes), "--slot-size", hex(FIRMWARE_SLOT_BYTES)),
        *("--rom-fixed" if stays else "--load-addr", hex(request.address)),
        *_tlv(Tlv.OPS, request.ops),
        *_tlv(Tlv.CORES, bytes([sum(1 << core for core in request.cores)])),
    ]


def ensure_key(path: Path) -> Path:
    """The ECDSA P-256 key at `path`, made now if there is none; readable by its owner only."""
    if path.exists():
        return path
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def public_der(path: Path) -> bytes:
    """SubjectPublicKeyInfo of the private key at `path`. Raises Unavailable when it cannot be read."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise Unavailable(f"signing key {path}: {error}; restore it from a backup") from error
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def verify_ecdsa(key_der: bytes, signature: bytes, digest: bytes) -> bool:
    """Whether `signature` (DER) over `digest` (SHA-256) is the key's. A broken key or signature is not."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    try:
        key = serialization.load_der_public_key(key_der)
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            return False
        key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"
