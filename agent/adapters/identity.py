"""Keys of boards, made here and kept nowhere (`services.provisioning_ports.Identities`).

Key and seed lie in two buffers that are overwritten. The library holds the key for the moment of signing, and
what it made of it then is its own to clear.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tinyfleet.agent.core.config_template import SECRET_BYTES, wipe

_RANDOM: Final = Path("/dev/urandom")
# PKCS #8 of an EC key on P-256 without its public part (RFC 5915, RFC 5958), up to the scalar.
_BEFORE_SCALAR: Final = bytes.fromhex(
    "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420"
)
_ORDER: Final = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")


class BoardIdentity:
    def __init__(self) -> None:
        self.key = _random()
        # All but one of 2^32 are below the order at once (FIPS 186-5, A.2.2).
        while not any(self.key) or self.key >= _ORDER:
            self.key = _random()
        self.seed = _random()

    def csr(self) -> bytes:
        """PKCS #10 without a name: the manager gives that."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return builder.sign(self._private(), hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def owns(self, certificate: bytes) -> bool:
        try:
            shown = x509.load_der_x509_certificate(certificate).public_key()
        except ValueError:
            return False
        return shown == self._private().public_key()

    def wipe(self) -> None:
        wipe(self.key)
        wipe(self.seed)

    def __repr__(self) -> str:
        return "BoardIdentity(…)"

    def _private(self) -> ec.EllipticCurvePrivateKey:
        encoded = bytearray(_BEFORE_SCALAR) + self.key
        try:
            made = serialization.load_der_private_key(encoded, None)
        finally:
            wipe(encoded)
        if not isinstance(made, ec.EllipticCurvePrivateKey):
            raise RuntimeError("a P-256 key came out as something else")
        return made


class BoardIdentities:
    def __init__(self) -> None:
        # A crash must not leave the memory that held a key in a file.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def make(self) -> BoardIdentity:
        return BoardIdentity()


def _random() -> bytearray:
    """Straight into a buffer that can be overwritten; os.urandom's answer cannot."""
    buffer = bytearray(SECRET_BYTES)
    with _RANDOM.open("rb", buffering=0) as source:
        if source.readinto(buffer) != len(buffer):
            raise OSError(f"{_RANDOM} gave too few bytes")
    return buffer
