"""The fleet's certificate authority: one P-256 key, which vouches for the broker and for every device.

Everything but the authority's own key is derived from the fleet's secret, and signed deterministically
(RFC 6979), so that provisioning a device again gives the same records and nothing needs to be kept but which
certificates are good no more. A device that was enrolled by a token has a key of its own: it shows the public
part, and nobody but the device knows the other.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tinyfleet.fleet.adapters.signer import ensure_key
from tinyfleet.fleet.core.errors import BadInput, Unavailable
from tinyfleet.fleet.services.ports import ClientTls, Revoked
from tinyfleet.wire.messages import NodeTls, TlsChange

SERVER: Final = "broker.tinyfleet"
"""The name nodes look for; a dot cannot stand in a device id, so no device's certificate bears it."""
FIRST_DAY: Final = datetime.date(2025, 1, 1)
LAST_DAY: Final = datetime.date(2055, 1, 1)
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SERIAL_BYTES: Final = 16
SCALAR_BYTES: Final = 32
CSR_MAX_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class BrokerIdentity:
    """What the broker's TLS listener reads, as PEM."""

    authority: bytes
    certificate: bytes
    key: bytes
    revocations: bytes
    """Of nobody: for a broker that starts before the manager knows better."""

    def __repr__(self) -> str:
        return "BrokerIdentity(…)"


class Authority:
    """`services.ports.Certificates`. The key is made when it is first needed."""

    def __init__(self, key: Path, secret: bytes) -> None:
        self._path = key
        self._secret = secret
        self._lock = threading.Lock()
        self._key: ec.EllipticCurvePrivateKey | None = None

    def broker(self) -> BrokerIdentity:
        """Raises Unavailable when the authority's key cannot be read."""
        key = self._derived("broker")
        name = x509.SubjectAlternativeName([x509.DNSName(SERVER)])
        certificate = self._issue("broker", SERVER, key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, name)
        return BrokerIdentity(
            _pem(self._certificate()),
            _pem(certificate),
            _key_pem(key),
            self.revocations(()),
        )

    def device(self, name: str, credential: int) -> NodeTls:
        """What a device's configuration holds. Raises Unavailable when the authority's key cannot be read."""
        purpose = f"device/{credential}/{name}"
        key = self._derived(purpose)
        scalar = key.private_numbers().private_value.to_bytes(SCALAR_BYTES, "big")
        return self._identity(purpose, name, key.public_key(), scalar)

    def client(self, name: str, credential: int, change: TlsChange | None = None) -> ClientTls:
        """As `device`, for a program: `change` is what `renewed` gave it instead of its first certificate.
        Raises Unavailable."""
        purpose = f"device/{credential}/{name}"
        key = self._derived(purpose)
        if change is None or change.certificate is None:
            certificate = self._issue(purpose, name, key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH)
        else:
            certificate = x509.load_der_x509_certificate(change.certificate)
        return ClientTls(
            server=SERVER,
            authority=_pem(self._certificate()).decode(),
            certificate=_pem(certificate).decode(),
            key=_key_pem(key).decode(),
        )

    def enrolled(self, name: str, credential: int, key: bytes) -> NodeTls:
        """As `device`, for a key of the device's own, of which this is the public part: where the scalar
        stands in what is answered are zeros. Raises Unavailable as `device`."""
        purpose = f"device/{credential}/{name}"
        return self._identity(purpose, name, _public(key), bytes(SCALAR_BYTES))

    def requested(self, csr: bytes) -> bytes:
        """The public key, an uncompressed point, of a PKCS #10 request (RFC 2986). Its names count for
        nothing. Raises BadInput: no request, another curve, or not signed by its own key."""
        if len(csr) > CSR_MAX_BYTES:
            raise BadInput(f"certificate request: expected at most {CSR_MAX_BYTES} bytes, got {len(csr)}")
        try:
            request = x509.load_der_x509_csr(csr)
            key = request.public_key()
            signed = request.is_signature_valid
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadInput("certificate request: expected PKCS #10 in DER; make another") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadInput("certificate request: expected a P-256 key; make another")
        if not signed:
            raise BadInput("certificate request: its own key did not sign it; make another")
        return _point(key)

    def authority(self) -> bytes:
        """The authority's own certificate, DER. Raises Unavailable as `device`."""
        return self._certificate().public_bytes(serialization.Encoding.DER)

    def _identity(self, purpose: str, name: str, key: ec.EllipticCurvePublicKey, scalar: bytes) -> NodeTls:
        certificate = self._issue(purpose, name, key, ExtendedKeyUsageOID.CLIENT_AUTH)
        return NodeTls(
            server=SERVER,
            ca_name=self._name().public_bytes(),
            ca_key=_point(self._own_key().public_key()),
            certificate=certificate.public_bytes(serialization.Encoding.DER),
            key=scalar,
            day=_days(FIRST_DAY) + 1,
        )

    def renewed(
        self,
        name: str,
        credential: int,
        sequence: int,
        today: datetime.date,
        days: int | None = None,
        key: bytes | None = None,
    ) -> TlsChange:
        """Another certificate for the key that the device has (`key`, when it is its own), good from today
        for `days`, or to the end.

        The same every time. Raises Unavailable when the authority's key cannot be read.
        """
        purpose = f"device/{credential}/{name}"
        last = LAST_DAY if days is None else min(LAST_DAY, today + datetime.timedelta(days=days))
        public = self._derived(purpose).public_key() if key is None else _public(key)
        certificate = self._issue(
            *(purpose, name, public, ExtendedKeyUsageOID.CLIENT_AUTH),
            rotation=sequence,
            first=today,
            last=last,
        )
        return TlsChange(certificate=certificate.public_bytes(serialization.Encoding.DER), day=_days(today))

    def revocations(self, revoked: Sequence[Revoked]) -> bytes:
        """The list of certificates that are good no more (RFC 5280, section 5), PEM.

        A broker that reads its files again keeps the lists it read before and takes the one with the newest
        date. Certificates are only ever added, so their number makes a date that is always newer and never in
        the future, whatever the clock says. Raises Unavailable when the authority's key cannot be read.
        """
        purposes = [f"device/{each.credential}/{each.device}" for each in revoked]
        numbers = [
            self._number(purpose, rotation)
            for purpose, each in zip(purposes, revoked, strict=True)
            for rotation in range(each.sequence + 1)
        ]
        first = _midnight(FIRST_DAY)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name())
            .last_update(first + datetime.timedelta(seconds=len(numbers)))
            .next_update(_midnight(LAST_DAY))
            .add_extension(x509.CRLNumber(len(numbers)), critical=False)
        )
        for number in numbers:
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(first).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._own_key(), hashes.SHA256(), ecdsa_deterministic=True).public_bytes(
            serialization.Encoding.PEM
        )

    def _own_key(self) -> ec.EllipticCurvePrivateKey:
        with self._lock:
            if self._key is None:
                try:
                    key = serialization.load_pem_private_key(ensure_key(self._path).read_bytes(), None)
                except (OSError, ValueError) as error:
                    raise Unavailable(f"authority {self._path}: {error}; restore it from a backup") from error
                if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
                    raise Unavailable(f"authority {self._path}: no P-256 key; restore it from a backup")
                self._key = key
            return self._key

    def _name(self) -> x509.Name:
        """Of this fleet alone: two fleets' authorities are told apart by their keys."""
        mark = hashlib.sha256(_point(self._own_key().public_key())).hexdigest()[:12]
        return _common_name(f"tinyfleet {mark}")

    def _certificate(self) -> x509.Certificate:
        number = self._number("authority", 0)
        builder = self._builder(self._name(), self._own_key().public_key(), number, FIRST_DAY, LAST_DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return builder.sign(self._own_key(), hashes.SHA256(), ecdsa_deterministic=True)

    def _issue(
        self,
        purpose: str,
        name: str,
        key: ec.EllipticCurvePublicKey,
        usage: x509.ObjectIdentifier,
        *more: x509.ExtensionType,
        rotation: int = 0,
        first: datetime.date = FIRST_DAY,
        last: datetime.date = LAST_DAY,
    ) -> x509.Certificate:
        builder = self._builder(_common_name(name), key, self._number(purpose, rotation), first, last)
        for extension in (x509.ExtendedKeyUsage([usage]), *more):
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._own_key(), hashes.SHA256(), ecdsa_deterministic=True)

    def _number(self, purpose: str, rotation: int) -> int:
        """Of one certificate: no two of an authority bear the same (RFC 5280, 4.1.2.2)."""
        return int.from_bytes(self._derive(f"serial/{purpose}/{rotation}")[:_SERIAL_BYTES], "big") | 1

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        number: int,
        first: datetime.date,
        last: datetime.date,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(self._name())
            .subject_name(subject)
            .public_key(key)
            .serial_number(number)
            .not_valid_before(_midnight(first))
            .not_valid_after(_midnight(last))
        )

    def _derived(self, purpose: str) -> ec.EllipticCurvePrivateKey:
        """A key of its own for each purpose: 512 bits reduced, as FIPS 186-5 A.2.1 does with a margin."""
        wide = self._derive(f"key/{purpose}/0") + self._derive(f"key/{purpose}/1")
        return ec.derive_private_key(int.from_bytes(wide, "big") % (_ORDER - 1) + 1, ec.SECP256R1())

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._secret, f"tinyfleet/tls/{purpose}".encode(), "sha256")


def _days(day: datetime.date) -> int:
    return (day - datetime.date(1970, 1, 1)).days


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _public(point: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)
