"""A person's terminal for a console: keys as they are pressed, a line's beginning before its end."""

from __future__ import annotations

import os
import sys
import termios
from typing import Final, TextIO

from tinyfleet.agent.core.console_line import NOTE

END_KEY: Final = b"\x1d"
"""Ctrl-]."""
_KEYS_BYTES: Final = 256


class Keys:
    """Standard input without echo, lines or signals: every key is the board's. A context manager: leaving it
    puts the terminal back as it was."""

    def __enter__(self) -> Keys:
        self._handle = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._handle)
        raw = termios.tcgetattr(self._handle)
        raw[0] &= ~(termios.IXON | termios.ICRNL | termios.INLCR | termios.ISTRIP)
        # Output stays as it is: what we print ends in a line feed.
        raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._handle, termios.TCSADRAIN, raw)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._handle, termios.TCSADRAIN, self._before)

    def fileno(self) -> int:
        return self._handle

    def read(self) -> bytes | None:
        """What was pressed; None at the terminal's end, or Ctrl-]."""
        keys = os.read(self._handle, _KEYS_BYTES)
        return None if not keys or END_KEY in keys else keys


class Screen:
    """Lines as they come on `out`, notes about the console among them on `notes`."""

    def __init__(self, out: TextIO, notes: TextIO) -> None:
        self._out = out
        self._notes = notes
        self._shown = ""

    def line(self, text: str, head: str = "") -> None:
        if self._shown and text.startswith(self._shown):
            self._out.write(text[len(self._shown) :] + "\n")
        else:
            self._out.write(("\n" if self._shown else "") + head + text + "\n")
        self._shown = ""
        self._out.flush()

    def unfinished(self, text: str, head: str = "") -> None:
        if text.startswith(self._shown):
            self._out.write(("" if self._shown else head) + text[len(self._shown) :])
            self._shown = text
            self._out.flush()

    def note(self, text: str) -> None:
        if self._shown:
            self._out.write("\n")
            self._shown = ""
        self._out.flush()
        self._notes.write(f"{NOTE}{text}\n")
        self._notes.flush()
