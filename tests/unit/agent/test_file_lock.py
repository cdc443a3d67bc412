"""A program that was stopped while it held a lock keeps nobody for ever."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tinyfleet.agent.adapters import file_lock
from tinyfleet.agent.adapters.bridge_counts import CountsFile
from tinyfleet.agent.adapters.file_lock import take_lock
from tinyfleet.agent.adapters.recovery_files import RecoveryFiles
from tinyfleet.agent.adapters.tally_file import TallyFile
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.core.tally import FLASHES


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "TIMEOUT_S", 0.05)


def test_one_has_it_and_the_next_after_him(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.lock"
    with take_lock(path), pytest.raises(TimeoutError, match="a stopped program has it"):
        take_lock(path)
    assert path.stat().st_mode & 0o777 == 0o600
    take_lock(path).close()


def test_counting_goes_on_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tally = TallyFile(tmp_path / "tally.json")
    with take_lock(tmp_path / "tally.lock"), caplog.at_level(logging.WARNING):
        tally.add(FLASHES, board="one", outcome="OK")
    assert "a stopped program has it" in caplog.text
    assert not list(tally.read().all())


def test_recovery_goes_on_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = RecoveryFiles(tmp_path)
    with take_lock(tmp_path / "one.lock"), caplog.at_level(logging.WARNING):
        records.change("one", lambda patient: patient)
    assert "kept in memory only" in caplog.text


def test_a_bridged_boards_inferences_say_why_they_are_not_counted(tmp_path: Path) -> None:
    with take_lock(tmp_path / "counts.lock"), pytest.raises(AgentError, match="a stopped program has it"):
        CountsFile(tmp_path).add(1, bytes(32), 2, [])
