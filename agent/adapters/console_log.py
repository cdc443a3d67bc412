"""What boards said, on disk: one text file a board, turned over by size, so that the oldest goes first.

One thread writes for all boards. It has a bounded queue: where the disk is slow or full, lines are not kept,
and the log says how many once it can.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from tinyfleet.agent.core.console_line import NOTE, ConsoleLine, format_line, parse_line

FILE_BYTES: Final = 1024 * 1024
FILES: Final = 4
QUEUE_LINES: Final = 20_000
RETRY_S: Final = 1.0
"""A disk that was full is tried again after that."""
_END_S: Final = 5.0


@dataclass(slots=True)
class LogCounts:
    """`not_kept`: lines that found no room, in the queue or on disk. `trouble`: why none can be kept now."""

    kept: int = 0
    not_kept: int = 0
    trouble: str | None = None


class ConsoleLogs:
    """Logs by board in `folder`. A board has at most `files` files of about `file_bytes` each."""

    def __init__(self, folder: Path, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        self._folder = folder
        self._file_bytes = file_bytes
        self._files = files
        self._queue: queue.Queue[tuple[str, ConsoleLine] | None] = queue.Queue(QUEUE_LINES)
        self._open: dict[str, BinaryIO] = {}
        self._missing: dict[str, int] = {}
        self._not_kept: dict[str, int] = {}
        self._counts = LogCounts()
        self._lock = threading.Lock()
        self._retry_s = 0.0
        self._thread: threading.Thread | None = None

    def of(self, board: str) -> Callable[[ConsoleLine], None]:
        """Keeps a line of that board; never waits, never raises."""

        def keep(line: ConsoleLine) -> None:
            try:
                self._queue.put_nowait((board, line))
            except queue.Full:
                self._is_missing(board)

        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="console-log", daemon=True)
                self._thread.start()
        return keep

    @property
    def counts(self) -> LogCounts:
        with self._lock:
            return replace(self._counts)

    def not_kept(self, board: str) -> int:
        with self._lock:
            return self._not_kept.get(board, 0)

    def close(self) -> None:
        """Once what is queued is on disk, or a few seconds have passed."""
        if self._thread is not None:
            try:
                self._queue.put(None, timeout=_END_S)
            except queue.Full:
                return  # the disk hangs; the thread ends with the program
            self._thread.join(_END_S)
            self._thread = None

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            board, line = item
            if self._retry_s and time.monotonic() < self._retry_s:
                self._is_missing(board)
                continue
            try:
                self._write(board, line)
                self._retry_s = 0.0
                with self._lock:
                    self._counts.kept += 1
                    self._counts.trouble = None
            except OSError as error:
                self._retry_s = time.monotonic() + RETRY_S
                self._forget(board)
                self._is_missing(board)
                with self._lock:
                    self._counts.trouble = str(error)
        for board in list(self._open):
            self._forget(board)

    def _write(self, board: str, line: ConsoleLine) -> None:
        file = self._open.get(board)
        if file is None:
            file = self._begun(board)
        missing = self._missing.get(board, 0)
        if missing:
            told = f"{NOTE}{missing} lines before this one were not kept: the disk was full, or too slow"
            self._append(file, replace(line, text=told))
            with self._lock:
                self._missing[board] -= missing
        self._append(file, line)
        if file.tell() >= self._file_bytes:
            self._forget(board)
            self._turn_over(board)

    def _begun(self, board: str) -> BinaryIO:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(board, 0)
        # Unbuffered: a line is on its way to disk as a whole, or the write says that there is no room.
        file = path.open("ab", buffering=0)
        self._open[board] = file
        path.chmod(0o600)
        if file.tell() > 0 and not _ends_a_line(path):
            file.write(b"\n")  # what was cut off by a full disk stays a line of its own
        return file

    @staticmethod
    def _append(file: BinaryIO, line: ConsoleLine) -> None:
        data = format_line(line).encode("utf-8", errors="replace") + b"\n"
        if file.write(data) != len(data):
            raise OSError("no room for a whole line")

    def _turn_over(self, board: str) -> None:
        for number in range(self._files - 1, 0, -1):
            older = self._path(board, number - 1)
            if older.exists():
                older.replace(self._path(board, number))

    def _forget(self, board: str) -> None:
        file = self._open.pop(board, None)
        if file is not None:
            file.close()

    def _is_missing(self, board: str) -> None:
        with self._lock:
            self._missing[board] = self._missing.get(board, 0) + 1
            self._not_kept[board] = self._not_kept.get(board, 0) + 1
            self._counts.not_kept += 1

    def _path(self, board: str, number: int) -> Path:
        return self._folder / (f"{board}.log" if number == 0 else f"{board}.{number}.log")


def read_log(
    folder: Path, board: str, since_s: float | None = None, tail: int | None = None
) -> Iterator[ConsoleLine]:
    """The lines that are kept, oldest first: those since that time of day, and of those the last `tail`."""
    lines = (line for line in _all_lines(folder, board) if since_s is None or line.wall_s >= since_s)
    yield from lines if tail is None else deque(lines, maxlen=tail)


def _all_lines(folder: Path, board: str) -> Iterator[ConsoleLine]:
    names = [f"{board}.log", *(f"{board}.{number}.log" for number in range(1, FILES))]
    files: dict[tuple[int, int], BinaryIO] = {}
    with contextlib.ExitStack() as held:
        # All before the first is read, the newest first: what is turned over meanwhile is met again under
        # its next name, and none is missed.
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                file = held.enter_context((folder / name).open("rb"))
                status = os.fstat(file.fileno())
                files.setdefault((status.st_dev, status.st_ino), file)
        for log in reversed(files.values()):
            for raw in log:
                line = parse_line(raw.rstrip(b"\n").decode("utf-8", errors="replace"))
                if line is not None:
                    yield line


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
