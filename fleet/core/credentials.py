"""Passwords and seeds of devices, derived from one secret of the fleet.

Derived, not drawn: provisioning a device again gives the same records, and no password needs to be stored.
The credential number changes them all (RFC 5869 in its simplest form: one HMAC an output).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

SECRET_BYTES: Final = 32
_ITERATIONS: Final = 101
_SALT_BYTES: Final = 12


def _derive(secret: bytes, purpose: str, name: str, credential: int) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"the fleet's secret must have {SECRET_BYTES} bytes, not {len(secret)}")
    return hmac.digest(secret, f"tinyfleet/{purpose}/{credential}/{name}".encode(), "sha256")


def password(secret: bytes, name: str, credential: int = 1) -> bytes:
    """43 characters of base64url: 256 bits."""
    return base64.urlsafe_b64encode(_derive(secret, "password", name, credential)).rstrip(b"=")


def seed(secret: bytes, device: str, credential: int) -> bytes:
    """32 bytes for the node's random numbers."""
    return _derive(secret, "seed", device, credential)


def mosquitto_hash(secret: bytes, name: str, credential: int = 1) -> str:
    """What mosquitto's password file holds for a user: `$7$` PBKDF2-HMAC-SHA512 (mosquitto 2.0
    password_mosq.c).

    101 iterations, as mosquitto_passwd writes: the passwords carry 256 bits, so stretching adds nothing.
    """
    salt = _derive(secret, "salt", name, credential)[:_SALT_BYTES]
    key = hashlib.pbkdf2_hmac("sha512", password(secret, name, credential), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${_b64(salt)}${_b64(key)}"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
