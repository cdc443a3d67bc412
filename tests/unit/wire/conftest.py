"""What the wire's tests share: the signature check a caller hands in, by the `cryptography` package."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tinyfleet.wire.image import Verify


def _verify(key_der: bytes, signature: bytes, digest: bytes) -> bool:
    try:
        key = load_der_public_key(key_der)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.fixture(scope="session")
def verify() -> Verify:
    return _verify
