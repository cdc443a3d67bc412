"""The launcher of emulated networked nodes, on real QEMU."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from pyocd_qemu import logs

from tinyfleet.agent.adapters.emulator import FLASH_BYTES, EmulatedNode
from tinyfleet.agent.core.errors import EmulatorError

pytestmark = pytest.mark.qemu


def test_boots_from_blank_flash_and_stops(node: EmulatedNode) -> None:
    node.start()
    assert node.wait_for_line("^node says hello$") == "node says hello"
    assert node.flash.stat().st_size == FLASH_BYTES
    assert node.flash.read_bytes()[:4096] == b"\xff" * 4096
    pid = node.pid
    assert pid is not None
    node.stop()
    assert not node.is_alive()
    assert not Path(f"/proc/{pid}").exists()


def test_restart_after_kill_waits_for_new_lines_only(node: EmulatedNode) -> None:
    node.start()
    node.wait_for_line("hello")
    node.kill()
    assert not node.is_alive()
    node.start()
    node.wait_for_line("hello")
    assert node.console(since_start=False).count("hello") == 2
    assert node.console().count("hello") == 1


def test_a_console_that_never_stops_does_not_fill_the_disk(
    node: EmulatedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.start()
    node.wait_for_line("hello")
    assert not node.trim_console()
    monkeypatch.setattr(logs, "LIMIT_BYTES", 10)
    assert node.trim_console()
    assert node.console() == ""
    node.kill()
    node.start()
    node.wait_for_line("hello")


def test_death_is_one_clear_error(node: EmulatedNode) -> None:
    node.start()
    node.wait_for_line("hello")
    assert node.pid is not None
    os.kill(node.pid, signal.SIGKILL)
    with pytest.raises(EmulatorError, match="SIGKILL"):
        node.wait_for_line("never", timeout_s=5)


def test_time_out_shows_what_was_said(node: EmulatedNode) -> None:
    node.start()
    node.wait_for_line("hello")
    with pytest.raises(EmulatorError, match=r"'never' within 0.1 s; it said last: node says hello"):
        node.wait_for_line("never", timeout_s=0.1)


def test_a_firmware_that_locks_up_is_reported_with_qemus_words(tmp_path: Path) -> None:
    """QEMU aborts when an M-profile core locks up, as one without vectors does."""
    bad = tmp_path / "bad.elf"
    bad.write_bytes(bytes(100))
    node = EmulatedNode(flash=tmp_path / "flash.bin", kernel=bad, state_dir=tmp_path / "n1")
    with pytest.raises(EmulatorError, match="Lockup"):
        node.start()
        node.wait_for_line("never", timeout_s=5)
    node.stop()
    assert not node.is_alive()


def test_a_qemu_that_refuses_its_arguments_is_reported_with_its_words(
    hello_kernel: Path, tmp_path: Path
) -> None:
    node = EmulatedNode(
        flash=tmp_path / "flash.bin", kernel=hello_kernel, state_dir=tmp_path / "n1", icount_shift=99
    )
    with pytest.raises(EmulatorError, match="icount"):
        node.start()
    assert not node.is_alive()


def test_missing_kernel_and_wrong_flash_are_named(hello_kernel: Path, tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match=r"there is no .*none\.elf"):
        EmulatedNode(flash=tmp_path / "f", kernel=tmp_path / "none.elf", state_dir=tmp_path / "n").start()
    (tmp_path / "f").write_bytes(b"\xff" * 100)
    with pytest.raises(EmulatorError, match=f"has 100 bytes, expected {FLASH_BYTES}"):
        EmulatedNode(flash=tmp_path / "f", kernel=hello_kernel, state_dir=tmp_path / "n").start()


def test_one_flash_serves_one_node(node: EmulatedNode, hello_kernel: Path, tmp_path: Path) -> None:
    node.start()
    second = EmulatedNode(flash=node.flash, kernel=hello_kernel, state_dir=tmp_path / "n2")
    with pytest.raises(EmulatorError, match="in use by another QEMU"):
        second.start()
    same_place = EmulatedNode(flash=node.flash, kernel=hello_kernel, state_dir=node.state_dir)
    with pytest.raises(EmulatorError, match="another process already runs"):
        same_place.start()
    node.wait_for_line("hello")


def test_a_qemu_left_over_by_a_killed_program_is_ended(node: EmulatedNode, hello_kernel: Path) -> None:
    node.start()
    stranded = node.pid
    node._process._release_owner()  # as when the program that started it was killed
    successor = EmulatedNode(flash=node.flash, kernel=hello_kernel, state_dir=node.state_dir)
    successor.start()
    try:
        assert successor.pid != stranded
        assert node._process.wait(5) == -signal.SIGKILL
        successor.wait_for_line("hello")
    finally:
        successor.stop()
