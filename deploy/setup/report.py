"""What set-up says: short lines for people, and one error that names the mend."""

from __future__ import annotations


class SetupError(Exception):
    """Set-up cannot go on: what happened, and what to do next."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}: {mend}")
        self.what = what
        self.mend = mend


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)
