"""The node as a process: `tinyfleet-node`, as systemd starts it, with a console that can be waited for."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.servers import wait_for

ROOT = Path(__file__).parents[1]
BINARY = ROOT / "build/firmware/posix/ports/posix/tinyfleet-node"
TIMEOUT_S = 10.0


class PosixNode:
    """Its state is in `folder`. Called as an EmulatedNode is."""

    def __init__(self, folder: Path, binary: Path = BINARY) -> None:
        self.folder = folder
        self.flash = folder / "flash.bin"
        self._binary = binary
        self._log = folder.with_name(folder.name + ".log")
        self._begun = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        assert self._binary.is_file(), f"no {self._binary}: `make setup` builds it"
        self._begun = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(self._binary), "--state", str(self.folder)],
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def console(self, since_start: bool = True) -> str:
        text = self._log.read_bytes() if self._log.exists() else b""
        return text[self._begun if since_start else 0 :].decode(errors="replace")

    def wait_for_line(self, pattern: str, timeout_s: float = TIMEOUT_S, *, count: int = 1) -> str:
        """The `count`-th line since the last start that `pattern` is found in."""

        def found() -> str | None:
            lines = [line for line in self.console().splitlines() if re.search(pattern, line)]
            return lines[count - 1] if len(lines) >= count else None

        return wait_for(f"a line with {pattern!r} on\n{self.console()}", found, timeout_s) or ""

    def kill(self) -> None:
        """SIGKILL: as a power cut, but for what the system still writes to the disk."""
        self._end("kill")

    def stop(self) -> None:
        self._end("terminate")

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(TIMEOUT_S)

    def _end(self, how: str) -> None:
        if self.process is not None:
            getattr(self.process, how)()
            self.process.wait(TIMEOUT_S)
