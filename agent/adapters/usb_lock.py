"""A lock on a probe that holds for the whole host: between state folders, users and sandboxes.

It is a lock on the device's own node below /dev/bus/usb, opened to read only: that claims nothing, and pyOCD,
which opens the node itself, is not hindered.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from tinyfleet.agent.core.errors import BoardBusyError


def lock_usb(board: str, node: Path) -> Callable[[], None]:
    """Answers what lets go, which may be called again. Raises BoardBusyError.

    A node that cannot be opened is not locked: what comes next says why it cannot be used.
    """
    try:
        handle = os.open(node, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return lambda: None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise BoardBusyError(
            f"{board}: its probe is in use by a program that keeps its leases elsewhere ({node} is locked)",
            f"`fuser {node}` names it; let all programs of a bench have one state folder",
        ) from error
    # A file object: closing it twice does nothing.
    return os.fdopen(handle, "rb", buffering=0).close
