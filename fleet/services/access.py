"""Who may speak to the broker: every device and agent of the database, nobody else."""

from __future__ import annotations

import threading

from tinyfleet.fleet.core import credentials
from tinyfleet.fleet.services.ports import BrokerUsers, Certificates, Store


class Access:
    def __init__(self, store: Store, users: BrokerUsers, secret: bytes, certificates: Certificates) -> None:
        """`secret` is the fleet's: passwords and seeds are derived from it."""
        self._store = store
        self._users = users
        self._secret = secret
        self._certificates = certificates
        self._lock = threading.Lock()

    def password(self, name: str, credential: int) -> bytes:
        return credentials.password(self._secret, name, credential)

    def hashed(self, name: str, credential: int) -> str:
        return credentials.mosquitto_hash(self._secret, name, credential)

    def seed(self, device: str, credential: int) -> bytes:
        return credentials.seed(self._secret, device, credential)

    def apply(self) -> None:
        """Makes the broker's users those of the database, less those whose certificates were revoked.
        Raises Unavailable when the broker does not follow.

        One at a time, each reading the database afresh, so that an older list never replaces a newer one.
        """
        with self._lock:
            with self._store.read() as tx:
                passwords = tx.devices.passwords() | tx.agents.passwords()
                revoked = tx.enrolments.revoked()
            self._users.apply(passwords, self._certificates.revocations(revoked))

    def shut_out(self, device: str) -> None:
        """`apply`, then ends the connection that the device still has. Raises Unavailable."""
        self.apply()
        self._users.take_over(device)
