"""Whose fault a failure is, as far as the failure itself tells."""

from __future__ import annotations

import errno
from typing import Final

from tinyfleet.agent.core.errors import BoardGone, MeterError, StepFailed, SwitchRefused
from tinyfleet.agent.core.pulse import Fault

_HOST_ERRORS: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    }
)
_NOT_OF_BOARD: Final = (BoardGone, MeterError, SwitchRefused)


def is_host_trouble(error: BaseException | None) -> bool:
    """Whether a full disk, or too few files or memory, is behind it: no board is to blame."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _HOST_ERRORS:
            return True
        if isinstance(error, MemoryError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def speaks_of_board(error: BaseException) -> bool:
    """Whether the board should be looked at after it: a step on it failed, and neither was it unplugged, nor
    is it this host or the meter."""
    return (
        isinstance(error, StepFailed) and not isinstance(error, _NOT_OF_BOARD) and not is_host_trouble(error)
    )


def fault_beside(error: BaseException) -> Fault | None:
    """What other than the board it speaks of."""
    if is_host_trouble(error):
        return Fault.HOST
    return Fault.METER if isinstance(error, MeterError) else None
