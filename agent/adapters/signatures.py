"""ECDSA P-256 over SHA-256, as images are signed (SPEC section 7)."""

from __future__ import annotations


def verify_ecdsa(key_der: bytes, signature: bytes, digest: bytes) -> bool:
    """`wire.image.Verify`. A broken key or signature is not the key's."""
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
