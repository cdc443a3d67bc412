"""Firmware is configured once; a checkout that moved, or other sources, configure it anew."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import pytest


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    ran: list[list[str]] = []

    def record(command: list[str], mend: str, cwd: Path) -> None:
        ran.append(command)
        if "--build" not in command:
            (cwd.parent / "build" / "firmware" / command[2]).mkdir(parents=True)

    monkeypatch.setattr(_module(), "run", record)
    return ran


def _module() -> types.ModuleType:
    return importlib.import_module("firmware")


def test_configured_once_built_each_time(commands: list[list[str]], tmp_path: Path) -> None:
    _module().build(tmp_path)
    _module().build(tmp_path)
    presets = len(_module().PRESETS)
    assert [c[1] for c in commands] == ["--preset", "--build"] * presets + ["--build"] * presets


def test_other_sources_configure_anew(
    commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _module().build(tmp_path)
    stale = tmp_path / "build" / "firmware" / "microbit" / "CMakeCache.txt"
    stale.touch()
    monkeypatch.setenv("TINYFLEET_LWIP", "/elsewhere/lwip")
    commands.clear()
    _module().build(tmp_path)
    assert not stale.exists()
    assert sum("-DTINYFLEET_LWIP=/elsewhere/lwip" in c for c in commands) == len(_module().PRESETS)
