"""What provisioning needs from outside, beside a probe; `adapters` implement it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tinyfleet.agent.core.provisioning import Progress


@dataclass(frozen=True, slots=True)
class Offer:
    """What a one-time token is good for. `state`: OPEN, PENDING, USED, EXPIRED or REVOKED."""

    state: str
    device: str | None
    device_type: str | None
    replaces: bool
    trust: bytes
    firmware: bytes | None


@dataclass(frozen=True, slots=True)
class Given:
    """What makes the board a device. `config` has holes where key and seed go; `certificate` is DER."""

    device: str
    credential: int
    sequence: int
    certificate: bytes
    trust: bytes
    config: bytes


class Manager(Protocol):
    """All raise AgentError; `word` is a one-time token's."""

    def offer(self, word: str) -> Offer: ...

    def state(self, word: str) -> str:
        """The token's; USED: its device was heard, and is registered."""

    def enrol(self, word: str, *, name: str | None, device_type: str, csr: bytes, again: bool) -> Given:
        """`again`: this board had a certificate by this token before."""


class Identity(Protocol):
    """Key and seed of one board, in buffers that can be overwritten."""

    @property
    def key(self) -> bytearray: ...

    @property
    def seed(self) -> bytearray: ...

    def csr(self) -> bytes:
        """A request for a certificate, signed by the key; DER."""

    def owns(self, certificate: bytes) -> bool:
        """Whether the certificate is for this key."""

    def wipe(self) -> None:
        """Overwrites key and seed."""


class Identities(Protocol):
    def make(self) -> Identity: ...


class ProgressFiles(Protocol):
    def hold(self, board: str) -> AbstractContextManager[None]:
        """Alone with the board's provisioning among all programs. Raises BoardBusyError."""

    def claim(self, fingerprint: str) -> bool:
        """Takes a token for this program, until it ends; False: another program has it."""

    def last(self, board: str) -> Progress | None: ...

    def keep(self, progress: Progress) -> None:
        """Raises AgentError when it cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is told of a device to who holds it. `date`: when it was provisioned, UTC, ISO 8601."""

    device: str
    device_type: str
    serial: str
    date: str
    emulated: bool


@dataclass(frozen=True, slots=True)
class LabelFiles:
    files: tuple[Path, ...]
    terminal: str = field(repr=False)
    """The code as text, for a terminal."""


class Labels(Protocol):
    def write(self, label: Label) -> LabelFiles:
        """Raises AgentError."""
