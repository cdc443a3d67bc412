"""A zip from outside: names are only compared, never used as paths; no member is unpacked without bound."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from typing import Final

from tinyfleet.model.source.errors import SourceError

MEMBERS_MAX: Final = 50_000
"""An Edge Impulse export with its SDK has some thousand."""


class Archive:
    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise SourceError(f"the zip is damaged ({error}): download or pack it again") from error
        names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        if len(names) > MEMBERS_MAX:
            raise SourceError(f"the zip has {len(names)} files; at most {MEMBERS_MAX} are looked at")
        self.names = tuple(name.replace("\\", "/") for name in names)
        self._members = dict(zip(self.names, names, strict=True))

    def matching(self, wanted: Callable[[str], bool]) -> list[str]:
        return [name for name in self.names if wanted(name)]

    def read(self, name: str, most: int) -> bytes:
        """SourceError for a member of more than `most` bytes, whatever its header claims."""
        try:
            with self._zip.open(self._members[name]) as member:
                content = member.read(most + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise SourceError(f"{shown(name)} in the zip is damaged ({error}): pack it again") from error
        except RuntimeError as error:
            raise SourceError(f"{shown(name)} in the zip is encrypted: unpack it first") from error
        if len(content) > most:
            raise SourceError(
                f"{shown(name)} in the zip has more than {most} bytes; that is no model for here"
            )
        return content


def shown(name: str) -> str:
    """A member's name, safe to print."""
    return name.encode("unicode_escape").decode("ascii")[-120:]
