"""Packages that only some tests use: set-up tries, tells, and neither fails nor waits again the same day."""

from __future__ import annotations

import importlib
import os
import types
from pathlib import Path

import pytest


class Apt:
    """apt-get, as far as set-up sees it: what ran, and whether it works."""

    def __init__(self, wishes: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wishes, self.ran, self.works, self.installed = wishes, list[list[str]](), True, False
        system = wishes.system
        monkeypatch.setattr(system, "run", self._run)
        monkeypatch.setattr(system, "find", self._find)
        monkeypatch.setattr(system, "POLICY", Path("/nowhere/policy-rc.d"))
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def _find(self, tool: str) -> str | None:
        there = {"apt-get": True, "gdb-multiarch": self.installed}
        return f"/usr/bin/{tool}" if there.get(tool) else None

    def _run(self, command: list[str], mend: str, **options: object) -> None:
        self.ran.append(command)
        if "install" in command:
            if not self.works:
                raise importlib.import_module("report").SetupError("apt-get failed: E: no network", mend)
            self.installed = "--download-only" not in command

    def grant(self, note: Path, anyway: bool = False) -> None:
        self.ran.clear()
        self.wishes.grant(self.wishes.missing(), note, anyway)


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> Apt:
    return Apt(importlib.import_module("wishes"), monkeypatch)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "note"


def test_it_is_installed_where_apt_works(apt: Apt, note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apt.grant(note)
    assert apt.installed and not note.exists()
    assert "skipped" not in capsys.readouterr().out
    assert apt.wishes.missing() == []


def test_either_gdb_will_do(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt.wishes.system, "find", lambda tool: tool if tool == "arm-none-eabi-gdb" else None)
    assert apt.wishes.missing() == []


def test_a_failure_is_told_and_not_repeated_the_same_day(
    apt: Apt, note: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apt.works = False
    apt.grant(note)
    said = capsys.readouterr().out
    assert "E: no network; run as root: apt-get install --no-install-recommends gdb-multiarch" in said
    assert "gdb-multiarch is not installed: tests with a real gdb are skipped; set-up tries again" in said
    apt.works = True
    apt.grant(note)
    assert apt.ran == []
    assert f"tests with a real gdb are skipped; set-up tries again in a day, or without {note}" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("age_s", [25 * 3600, -3600])  # the latter: the clock was set back
def test_a_day_later_it_is_tried_again(apt: Apt, note: Path, age_s: float) -> None:
    apt.works = False
    apt.grant(note)
    written_s = note.stat().st_mtime - age_s
    os.utime(note, (written_s, written_s))
    apt.works = True
    apt.grant(note)
    assert apt.installed and not note.exists()


def test_it_is_tried_again_when_apt_has_just_worked(apt: Apt, note: Path) -> None:
    apt.works = False
    apt.grant(note)
    apt.works = True
    apt.grant(note, anyway=True)
    assert apt.installed and not note.exists()


def test_without_root_nothing_is_tried_or_asked_for(
    apt: Apt, note: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal is there, so sudo could ask for a password: for a test's tool it does not."""
    system = apt.wishes.system
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(system, "find", lambda tool: tool if tool in ("apt-get", "sudo") else None)
    monkeypatch.setattr(system, "_succeeds", lambda command: False)
    apt.grant(note)
    assert apt.ran == [] and not note.exists()
    said = capsys.readouterr().out
    assert "no root or sudo" in said and "tests with a real gdb are skipped\n" in said
