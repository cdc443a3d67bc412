"""Boards that hang, and what was done, as people and programs read it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from tinyfleet.agent.core.recovery import Condition, Event, Finding, Patient

_WORDS = {
    Condition.UNKNOWN: "not looked at yet",
    Condition.ALIVE: "alive",
    Condition.WEDGED: "hangs; waits to be brought back",
    Condition.SOFT_RESET: "is being brought back: soft reset",
    Condition.UNDER_CONNECT: "is being brought back: reset under connect",
    Condition.POWER_CYCLE: "is being brought back: power cycle",
    Condition.REFLASH: "is being brought back: known-good firmware",
    Condition.PAUSED: "hangs; paused before it is tried again",
    Condition.QUARANTINED: "in quarantine",
}


def patient_line(board: str, patient: Patient) -> str:
    parts = [f"{board}: {_WORDS[patient.state]}"]
    if patient.expects is not None and patient.state is Condition.ALIVE:
        parts.append(f"({patient.expects.words})")
    if patient.state is Condition.PAUSED:
        parts.append(f"at {_clock(patient.until_s)}")
    if patient.reason is not None and patient.state is not Condition.ALIVE:
        parts.append(f"- {patient.reason}")
    if patient.recoveries:
        parts.append(f"- brought back {patient.recoveries} times")
    return " ".join(parts)


def patient_json(board: str, patient: Patient) -> dict[str, Any]:
    return {
        "board": board,
        "state": patient.state.name,
        "since": patient.since_s,
        "heartbeat": None if patient.expects is None else patient.expects.name,
        "recoveries": patient.recoveries,
        "rung": None if patient.rung is None else patient.rung.name,
        "fault": None if patient.fault is None else patient.fault.name,
        "reason": patient.reason,
        "failed_climbs": len(patient.failed),
    }


def event_line(event: Event, patient: Patient, found: Finding) -> str:
    cause = "" if found.cause is None else f": {found.cause}"
    return f"{event.name.lower()}{cause} -> {patient.state.name}"


def history_table(board: str, events: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=board)
    table.add_column("when", no_wrap=True)
    table.add_column("from", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("to", no_wrap=True)
    table.add_column("what was found")
    for event in events:
        fault = f"[{event['fault']}] " if "fault" in event else ""
        table.add_row(
            _clock(float(event.get("at", 0))),
            *(str(event.get(name, "")) for name in ("from", "event", "to")),
            f"{fault}{event.get('cause', '')}",
        )
    return table


def _clock(unix_s: float) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.localtime(unix_s))
