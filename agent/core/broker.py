"""By what the manager's broker is reached by TLS, and until when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

DAY_S: Final = 86_400
WARN_S: Final = 30 * DAY_S
"""A certificate that ends this soon is told; a short one in the last third of its life."""


@dataclass(frozen=True, slots=True)
class Validity:
    """Of a certificate, in seconds since the epoch."""

    first_s: int
    last_s: int

    def warning(self, now_s: float) -> str | None:
        """None: it is good for long enough."""
        left_s = self.last_s - now_s
        if left_s > min(WARN_S, (self.last_s - self.first_s) / 3):
            return None
        return "has ended" if left_s <= 0 else f"ends in {left_s / DAY_S:.1f} days"


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """PEM. `authority` alone vouches for the broker, whose certificate must bear the name `server`;
    `certificate` and `key` say who we are."""

    server: str
    authority: str
    certificate: str
    key: str = field(repr=False)
    validity: Validity
