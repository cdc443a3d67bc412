"""Where the agent keeps things: one folder below the state folder that the manager may share."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

STATE_VARIABLE: Final = "TINYFLEET_STATE"
HOLDER_VARIABLE: Final = "TINYFLEET_HOLDER"
DEFAULT_STATE: Final = "./.state"
DEFAULT_BENCH: Final = "bench.yaml"


@dataclass(frozen=True, slots=True)
class Folders:
    """Paths below `state`; none is made here."""

    state: Path

    @property
    def boards(self) -> Path:
        """Emulated boards: sockets, flash, logs."""
        return self.state / "agent" / "boards"

    @property
    def nodes(self) -> Path:
        """Emulated networked nodes, by name."""
        return self.state / "agent" / "nodes"

    @property
    def leases(self) -> Path:
        """Who has which board reserved."""
        return self.state / "agent" / "leases"

    @property
    def consoles(self) -> Path:
        """What boards said, and the sockets by which their consoles are shared."""
        return self.state / "agent" / "consoles"

    @property
    def recoveries(self) -> Path:
        """What was done to bring boards back, and which are in quarantine."""
        return self.state / "agent" / "recoveries"

    @property
    def provisioning(self) -> Path:
        """How far each board's provisioning came."""
        return self.state / "agent" / "provisioning"

    @property
    def tally(self) -> Path:
        """What was counted, by all programs of the bench."""
        return self.state / "agent" / "tally.json"

    @property
    def lock(self) -> Path:
        """Held by `tinyfleet agent run`."""
        return self.state / "agent" / "agent.lock"

    @property
    def health(self) -> Path:
        """The socket at which it says how it is."""
        return self.state / "agent" / "health.sock"

    @property
    def flashes(self) -> Path:
        """What vendors' tools said last, a file a board."""
        return self.state / "agent" / "flashes"

    @property
    def labels(self) -> Path:
        """Labels of provisioned devices."""
        return self.state / "agent" / "labels"

    @property
    def bridge(self) -> Path:
        """How far the updates of boards came for which the agent speaks, by device."""
        return self.state / "agent" / "bridge"

    @property
    def runs(self) -> Path:
        """The last bench run of each board."""
        return self.state / "agent" / "runs"


def default_state() -> Path:
    return Path(os.environ.get(STATE_VARIABLE) or DEFAULT_STATE)


def default_holder() -> str:
    """Who uses boards when nobody is named: $TINYFLEET_HOLDER, or who is logged in."""
    named = os.environ.get(HOLDER_VARIABLE)
    if named:
        return named
    try:
        return re.sub(r"[^A-Za-z0-9._-]", "-", getpass.getuser())[:32] or f"uid-{os.getuid()}"
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who uses boards, and how long at most it waits for one that another has."""

    holder: str = field(default_factory=default_holder)
    wait_s: float = 0.0
    on_wait: Callable[[str], None] = lambda told: None
    """Told who has the board, when waiting begins."""
