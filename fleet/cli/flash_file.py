"""A board's flash kept in a file, as QEMU maps it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Self

from tinyfleet.fleet.core import flash as flashes
from tinyfleet.fleet.core.errors import BadInput, Conflict
from tinyfleet.wire.limits import LINE_WINDOW_VALUES_MAX
from tinyfleet.wire.memory_map import MemoryMap
from tinyfleet.wire.messages import Feed
from tinyfleet.wire.records import build_replay, encode_record, read_replay


class FlashFile:
    """Opens the file, or makes an erased one; locked while it is open."""

    def __init__(self, path: Path, memory: MemoryMap) -> None:
        self._path = path
        self._memory = memory
        self._file: IO[bytes] | None = None
        self.data = b""

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        # The file holds the device's password, whoever made it.
        os.fchmod(handle, 0o600)
        self._file = os.fdopen(handle, "r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise Conflict(f"{self._path} is in use: stop the board that runs on it first") from error
        self.data = self._file.read()
        if not self.data:
            self.data = flashes.blank(self._memory)
            self._file.write(self.data)
            self._file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, writes: list[flashes.Write]) -> None:
        """Carries the writes out, the trust record last: an interrupted first time stays a first time."""
        if self._file is None:
            raise RuntimeError("the flash file is not open")
        content = bytearray(self.data)
        for write in sorted(writes, key=lambda each: each.region == "trust"):
            flashes.apply(self._memory, content, [write])
            size = -(-len(write.data) // self._memory.sector_bytes) * self._memory.sector_bytes
            self._file.seek(write.offset)
            self._file.write(content[write.offset : write.offset + size])
            self._file.flush()
            os.fsync(self._file.fileno())
        self.data = bytes(content)


def feed_region(card: Path) -> bytes:
    """The region that says what comes over the sample line. Raises BadInput, MessageError."""
    try:
        about = json.loads(card.read_text())
        feed = Feed(
            sensor=str(about["sensor"]),
            unit=str(about["unit"]),
            rate_mhz=int(about["rate_mhz"]),
            samples=int(about["samples"]),
            channels=int(about["channels"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{card}: expected JSON with sensor, unit, rate_mhz, samples and channels, got {error!r}"
        ) from error
    if not 0 < feed.samples * feed.channels <= LINE_WINDOW_VALUES_MAX:
        raise BadInput(
            f"{card}: expected 1 to {LINE_WINDOW_VALUES_MAX} values a window, "
            f"got {feed.samples} x {feed.channels}"
        )
    return encode_record(feed)


def replay_region(path: Path, card: Path | None) -> bytes:
    """The replay region in `path`, or made from its windows. Raises BadInput, RecordError."""
    if path.suffix != ".npz":
        region = path.read_bytes()
        read_replay(region)
        return region
    import numpy as np

    if card is None:
        raise BadInput(
            f"{path} holds windows only: name a JSON with sensor, unit and rate_mhz by --replay-card"
        )
    try:
        about = json.loads(card.read_text())
        sensor, unit, rate_mhz = str(about["sensor"]), str(about["unit"]), int(about["rate_mhz"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{card}: expected JSON with sensor, unit and rate_mhz, got {error!r}") from error
    try:
        windows = np.load(path)["windows"]
    except (ValueError, KeyError, OSError) as error:
        raise BadInput(f"{path}: expected an array `windows`, got {error}") from error
    if windows.ndim != 3 or windows.dtype != np.int16:
        raise BadInput(
            f"{path}: expected int16 windows of [window][sample][channel], "
            f"got {windows.dtype} with shape {list(windows.shape)}"
        )
    return build_replay(
        sensor=sensor,
        unit=unit,
        rate_mhz=rate_mhz,
        samples=windows.shape[1],
        channels=windows.shape[2],
        data=windows.astype("<i2").tobytes(),
    )
