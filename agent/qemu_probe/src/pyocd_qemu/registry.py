"""Where running boards are written down, so that any pyOCD on this host finds them.

One folder a board below `root()`: `board.json` and the sockets. A board is there when its QEMU holds the
board's lock. Ids end in four digits: pyOCD falls back to matching parts of an id, and no id may be a part
of another.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from pyocd_qemu.errors import QemuError
from pyocd_qemu.machines import MACHINES, Machine

ROOT_VARIABLE = "PYOCD_QEMU_DIR"
ENTRY_NAME = "board.json"
LOCK_NAME = "board.lock"
PROBE_LOCK_NAME = "probe.lock"
FLASH_NAME = "flash.bin"
ID_PATTERN = re.compile(r"qemu-[a-z0-9-]+-[0-9]{4}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A board as written down: `console` is host and port of its serial line, `vectors_at` where the core
    finds its vector table after a reset."""

    unique_id: str
    machine: str
    console_host: str
    console_port: int
    vectors_at: int

    @property
    def console_url(self) -> str:
        """As pyserial's serial_for_url takes it."""
        return f"socket://{self.console_host}:{self.console_port}"

    @property
    def definition(self) -> Machine:
        return MACHINES[self.machine]


def root() -> Path:
    """`$PYOCD_QEMU_DIR`, else a folder of the user's state."""
    given = os.environ.get(ROOT_VARIABLE)
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "pyocd-qemu"


def check_id(unique_id: str) -> str:
    """`unique_id` itself. Raises QemuError when pyOCD could confuse it with another."""
    if not ID_PATTERN.fullmatch(unique_id):
        raise QemuError(f"{unique_id!r} is no id of an emulated board", "use one like qemu-microbit-0001")
    return unique_id


def write(folder: Path, entry: Entry) -> None:
    partial = folder / (ENTRY_NAME + ".part")
    partial.write_text(json.dumps(asdict(entry)))
    partial.replace(folder / ENTRY_NAME)


def read(folder: Path) -> Entry | None:
    """The board in that folder, running or not; None when there is none."""
    try:
        entry = Entry(**json.loads((folder / ENTRY_NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    known = entry.machine in MACHINES and entry.unique_id == folder.name
    return entry if known else None


def running_boards() -> list[Entry]:
    """Every board whose QEMU runs, by id."""
    found = (find(folder.name) for folder in sorted(root().iterdir())) if root().is_dir() else ()
    return [entry for entry in found if entry is not None]


def find(unique_id: str) -> Entry | None:
    """The running board with that id."""
    folder = root() / unique_id
    entry = read(folder) if ID_PATTERN.fullmatch(unique_id) else None
    return entry if entry is not None and is_locked(folder / LOCK_NAME) else None


def is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
