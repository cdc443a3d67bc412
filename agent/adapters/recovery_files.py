"""What was done to bring boards back, and what is known of their health, as files that all programs of one
bench share: `BOARD.json` and `BOARD.jsonl`, one line an event."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from tinyfleet.agent.adapters.file_lock import take_lock
from tinyfleet.agent.core.pulse import Beat, Fault
from tinyfleet.agent.core.recovery import Condition, Patient

LOG = logging.getLogger(__name__)
HISTORY_BYTES: Final = 256 * 1024
"""Of a board; the older half goes when it is more. A nightly failure of every rung is 1.5 KB."""


class RecoveryFiles:
    """`services.recovery.Records`. What cannot be written is kept in memory and told once: a full disk does
    not keep a board from being brought back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._unsaved: dict[str, Patient] = {}
        self._known: dict[str, Patient] = {}
        self._why = ""
        self._told = False
        self.lost_lines = 0

    def load(self, board: str) -> Patient:
        with self._lock:
            return self._unsaved.get(board) or self._read(board)

    def change(self, board: str, change: Callable[[Patient], Patient]) -> Patient:
        with self._lock:
            try:
                with self._held(board):
                    before = self.load(board)
                    after = change(before)
                    if after != before or board in self._unsaved:
                        self._write(board, after)
                    self._unsaved.pop(board, None)
                    self._told = False
            except OSError as error:
                after = change(self.load(board))
                self._unsaved[board] = after
                self._why = error.strerror or str(error)
                self._tell(error)
            return after

    def unsaved(self, board: str) -> str | None:
        with self._lock:
            return f"{self._folder}: {self._why}" if board in self._unsaved else None

    def append(self, board: str, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry) + "\n"
        path = self._folder / f"{board}.jsonl"
        with self._lock:
            try:
                with self._held(board):
                    self._shorten(path, len(line))
                    # In one write: a line is there whole or, at a full disk, not at all.
                    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                    try:
                        size = os.fstat(handle).st_size
                        if os.write(handle, line.encode()) != len(line.encode()):
                            os.ftruncate(handle, size)
                            raise OSError(28, "no room for a whole line")
                    finally:
                        os.close(handle)
            except OSError as error:
                self.lost_lines += 1
                self._tell(error)

    def history(self, board: str, last: int) -> list[dict[str, Any]]:
        """The last so many events, oldest first; lines that are none are passed over."""
        found: deque[dict[str, Any]] = deque(maxlen=last)
        try:
            with (self._folder / f"{board}.jsonl").open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(entry, dict):
                        found.append(entry)
        except OSError:
            return []
        return list(found)

    def _read(self, board: str) -> Patient:
        try:
            text = (self._folder / f"{board}.json").read_text(encoding="utf-8")
            self._known[board] = _patient(json.loads(text))
            return self._known[board]
        except FileNotFoundError:
            return Patient()
        except OSError as error:
            # For now: a quarantine must not end because this host had too many files open.
            self._tell(error)
            return self._known.get(board, Patient())
        except (ValueError, KeyError, TypeError) as error:
            # What cannot be read says nothing: the board is UNKNOWN.
            self._tell(error)
            return Patient()

    def _write(self, board: str, patient: Patient) -> None:
        path = self._folder / f"{board}.json"
        partial = path.with_suffix(".part")
        try:
            with partial.open("w", encoding="utf-8") as file:
                json.dump(_document(patient), file)
                file.flush()
                # A power cut must not leave an empty file: it would end a quarantine.
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    @staticmethod
    def _shorten(path: Path, more: int) -> None:
        if not path.exists() or path.stat().st_size + more <= HISTORY_BYTES:
            return
        lines = path.read_bytes().splitlines(keepends=True)
        partial = path.with_suffix(".part")
        partial.write_bytes(b"".join(lines[len(lines) // 2 :]))
        partial.replace(path)

    def _held(self, board: str) -> BinaryIO:
        return take_lock(self._folder / f"{board}.lock")

    def _tell(self, error: Exception) -> None:
        if not self._told:
            LOG.warning("%s: %s; what happens meanwhile is kept in memory only", self._folder, error)
        self._told = True


def _document(patient: Patient) -> dict[str, Any]:
    """Enums by their names, never their numbers."""
    return {
        "state": patient.state.name,
        "since": patient.since_s,
        "expects": None if patient.expects is None else patient.expects.name,
        "asked": patient.asked,
        "needs_probe": patient.needs_probe,
        "failed": list(patient.failed),
        "recoveries": patient.recoveries,
        "rung": None if patient.rung is None else patient.rung.name,
        "fault": None if patient.fault is None else patient.fault.name,
        "reason": patient.reason,
        "until": patient.until_s,
    }


def _patient(document: Any) -> Patient:
    """Raises KeyError, TypeError, ValueError for what is none."""
    expects, rung, fault, reason = (document[name] for name in ("expects", "rung", "fault", "reason"))
    return Patient(
        state=Condition[document["state"]],
        since_s=float(document["since"]),
        expects=None if expects is None else Beat[expects],
        asked=bool(document["asked"]),
        needs_probe=bool(document["needs_probe"]),
        failed=tuple(float(at) for at in document["failed"]),
        recoveries=int(document["recoveries"]),
        rung=None if rung is None else Condition[rung],
        fault=None if fault is None else Fault[fault],
        reason=None if reason is None else str(reason),
        until_s=float(document["until"]),
    )
