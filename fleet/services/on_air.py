"""The blobs that the broker holds for rollouts and challengers: within their budget, as long as a want names
them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tinyfleet.fleet.core.errors import Refused
from tinyfleet.fleet.core.release import Release, Transport
from tinyfleet.fleet.services.ports import RetainedKind, Tx

RESEND_PAUSE_S: Final = 2.0


class OnAir:
    """One for all who send. What the broker should hold is in the database; here is only when chunks were
    sent again."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._resent_s: dict[bytes, float] = {}

    def check_budget(self, tx: Tx, release: Release, ways: Iterable[Transport]) -> None:
        """Raises Refused when these would not fit beside what is there."""
        live = {row.key: row.size_bytes for row in tx.retained.live_blobs()}
        new = {way.manifest.hex(): way.size_bytes for way in ways if way.manifest.hex() not in live}
        used, needed = sum(live.values()), sum(new.values())
        if used + needed > self._budget_bytes:
            raise Refused(
                f"release {release.name} {release.version} needs {needed} bytes at the broker, "
                f"{used} of {self._budget_bytes} are in use: let other rollouts end, or raise "
                "blob_budget_bytes"
            )

    def publish(self, tx: Tx, manifests: Iterable[bytes]) -> None:
        """What of these is not there already."""
        for manifest in manifests:
            held = tx.retained.get(RetainedKind.BLOB, manifest.hex())
            if held is None or not held.live:
                self._put(tx, manifest)

    def resend(self, tx: Tx, manifests: Iterable[bytes], now_s: float) -> None:
        """The chunks at the broker are not what they should be. At most one republish in a while."""
        for manifest in manifests:
            last_s = self._resent_s.get(manifest)
            if last_s is not None and 0 <= now_s - last_s < RESEND_PAUSE_S:
                continue
            if self._put(tx, manifest):
                self._resent_s[manifest] = now_s

    def collect(self, tx: Tx) -> None:
        """Clears the blobs that no `want` names any more."""
        for row in tx.retained.unnamed_blobs():
            tx.retained.put(RetainedKind.BLOB, row.key, live=False, size_bytes=row.size_bytes)
            self._resent_s.pop(bytes.fromhex(row.key), None)

    @staticmethod
    def _put(tx: Tx, manifest: bytes) -> bool:
        way = tx.releases.transport(manifest)
        if way is not None:
            tx.retained.put(RetainedKind.BLOB, manifest.hex(), live=True, size_bytes=way.size_bytes)
        return way is not None
