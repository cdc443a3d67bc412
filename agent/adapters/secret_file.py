"""Files that hold secrets: read only where nobody else may."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tinyfleet.agent.core.errors import AgentError

_LIMIT_BYTES: Final = 256 * 1024


def read_secret(path: Path, what: str) -> str:
    """What stands in it, UTF-8. `what` it holds, for who must be told that others may read it.

    Raises OSError, ValueError (too large, or no text), AgentError; none of them shows anything of it.
    """
    with path.open("rb") as file:
        # Of what was opened: another file may bear the name by now.
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise AgentError(f"{path} holds {what} and others may read it", f"chmod 600 {path}")
        data = file.read(_LIMIT_BYTES + 1)
    if len(data) > _LIMIT_BYTES:
        raise ValueError(f"more than {_LIMIT_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("no text") from None
