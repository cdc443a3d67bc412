"""Debian packages: the one line without root; the service switch goes back whatever happens."""

from __future__ import annotations

import importlib
import os
import shutil
import types
from pathlib import Path

import pytest


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    module = importlib.import_module("system")
    monkeypatch.setattr(module, "POLICY", tmp_path / "policy-rc.d")
    return module


def test_without_root_the_one_line_is_told(system: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system, "find", lambda tool: None if tool == "sudo" else f"/usr/bin/{tool}")
    with pytest.raises(Exception, match="no root or sudo") as caught:
        system.install(["cmake", "mosquitto"])
    text = str(caught.value)
    assert text.endswith("run as root: apt-get install --no-install-recommends cmake mosquitto")
    assert "\n" not in text


def test_nothing_is_needed_twice(system: types.ModuleType) -> None:
    assert system.missing() == []  # these tests run where set-up has run


def test_clang_is_asked_for_by_the_search_alone(
    system: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = system.find
    monkeypatch.setattr(system, "find", lambda tool: None if tool == "clang" else found(tool))
    assert system.missing() == []
    assert system.missing(fuzz=True) == ["clang", "libclang-rt-dev"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_the_switch_goes_back(system: types.ModuleType, stop: type[BaseException]) -> None:
    with pytest.raises(stop), system._no_service_starts([], ""):
        assert system.POLICY.read_text().endswith("exit 101\n")
        assert os.access(system.POLICY, os.X_OK)
        raise stop
    assert not system.POLICY.exists()


def test_the_switch_of_somebody_else_stays(system: types.ModuleType) -> None:
    system.POLICY.write_text("#!/bin/sh\nexit 101\n")
    with system._no_service_starts([], ""):
        pass
    assert system.POLICY.exists()
    assert not system.left_behind()


def test_a_switch_that_a_killed_set_up_left_is_ours(
    system: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system.POLICY.write_text(system.FORBID)
    assert system.left_behind()
    # Without root the folder is ours all the same, so plain rm does.
    system.switch_back()
    assert not system.POLICY.exists()


def test_packages_go_in_beyond_the_reach_of_ctrl_c(
    system: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off inside dpkg, a machine needs mending by hand: that one command has a session of its own."""
    ran: list[tuple[list[str], bool]] = []

    def record(command: list[str], mend: str, **options: object) -> None:
        ran.append((command, system.POLICY.exists()))
        if command[0] == "tee":
            system.POLICY.write_text(system.FORBID)
        if command[0] == "rm":
            system.POLICY.unlink()

    monkeypatch.setattr(system, "run", record)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(system, "find", lambda tool: shutil.which(tool) if tool != "systemctl" else None)
    system.install(["cmake"])
    (installed,) = [
        (command, switched)
        for command, switched in ran
        if "install" in command and "--download-only" not in command
    ]
    assert "setsid" in installed[0] and installed[1]
    assert not system.POLICY.exists()
