"""One change to one file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`before` stands once in `file`, a path within firmware/."""

    name: str
    file: str
    before: str
    after: str
