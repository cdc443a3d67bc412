"""What recovery keeps on disk: each board's state, and its history."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.agent.recovery_rig import C

from tinyfleet.agent.adapters import recovery_files
from tinyfleet.agent.adapters.recovery_files import RecoveryFiles
from tinyfleet.agent.core.pulse import Beat, Fault
from tinyfleet.agent.core.recovery import Patient


def test_the_history_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_files, "HISTORY_BYTES", 4096)
    records = RecoveryFiles(tmp_path)
    for number in range(1000):
        records.append("b1", {"at": number, "event": "BEAT", "cause": "ä" * 20})
    path = tmp_path / "b1.jsonl"
    assert path.stat().st_size <= 4096
    kept = [event["at"] for event in records.history("b1", 10_000)]
    assert kept == list(range(1000 - len(kept), 1000))
    assert len(kept) > 10
    with path.open("a") as file:
        file.write('{"at": 1')  # cut off by a crash
    assert records.history("b1", 1)[0]["at"] == 999


@pytest.mark.parametrize("text", ["", "{}", '{"state": "DANCING"}', "[1]", '{"state": 1}'])
def test_records_that_say_nothing_are_a_board_that_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "b1.json").write_text(text)
    assert RecoveryFiles(tmp_path).load("b1") == Patient()


def test_a_quarantine_is_not_forgotten_when_it_cannot_be_read_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files, say: what was known stays known, and is not written over."""
    banished = Patient(state=C.QUARANTINED, reason="smoke")
    RecoveryFiles(tmp_path).change("b1", lambda before: banished)
    records = RecoveryFiles(tmp_path)
    assert records.load("b1") == banished

    def no_more(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", no_more)
        assert records.load("b1") == banished
        seen = records.change("b1", lambda before: replace(before, recoveries=before.recoveries + 1))
        assert seen.state is C.QUARANTINED
    assert RecoveryFiles(tmp_path).load("b1").state is C.QUARANTINED


def test_all_that_is_known_survives_a_restart(tmp_path: Path) -> None:
    patient = Patient(
        state=C.PAUSED,
        since_s=1.5,
        expects=Beat.LINE,
        asked=False,
        needs_probe=True,
        failed=(1.0, 2.5),
        recoveries=3,
        rung=C.REFLASH,
        fault=Fault.CONSOLE,
        reason="ä",
        until_s=9.0,
    )
    RecoveryFiles(tmp_path).change("b1", lambda before: patient)
    assert RecoveryFiles(tmp_path).load("b1") == patient
    assert json.loads((tmp_path / "b1.json").read_text())["state"] == "PAUSED", "names, never numbers"
