"""Debian packages that only some tests use: installed where possible, else told, with what is skipped.

Set-up never fails for one. After a failure it asks apt again in a day, or when it installs something anyway:
offline, each `make test` would wait for the network.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import system
from report import SetupError, say

AGAIN_AFTER_S = 24 * 3600
# Of each step of apt's: a network that swallows everything must not hold up who came for something else.
TIMEOUT_S = 120


@dataclass(frozen=True)
class Wish:
    package: str
    present: Callable[[], bool]
    without: str


def _gdb() -> bool:
    """Either of the tools that the tests take: their packages shut each other out."""
    return any(system.find(tool) for tool in ("gdb-multiarch", "arm-none-eabi-gdb"))


WISHES = (Wish("gdb-multiarch", _gdb, "tests with a real gdb are skipped"),)


def missing() -> list[Wish]:
    return [wish for wish in WISHES if not wish.present()]


def due(note: Path, now_s: float) -> bool:
    """Whether to ask apt: not when it failed less than a day ago, by the clock that dates files."""
    try:
        return not 0 <= now_s - note.stat().st_mtime < AGAIN_AFTER_S
    except OSError:
        return True


def grant(wishes: list[Wish], note: Path, anyway: bool = False) -> None:
    """Installs what it can and says what it could not. Raises nothing of apt's.

    `note` is a file that remembers a failure; `anyway`: apt has just installed other packages, so it is asked
    now.
    """
    if anyway or due(note, time.time()):
        note.unlink(missing_ok=True)
        failure = _install([wish.package for wish in wishes])
        # Where there is no root nobody waited for anything: the next set-up looks again.
        if failure and not isinstance(failure, system.NoRootError):
            note.write_text(f"{failure}\n")
        if failure:
            say(str(failure))
    for wish in missing():
        again = f"; set-up tries again in a day, or without {note}" if note.exists() else ""
        say(f"{wish.package} is not installed: {wish.without}{again}")


def _install(packages: list[str]) -> SetupError | None:
    if not packages:
        return None
    try:
        # Nobody is asked for a password for these: where others needed sudo, it has it still.
        system.install(packages, ask=False, timeout_s=TIMEOUT_S)
    except SetupError as error:
        return error
    return None
