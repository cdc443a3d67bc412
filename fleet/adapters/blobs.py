"""Signed images as files named by their SHA-256, in the state folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from tinyfleet.fleet.core.errors import BadInput, NotFound, Unavailable


class BlobFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, data: bytes) -> bytes:
        """Stores the bytes, whole or not at all; their SHA-256. Raises Unavailable when there is no room."""
        digest = hashlib.sha256(data).digest()
        path = self._path(digest)
        if path.exists() and path.read_bytes() == data:
            return digest
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise Unavailable(
                f"cannot store {path}: {error.strerror}; free some room and try again"
            ) from error
        return digest

    def get(self, digest: bytes) -> bytes:
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"{path} is not there: restore it, or release the model again") from error
        if hashlib.sha256(data).digest() != digest:
            raise BadInput(f"{path} is not what its name says: restore it, or release the model again")
        return data

    def _path(self, digest: bytes) -> Path:
        return self._folder / digest.hex()
