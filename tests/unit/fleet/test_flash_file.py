"""The flash file holds the device's password."""

from __future__ import annotations

import stat
from pathlib import Path

from tinyfleet.fleet.cli.flash_file import FlashFile
from tinyfleet.wire.memory_map import MPS2_AN386


def test_it_becomes_its_owners_alone_before_a_password_is_written(tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    path.write_bytes(b"\xff" * MPS2_AN386.size_bytes)
    path.chmod(0o644)
    with FlashFile(path, MPS2_AN386):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
