"""The firmware of a board for which an agent speaks: what is remembered of it, and what is told."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from tinyfleet.wire.messages import SlotInfo


@dataclass(frozen=True, slots=True)
class Installed:
    """A bench app that the agent brought. Its image's header is not in the board's flash, so the agent
    remembers which image it was: `content` is the SHA-256 of its `size_bytes` of payload."""

    image: bytes
    version: str
    content: bytes
    size_bytes: int

    def is_in(self, region: bytes) -> bool:
        """Whether it is what the app's region in flash begins with."""
        found = hashlib.sha256(region[: self.size_bytes]).digest()
        return hmac.compare_digest(found, self.content)


@dataclass(frozen=True, slots=True)
class Firmware:
    """What runs, and the places for another; without `places` the board takes none. `image` None: nobody
    knows which image it is. `counter`: the lowest security counter that the board itself takes."""

    version: str
    image: bytes | None = None
    counter: int = 0
    slot: int | None = None
    places: tuple[SlotInfo, ...] = ()

    @property
    def room_bytes(self) -> int:
        return max((place.size_bytes for place in self.places), default=0)
