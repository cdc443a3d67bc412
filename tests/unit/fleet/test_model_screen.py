"""What `tinyfleet model …` prints fits the screen it is printed on, and is coloured only there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "livestock"
V1, V2 = (str(EXAMPLE / f"livestock_{which}.json") for which in ("v1", "v2"))
TIMEOUT_S = 100


def on_a_screen(columns: int, *arguments: str) -> str:
    """What a terminal of that width gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, "TERM": "screen-256color"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tinyfleet", "model", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:
        pass  # Linux's word for the end of a pty
    os.close(ours)
    assert process.wait(TIMEOUT_S) == 0, said.decode()
    return said.decode()


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", [("inspect", V2), ("diff", V1, V2)], ids=lambda which: which[0])
def test_no_line_is_wider_than_the_screen(columns: int, arguments: tuple[str, ...]) -> None:
    said = on_a_screen(columns, *arguments)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    widest = max(plain.splitlines(), key=len)
    assert len(widest) <= columns, widest
    assert "\x1b[" in said
    assert said.count("\x1b[0m") >= 10, "every colour is ended"
