"""What is asked of a provisioner, and what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tinyfleet.agent.core.provisioning import Step, Way
from tinyfleet.agent.services.provisioning_ports import LabelFiles

FINGERPRINT_DIGITS: Final = 16
Say = Callable[[str, Step, str], None]
"""Board, step, what is to be said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done to each board. `words` are one-time tokens. `firmware`: a signed image instead of
    the one that the token brings. `bootloader`: for boards whose flash holds one. `erase`: boards that
    belong to somebody are taken, too."""

    words: Sequence[str] = field(repr=False)
    name: str | None = None
    firmware: bytes | None = field(default=None, repr=False)
    bootloader: bytes | None = field(default=None, repr=False)
    erase: bool = False
    lock: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A board that is a device now, registered and heard."""

    board: str
    device: str
    device_type: str
    serial: str
    way: Way
    label: LabelFiles
    elapsed_s: float
    emulated: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "board": self.board,
            "device": self.device,
            "device_type": self.device_type,
            "serial": self.serial,
            "emulated": self.emulated,
            "outcome": self.way.value,
            "label": [str(path) for path in self.label.files],
            "elapsed_s": round(self.elapsed_s, 3),
        }


def fingerprint(word: str) -> str:
    """By which a token is known again; tells nothing of it."""
    return hashlib.sha256(word.encode()).hexdigest()[:FINGERPRINT_DIGITS]
