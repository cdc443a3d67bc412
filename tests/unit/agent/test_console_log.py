"""Consoles on disk: turned over by size, cut off by a full disk, read back since a time."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import wait_for

from tinyfleet.agent.adapters import console_log
from tinyfleet.agent.adapters.console_log import ConsoleLogs, read_log
from tinyfleet.agent.core.console_line import ConsoleLine


def at(second: int, text: str) -> ConsoleLine:
    return ConsoleLine(float(second), 1_700_000_000.0 + second, text)


def texts(folder: Path, **options: float) -> list[str]:
    return [line.text for line in read_log(folder, "b1", **options)]  # type: ignore[arg-type]


def test_kept_and_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "consoles"
    logs = ConsoleLogs(folder)
    keep, other = logs.of("b1"), logs.of("b2")
    for i in range(10):
        keep(at(i, f"line {i}"))
        other(at(i, "another board's"))
    keep(at(10, "\x1b[2J\rcolours"))
    logs.close()
    assert texts(folder) == [*(f"line {i}" for i in range(10)), "\\x1b[2J\\x0dcolours"]
    assert texts(folder, since_s=1_700_000_008.0, tail=2) == ["line 9", "\\x1b[2J\\x0dcolours"]
    assert texts(folder, tail=0) == []
    assert list(read_log(folder, "b3")) == []
    log = folder / "b1.log"
    assert log.read_text().startswith("2023-11-14T22:13:20.000000Z 0.000000 line 0\n")
    assert log.stat().st_mode & 0o777 == 0o600
    assert logs.counts.kept == 21


def test_the_oldest_goes_first(tmp_path: Path) -> None:
    logs = ConsoleLogs(tmp_path, file_bytes=1000, files=3)
    keep = logs.of("b1")
    for i in range(500):
        keep(at(i, f"line {i}"))
    logs.close()
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) <= 3 and max(sizes) < 1100
    left = texts(tmp_path)
    assert left == [f"line {i}" for i in range(500 - len(left), 500)] and len(left) > 30


def test_a_log_that_is_turned_over_while_it_is_read_lacks_nothing(tmp_path: Path) -> None:
    logs = ConsoleLogs(tmp_path, file_bytes=1000)
    keep = logs.of("b1")
    for i in range(30):
        keep(at(i, f"line {i}"))
    logs.close()
    reading = read_log(tmp_path, "b1")
    first = next(reading).text
    logs = ConsoleLogs(tmp_path, file_bytes=1000)
    keep = logs.of("b1")
    for i in range(30, 60):
        keep(at(i, f"line {i}"))
    logs.close()
    read = [first, *(line.text for line in reading)]
    start = int(first.split()[1])
    assert read[: 30 - start] == [f"line {i}" for i in range(start, 30)]
    assert len(read) == len(set(read))


@pytest.fixture
def limited() -> Iterator[None]:
    """Files of this process have at most 2000 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_survived_and_told(
    tmp_path: Path, limited: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_log, "RETRY_S", 0.01)
    logs = ConsoleLogs(tmp_path)
    keep = logs.of("b1")
    for i in range(100):
        keep(at(i, f"line {i}"))
    wait_for("the disk is full", lambda: logs.counts.kept + logs.counts.not_kept == 100)
    assert logs.counts.trouble is not None and logs.counts.not_kept > 30
    # There is room again.
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    told = logs.counts.not_kept

    def again() -> bool:
        keep(at(100, "again"))
        return logs.counts.trouble is None

    wait_for("lines are kept", again)
    logs.close()
    kept = texts(tmp_path)
    assert kept[0] == "line 0" and kept[-1] == "again"
    note = next(text for text in kept if text.startswith("-- "))
    assert int(note.split()[1]) >= told and "were not kept" in note


def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_log, "QUEUE_LINES", 10)
    monkeypatch.setattr(console_log, "_END_S", 0.05)
    # A pipe that nobody reads is as slow as a disk can be.
    os.mkfifo(tmp_path / "b1.log")
    logs = ConsoleLogs(tmp_path)
    keep = logs.of("b1")
    for i in range(100):
        keep(at(i, "line"))
    logs.close()
    assert logs.counts.not_kept >= 89
    reader = os.open(tmp_path / "b1.log", os.O_RDONLY | os.O_NONBLOCK)
    wait_for("what was queued is written", lambda: logs.counts.kept + logs.counts.not_kept >= 100)
    os.close(reader)
