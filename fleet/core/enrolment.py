"""One-time tokens: a board becomes a device of the fleet by one of them, once.

Who holds a token may have a certificate for a key of his own. Until a device with that key has been heard,
the token may be used again, by the same device for another key: a programmer that was cut off cannot know
what it had made. Then it is spent.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tinyfleet.fleet.core.errors import BadInput

PREFIX: Final = "tfe_"
"""By which scanners for leaked secrets, and people, know one."""
WORD_BYTES: Final = 32
WORD_PATTERN: Final = re.compile(r"tfe_[A-Za-z0-9_-]{43}")
PENDING_S: Final = 600.0
"""How long the first birth may take at least, however late the token was used first."""
VALID_MAX_S: Final = 30 * 86_400.0
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class TokenState(Enum):
    OPEN = "OPEN"
    PENDING = "PENDING"
    """A certificate was given; the device was not heard yet, and is not registered."""
    USED = "USED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class TokenEvent(Enum):
    ENROL = "ENROL"
    BIRTH = "BIRTH"
    """The first, with the configuration that was given."""
    EXPIRE = "EXPIRE"
    REVOKE = "REVOKE"


class TokenEffect(Enum):
    NOTHING = "NOTHING"
    REFUSE = "REFUSE"
    GIVE = "GIVE"
    """A certificate; one that was given before is good no more."""
    REGISTER = "REGISTER"
    SHUT_OUT = "SHUT_OUT"
    """The certificate that was given is good no more."""


TABLE: Final[Mapping[tuple[TokenState, TokenEvent], tuple[TokenState, TokenEffect]]] = {
    (TokenState.OPEN, TokenEvent.ENROL): (TokenState.PENDING, TokenEffect.GIVE),
    (TokenState.OPEN, TokenEvent.BIRTH): (TokenState.OPEN, TokenEffect.NOTHING),
    (TokenState.OPEN, TokenEvent.EXPIRE): (TokenState.EXPIRED, TokenEffect.NOTHING),
    (TokenState.OPEN, TokenEvent.REVOKE): (TokenState.REVOKED, TokenEffect.NOTHING),
    (TokenState.PENDING, TokenEvent.ENROL): (TokenState.PENDING, TokenEffect.GIVE),
    (TokenState.PENDING, TokenEvent.BIRTH): (TokenState.USED, TokenEffect.REGISTER),
    (TokenState.PENDING, TokenEvent.EXPIRE): (TokenState.EXPIRED, TokenEffect.SHUT_OUT),
    (TokenState.PENDING, TokenEvent.REVOKE): (TokenState.REVOKED, TokenEffect.SHUT_OUT),
    (TokenState.USED, TokenEvent.ENROL): (TokenState.USED, TokenEffect.REFUSE),
    (TokenState.USED, TokenEvent.BIRTH): (TokenState.USED, TokenEffect.NOTHING),
    (TokenState.USED, TokenEvent.EXPIRE): (TokenState.USED, TokenEffect.NOTHING),
    (TokenState.USED, TokenEvent.REVOKE): (TokenState.USED, TokenEffect.REFUSE),
    (TokenState.EXPIRED, TokenEvent.ENROL): (TokenState.EXPIRED, TokenEffect.REFUSE),
    (TokenState.EXPIRED, TokenEvent.BIRTH): (TokenState.EXPIRED, TokenEffect.NOTHING),
    (TokenState.EXPIRED, TokenEvent.EXPIRE): (TokenState.EXPIRED, TokenEffect.NOTHING),
    (TokenState.EXPIRED, TokenEvent.REVOKE): (TokenState.EXPIRED, TokenEffect.REFUSE),
    (TokenState.REVOKED, TokenEvent.ENROL): (TokenState.REVOKED, TokenEffect.REFUSE),
    (TokenState.REVOKED, TokenEvent.BIRTH): (TokenState.REVOKED, TokenEffect.NOTHING),
    (TokenState.REVOKED, TokenEvent.EXPIRE): (TokenState.REVOKED, TokenEffect.NOTHING),
    (TokenState.REVOKED, TokenEvent.REVOKE): (TokenState.REVOKED, TokenEffect.NOTHING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token; `hash` is the SHA-256 of its word, which nobody keeps.

    `device`: the only id it is good for; given when it was made, or by its first use. `replaces`: that
    device may be registered already. `release`: whose firmware the board starts with. From its first use on,
    `key` is the device's public key (P-256, uncompressed), `credential` and `sequence` number what it was
    given, `keepalive_s` is of that, and `conn` is what it said last of its connection.
    """

    id: int
    hash: bytes
    site: str
    made_s: float
    expires_s: float
    changed_s: float
    state: TokenState = TokenState.OPEN
    device_type: str | None = None
    device: str | None = None
    replaces: bool = False
    release: str | None = None
    release_version: str | None = None
    key: bytes | None = None
    credential: int | None = None
    sequence: int | None = None
    keepalive_s: int = 0
    conn: bytes | None = None


def new_word() -> str:
    """256 bits that whoever is to provision a board must show. Told once, never kept."""
    return PREFIX + secrets.token_urlsafe(WORD_BYTES)


def hash_of(word: str) -> bytes:
    """Unsalted and fast: the word is no password, nobody guesses 256 bits."""
    return hashlib.sha256(word.encode()).digest()


def parse_valid(text: str) -> float:
    """Seconds of `90s`, `15m`, `1h`, `2d`. Raises BadInput."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    seconds = float(int(found[1]) * _UNITS[found[2]]) if found else 0.0
    if not 0 < seconds <= VALID_MAX_S:
        raise BadInput(f"{text[:20]!r}: expected a time of at most 30 days like 90s, 15m, 1h or 2d")
    return seconds


def name_for(device_type: str, key: bytes) -> str:
    """An id for a device that nobody named: its type and the beginning of its key's SHA-256."""
    kind = re.sub(r"[^A-Za-z0-9_-]", "-", device_type)
    return f"{kind}-{hashlib.sha256(key).hexdigest()[:8]}"
