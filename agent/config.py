"""Where the agent keeps things: one folder below the state folder that the manager may share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATE_VARIABLE: Final = "TINYFLEET_STATE"
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
    def runs(self) -> Path:
        """The last bench run of each board."""
        return self.state / "agent" / "runs"


def default_state() -> Path:
    return Path(os.environ.get(STATE_VARIABLE) or DEFAULT_STATE)
