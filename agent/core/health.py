"""How a running agent is: what `tinyfleet agent health` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tinyfleet.agent.core.broker import Validity
from tinyfleet.wire.enums import BoardState

ROUND_MAX_S: Final = 30.0
"""A round of duties takes a second; one this old hangs."""
DISK_MIN_BYTES: Final = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Health:
    """`round_age_s`: since the last round of duties ended. `connected`: to the manager's broker; None: the
    agent works alone. `trouble`: duties that failed in the last round, and why. `unlinked`: who is not
    connected, the agent or devices that it speaks for, and why. `certificates`: of each by TLS."""

    agent: str
    boards: Mapping[str, BoardState]
    round_age_s: float
    trouble: Mapping[str, str]
    connected: bool | None
    disk_free_bytes: int
    unlinked: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, Validity] = field(default_factory=dict)
    unix_s: int = 0

    def reasons(self) -> list[str]:
        """Why it is not well, most pressing first; none: it is."""
        found = []
        if self.round_age_s > ROUND_MAX_S:
            found.append(f"its last round of duties ended {self.round_age_s:.0f} s ago: it hangs")
        found += [f"{duty}: {told}" for duty, told in self.trouble.items()]
        if self.connected is False:
            why = self.unlinked.get(self.agent)
            found.append("not connected to the manager" + ("" if why is None else f": {why}"))
        found += [f"{name}: {why}" for name, why in self.unlinked.items() if name != self.agent]
        for name, validity in self.certificates.items():
            if (warning := validity.warning(self.unix_s)) is not None:
                found.append(f"the certificate of {name} {warning}: register it again, docs/agent.md")
        if self.disk_free_bytes < DISK_MIN_BYTES:
            found.append(f"{self.disk_free_bytes // 1024 // 1024} MiB of disk left below the state folder")
        for state in (BoardState.QUARANTINED, BoardState.FAILED, BoardState.ABSENT):
            names = [name for name, each in self.boards.items() if each is state]
            if names:
                found.append(f"{state.name}: {', '.join(names)}")
        return found

    def to_json(self) -> dict[str, Any]:
        reasons = self.reasons()
        return {
            "agent": self.agent,
            "status": "troubled" if reasons else "ok",
            "reasons": reasons,
            "boards": {name: state.name for name, state in self.boards.items()},
            "round_age_s": round(self.round_age_s, 1),
            "connected": self.connected,
            "disk_free_bytes": self.disk_free_bytes,
            "certificates": {name: validity.last_s for name, validity in self.certificates.items()},
        }
